"""Alerts on pipelines, data and the governor: did they run, did they succeed, is somebody waiting in vain.

In: the contract, and the pace of time. Out: `Alert`s. Called by `alerts.list_alerts`.
"""

from components.alerting.promql import GOVERNOR_JOB, age, greatest, select
from components.alerting.types import HOUR, MINUTE, Alert, Case, Limit, Pace, Series
from components.base.contract.problem import Problem
from components.base.run_records import Pipeline
from components.base.schedule import find_longest_gap

# A run waits for a free node and takes its time; within a shift somebody can still act on the same day.
_GRACE_SECONDS = 6 * HOUR
# A contract may ask for no rest at all between runs; one that lasts a day blocks the next day's.
_SHORTEST_STUCK_HOURS = 24.0
_GOVERNOR_DOWN_SECONDS = 10 * MINUTE
_AT = 15 * MINUTE


def list_pipeline_alerts(problem: Problem, pace: Pace) -> list[Alert]:
    """Return the alerts on pipelines, data and the governor."""
    schedules: dict[Pipeline, tuple[str, str]] = {
        "monitoring": ("monitoring.schedule", problem.monitoring.schedule),
        "training": ("retraining.schedule", problem.retraining.schedule),
    }
    overdue = [_overdue(problem, name, field, cron, pace) for name, (field, cron) in schedules.items()]
    late = [_late(problem, name) for name, source in problem.sources.items() if source.freshness]
    stuck = [_stuck_run(problem, pace), _stuck_escalation(problem), _stuck_governor(problem, pace)]
    return [_failed(problem), *overdue, *late, *stuck]


def _failed(problem: Problem) -> Alert:
    failed = select("tidemill_pipeline_last_run_failed", problem=problem.name)
    one = select("tidemill_pipeline_last_run_failed", problem=problem.name, pipeline="refresh")
    return Alert(
        name="PipelineFailed",
        meaning="The last run of a pipeline failed.",
        query=greatest(failed, "problem, pipeline"),
        operator=">",
        threshold=0,
        limit=Limit((), "a run fails or it does not: the gauge is 0 or 1"),
        wait_seconds=0,
        severity="ticket",
        action="none",
        summary=f"{problem.name}: the last {{label.pipeline}} run failed",
        description="What the pipeline makes stays as it was, and grows old.",
        dashboard="pipelines",
        problem=problem.name,
        cases=(
            Case("failed", True, {one: Series(1)}, _AT),
            Case("succeeded", False, {one: Series(0)}, _AT),
        ),
    )


def _overdue(problem: Problem, pipeline: Pipeline, field: str, schedule: str, pace: Pace) -> Alert:
    success = select("tidemill_pipeline_last_success_timestamp_seconds", problem=problem.name, pipeline=pipeline)
    limit = pace.scaled(find_longest_gap(schedule).total_seconds() + _GRACE_SECONDS)
    return Alert(
        name="PipelineOverdue",
        meaning="A pipeline has not succeeded for longer than its schedule allows.",
        query=age(success, "problem, pipeline"),
        operator=">",
        threshold=round(limit, 3),
        limit=Limit((field,), "the longest gap of the schedule, and six hours for the run itself"),
        wait_seconds=0,
        severity="ticket",
        action="none",
        summary=f"{problem.name}: {pipeline} succeeded last {{duration}} ago",
        description="Nobody started it, or it does not end. A failed run has an alert of its own.",
        dashboard="pipelines",
        problem=problem.name,
        labels={"pipeline": pipeline},
        cases=(
            Case("is overdue", True, {success: Series(_AT - limit - 1)}, _AT),
            Case("is just in time", False, {success: Series(_AT - limit)}, _AT),
            Case("never ran", False, {}, _AT),
        ),
    )


def _late(problem: Problem, source: str) -> Alert:
    field = f"sources.{source}.freshness.warn_hours"
    freshness = problem.sources[source].freshness
    limit = (freshness.warn_hours if freshness else 0.0) * HOUR
    data_age = select("tidemill_data_age_seconds", problem=problem.name, source=source)
    return Alert(
        name="DataLate",
        meaning="The newest row of a source was too old at the last run.",
        query=greatest(data_age, "problem, source"),
        operator=">",
        # The age is measured by the run at its own moment, also in a replay: the pace does not touch it.
        threshold=limit,
        limit=Limit((field,), "the age at which the contract wants a warning"),
        wait_seconds=0,
        severity="ticket",
        action="none",
        summary=f"{problem.name}: the newest row of {source} is {{duration}} old",
        description="The source delivers late. Features and labels grow old with it; beyond stop_hours runs fail.",
        dashboard="pipelines",
        problem=problem.name,
        labels={"source": source},
        cases=(
            Case("is late", True, {data_age: Series(1.02 * limit)}, _AT),
            Case("is just in time", False, {data_age: Series(limit)}, _AT),
        ),
    )


def _stuck_run(problem: Problem, pace: Pace) -> Alert:
    started = select("tidemill_governor_run_started_timestamp_seconds", problem=problem.name)
    in_flight = select("tidemill_governor_run_in_flight", problem=problem.name)
    limit = pace.scaled(max(problem.retraining.cooldown_hours, _SHORTEST_STUCK_HOURS) * HOUR)
    return Alert(
        name="RetrainingStuck",
        meaning="Retraining does not end, does not help, or nobody decides about it.",
        query=f"({age(started)}) and on (problem) ({greatest(in_flight)} >= 1)",
        operator=">",
        threshold=round(limit, 3),
        limit=Limit(("retraining.cooldown_hours",), "a run that outlasts the rest after its start blocks the next one"),
        wait_seconds=0,
        severity="ticket",
        action="none",
        summary=f"{problem.name}: a training run has been going on for {{duration}}",
        description="It keeps the governor from starting another.",
        dashboard="retraining",
        problem=problem.name,
        labels={"cause": "run"},
        cases=(
            Case("runs too long", True, {started: Series(_AT - limit - 1), in_flight: Series(1)}, _AT),
            Case("runs just long enough", False, {started: Series(_AT - limit), in_flight: Series(1)}, _AT),
            Case("ended long ago", False, {started: Series(_AT - 2 * limit), in_flight: Series(0)}, _AT),
        ),
    )


def _stuck_escalation(problem: Problem) -> Alert:
    escalations = select("tidemill_governor_escalations", problem=problem.name)
    return Alert(
        name="RetrainingStuck",
        meaning="Retraining does not end, does not help, or nobody decides about it.",
        query=greatest(escalations),
        operator=">",
        threshold=0,
        limit=Limit(
            ("retraining.maximum_failures", "retraining.clear_within_hours"),
            "the governor has counted failures and hours already: each open escalation asks for a person",
        ),
        wait_seconds=0,
        severity="ticket",
        action="none",
        summary=f"{problem.name}: {{count}} decisions of the governor wait for a person",
        description="Retraining did not help, or its releases fail. Somebody must look before it goes on.",
        dashboard="retraining",
        problem=problem.name,
        labels={"cause": "escalation"},
        cases=(
            Case("has escalated", True, {escalations: Series(1)}, _AT),
            Case("has no open escalation", False, {escalations: Series(0)}, _AT),
        ),
    )


def _stuck_governor(problem: Problem, pace: Pace) -> Alert:
    target = select("up", job=GOVERNOR_JOB)
    return Alert(
        name="RetrainingStuck",
        meaning="Retraining does not end, does not help, or nobody decides about it.",
        query=f'label_replace(sum({target}) or vector(0), "problem", "{problem.name}", "", "")',
        operator="<",
        threshold=1,
        limit=Limit((), "without the governor nothing decides, and one that answers is enough"),
        wait_seconds=pace.hold_absent(_GOVERNOR_DOWN_SECONDS),
        severity="ticket",
        action="none",
        summary=f"{problem.name}: no governor answers",
        description="Alerts and the schedule start nothing until it is back.",
        dashboard="retraining",
        problem=problem.name,
        labels={"cause": "governor"},
        cases=(
            Case("the governor is down", True, {target: Series(0)}, _AT),
            Case("there is no governor", True, {}, _AT),
            Case("the governor answers", False, {target: Series(1)}, _AT),
        ),
    )
