"""The dashboards of the pipelines (what ran, what failed, how old are data) and of retraining (what was decided).

In: nothing. Out: `Board`s. Called by `dashboards.list_boards`.
"""

from components.alerting.grafana.types import INTERVAL, Board, Panel, Query, Row, contract, newest, own

_HOUR_SECONDS = 3600
_WARN = 'tidemill_contract_limit{problem="$problem",field=~"sources.*.freshness.warn_hours"}'


def pipelines_board() -> Board:
    """Return the dashboard `pipelines`."""
    return Board(
        name="pipelines",
        title="Tidemill / Pipelines",
        description="Did everything run, did it succeed, and how fresh are data and features?",
        rows=(_runs(), _freshness(), _exporter()),
    )


def retraining_board() -> Board:
    """Return the dashboard `retraining`."""
    return Board(
        name="retraining",
        title="Tidemill / Retraining",
        description="What did the governor decide, what came of it, and what may it still do?",
        rows=(_state(), _decisions(), _outcomes()),
    )


def _runs() -> Row:
    success = newest("tidemill_pipeline_last_success_timestamp_seconds", "pipeline")
    return Row(
        "Runs",
        (
            Panel(
                "Since the last success",
                "Grows until the next success. The alert knows how long the schedule allows.",
                "s",
                (Query(f"time() - {success}", "{{pipeline}}"),),
            ),
            Panel(
                "Last run failed",
                "1 when the newest run of the pipeline failed.",
                "short",
                (Query(newest("tidemill_pipeline_last_run_failed", "pipeline"), "{{pipeline}}"),),
                bad_from=1,
                kind="stat",
            ),
            Panel(
                "Duration of the last run",
                "One that grows with the data is fine; one that jumps is not.",
                "s",
                (Query(newest("tidemill_pipeline_last_run_seconds", "pipeline"), "{{pipeline}}"),),
            ),
            Panel(
                "Runs",
                "All runs so far, by pipeline and how they ended.",
                "short",
                (Query(newest("tidemill_pipeline_runs_total", "pipeline, status"), "{{pipeline}} {{status}}"),),
            ),
        ),
    )


def _freshness() -> Row:
    return Row(
        "Freshness",
        (
            Panel(
                "Age of the data",
                "Age of the newest row of each source at the last run; the line is the contract's earliest warning.",
                "s",
                (Query(newest("tidemill_data_age_seconds", "source"), "{{source}}"),),
                limit=f"min({_WARN}) * {_HOUR_SECONDS}",
                width=8,
            ),
            Panel(
                "Age of served features",
                "95th percentile of the age of served values, by view.",
                "s",
                (Query(newest("tidemill_view_age_p95_seconds", "view"), "{{view}}"),),
                width=8,
            ),
            Panel(
                "Unknown entities",
                "Share of rows whose entity the online store did not hold, by view.",
                "percentunit",
                (Query(newest("tidemill_view_unknown_ratio", "view"), "{{view}}"),),
                width=8,
            ),
            Panel(
                "Moment of the data",
                "The moment whose data the last good run saw.",
                "dateTimeAsIso",
                (Query(f"{newest('tidemill_data_as_of_timestamp_seconds', 'pipeline')} * 1000", "{{pipeline}}"),),
                kind="stat",
                width=24,
            ),
        ),
    )


def _exporter() -> Row:
    return Row(
        "Exporter",
        (
            Panel(
                "Store can be read",
                "0 while the exporter cannot read the object store; its values go away after a while.",
                "short",
                (Query(f"min by (problem) ({own('tidemill_exporter_last_read_success')})", "read"),),
                bad_below=1,
                kind="stat",
            ),
            Panel(
                "Age of the last good read",
                "A few seconds when all is well.",
                "s",
                (Query(f"time() - {newest('tidemill_exporter_last_read_timestamp_seconds')}", "age"),),
            ),
        ),
    )


def _state() -> Row:
    return Row(
        "Now",
        (
            Panel(
                "Alerts that fire",
                "Alerts of this problem in Prometheus; those of Grafana are on its own page.",
                "short",
                (Query(f"count by (alertname) ({own('ALERTS', alertstate='firing')})", "{{alertname}}"),),
                width=8,
            ),
            Panel(
                "Run in flight",
                "1 while a training run of the governor goes on.",
                "short",
                (Query(newest("tidemill_governor_run_in_flight"), "in flight"),),
                width=4,
            ),
            _run_age(),
            Panel(
                "Runs left today",
                "What is left of the contract's daily budget.",
                "short",
                (Query(newest("tidemill_governor_budget_left"), "left"),),
                bad_below=1,
                kind="stat",
                width=4,
            ),
            Panel(
                "Paused by a person",
                "1 while somebody has paused the governor.",
                "short",
                (Query(newest("tidemill_governor_paused"), "paused"),),
                bad_from=1,
                kind="stat",
                width=4,
            ),
        ),
    )


def _run_age() -> Panel:
    return Panel(
        "Age of the run in flight",
        "Time since the start of the last run, while it goes on.",
        "s",
        (
            Query(
                f"time() - {newest('tidemill_governor_run_started_timestamp_seconds')}"
                f" and on (problem) {newest('tidemill_governor_run_in_flight')} >= 1",
                "age",
            ),
        ),
        limit=f"{contract('retraining.cooldown_hours')} * {_HOUR_SECONDS}",
        width=4,
    )


def _decisions() -> Row:
    return Row(
        "Decisions",
        (
            Panel(
                "Decisions",
                "All decisions so far: run, hold or escalate, and why. `make rulings` has the words.",
                "short",
                (
                    Query(
                        f"sum by (decision, reason) ({own('tidemill_governor_decisions_total')})",
                        "{{decision}}: {{reason}}",
                    ),
                ),
            ),
            Panel(
                "Waits for a person",
                "Open decisions that ask for a person.",
                "short",
                (Query(newest("tidemill_governor_escalations"), "escalations"),),
                bad_from=1,
                kind="stat",
                width=4,
            ),
            Panel(
                "Alerts received",
                "Alerts of webhooks by what became of them, of all problems.",
                "short",
                (
                    Query(
                        f"sum by (result) (rate(tidemill_governor_alerts_received_total[{INTERVAL}]))",
                        "{{result}}",
                    ),
                ),
                width=8,
            ),
        ),
    )


def _outcomes() -> Row:
    return Row(
        "Outcomes",
        (
            Panel(
                "Runs by outcome",
                "Training runs that the governor started, by how they ended.",
                "short",
                (Query(f"sum by (outcome) ({own('tidemill_governor_runs_total')})", "{{outcome}}"),),
                width=8,
            ),
            Panel(
                "Duration of training",
                "Time of the newest training run.",
                "s",
                (Query(newest("tidemill_pipeline_last_run_seconds", pipeline="training"), "training"),),
                width=8,
            ),
            Panel(
                "Version in charge",
                "Steps up with each promotion.",
                "short",
                (
                    Query(
                        newest("tidemill_monitoring_model_info", "model_version"),
                        "version {{model_version}}",
                    ),
                ),
                width=8,
            ),
        ),
    )
