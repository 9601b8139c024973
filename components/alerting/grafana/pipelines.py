"""The dashboards of the pipelines (runs, failures, age of data) and of retraining (rulings and their outcomes).

In: nothing. Out: `Board`s. Called by `dashboards.list_boards`.
"""

from components.alerting.grafana.board import (
    INTERVAL,
    Board,
    Query,
    Row,
    contract,
    gauge,
    gauge_by,
    newest,
    own,
    series,
    stat,
    total,
)

_HOUR_SECONDS = 3600
_WARN = 'tidemill_contract_limit{problem="$problem",field=~"sources.*.freshness.warn_hours"}'
_SUCCESS = newest("tidemill_pipeline_last_success_timestamp_seconds", "pipeline")
_RUN_AGE = (
    f"time() - {newest('tidemill_governor_run_started_timestamp_seconds')}"
    f" and on (problem) {newest('tidemill_governor_run_in_flight')} >= 1"
)
_RUNS = Row(
    "Runs",
    (
        series("Since the last success", Query(f"time() - {_SUCCESS}", "{{pipeline}}"), unit="s").explain(
            "Grows until the next success. The limit of the alert follows from the schedule."
        ),
        stat("Last run failed", gauge_by("tidemill_pipeline_last_run_failed", "pipeline"), bad_from=1).explain(
            "1 if the newest run of the pipeline failed."
        ),
        series(
            "Duration of the last run", gauge_by("tidemill_pipeline_last_run_seconds", "pipeline"), unit="s"
        ).explain("It may grow slowly with the data; a jump is a fault."),
        series("Runs", gauge("tidemill_pipeline_runs_total", "{{pipeline}} {{status}}", "pipeline, status")).explain(
            "All finished runs, by pipeline and status."
        ),
    ),
)
_DATA_TIME = f"{newest('tidemill_data_as_of_timestamp_seconds', 'pipeline')} * 1000"
_FRESHNESS = Row(
    "Freshness",
    (
        series(
            "Age of the data",
            gauge_by("tidemill_data_age_seconds", "source"),
            unit="s",
            limit=f"min({_WARN}) * {_HOUR_SECONDS}",
            width=6,
        ).explain("Age of the newest row of each source at the last run; the line is the contract's earliest warning."),
        series("Changes of the data", gauge_by("tidemill_data_changes", "source"), width=6).explain(
            "Changes that the last run found in the new rows of each source: the quality report names them."
        ),
        series("Age of served features", gauge_by("tidemill_view_age_p95_seconds", "view"), unit="s", width=6).explain(
            "95th percentile of the age of served values, by view."
        ),
        series(
            "Unknown entities", gauge_by("tidemill_view_unknown_ratio", "view"), unit="percentunit", width=6
        ).explain("Share of rows whose entity is not in the online store, by view."),
        stat("Time of the data", Query(_DATA_TIME, "{{pipeline}}"), unit="dateTimeAsIso", width=24).explain(
            "Time up to which the last good run read data."
        ),
    ),
)
_READ = Query(f"min by (problem) ({own('tidemill_exporter_last_read_success')})", "read")
_AGE = Query(f"time() - {newest('tidemill_exporter_last_read_timestamp_seconds')}", "age")
_EXPORTER = Row(
    "Exporter",
    (
        stat("Store can be read", _READ, bad_below=1).explain(
            "0 while the exporter cannot read the object store; its values disappear after a while."
        ),
        series("Age of the last good read", _AGE, unit="s").explain("A few seconds in normal operation."),
    ),
)
_FIRING = Query(f"count by (alertname) ({own('ALERTS', alertstate='firing')})", "{{alertname}}")
_STATE = Row(
    "Now",
    (
        series("Firing alerts", _FIRING, width=8).explain(
            "Alerts of this problem in Prometheus; those of Grafana are on its own page."
        ),
        series("Run in flight", gauge("tidemill_governor_run_in_flight", "in flight"), width=4).explain(
            "1 while a training run of the governor is going on."
        ),
        series(
            "Age of the run in flight",
            Query(_RUN_AGE, "age"),
            unit="s",
            limit=f"{contract('retraining.cooldown_hours')} * {_HOUR_SECONDS}",
            width=4,
        ).explain("Time since the start of the run, while it is going on."),
        stat("Runs left today", gauge("tidemill_governor_budget_left", "left"), bad_below=1, width=4).explain(
            "The rest of the contract's daily budget."
        ),
        stat("Paused by a person", gauge("tidemill_governor_paused", "paused"), bad_from=1, width=4).explain(
            "1 while the governor is paused."
        ),
    ),
)
_RECEIVED = Query(f"sum by (result) (rate(tidemill_governor_alerts_received_total[{INTERVAL}]))", "{{result}}")
_RULINGS = Row(
    "Rulings",
    (
        series("Rulings", total("tidemill_governor_rulings_total", "{{choice}}: {{reason}}", "choice, reason")).explain(
            "All rulings: run, hold or escalate, with the reason. `make rulings` lists them in words."
        ),
        stat("Waits for a person", gauge("tidemill_governor_escalations", "escalations"), bad_from=1, width=4).explain(
            "Open rulings that need a person."
        ),
        series("Alerts received", _RECEIVED, width=8).explain("Alerts of webhooks by result, of all problems."),
    ),
)
_SECONDS = gauge("tidemill_pipeline_last_run_seconds", "training", pipeline="training")
_VERSION = gauge("tidemill_monitoring_model_info", "version {{model_version}}", "model_version")
_OUTCOMES = Row(
    "Outcomes",
    (
        series("Runs by outcome", total("tidemill_governor_runs_total", "{{outcome}}", "outcome"), width=8).explain(
            "Training runs that the governor started, by outcome."
        ),
        series("Duration of training", _SECONDS, unit="s", width=8).explain("Time of the newest training run."),
        series("Champion", _VERSION, width=8).explain("The version changes with each promotion."),
    ),
)
PIPELINES_BOARD = Board(
    name="pipelines",
    title="Tidemill / Pipelines",
    description="Did every pipeline run, did it succeed, and how old are data and features?",
    rows=(_RUNS, _FRESHNESS, _EXPORTER),
)
RETRAINING_BOARD = Board(
    name="retraining",
    title="Tidemill / Retraining",
    description="What did the governor decide, what was the outcome, and what may it still do?",
    rows=(_STATE, _RULINGS, _OUTCOMES),
)
