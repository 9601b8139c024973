"""Alerts on the model and its inputs, as the newest monitoring result sees them.

In: the contract, and the pace of time. Out: `Alert`s. Called by `alerts.list_alerts`. Each judges only with as many
rows as the contract asks for and with a fresh result; of an estimate the whole 95 % interval must be beyond the
limit.
"""

from dataclasses import dataclass

from components.alerting.promql import LAST_MONITORING, constant_for, greatest, select, when_judged
from components.alerting.types import MINUTE, Action, Alert, Case, Limit, Operator, Pace, Series
from components.base.contract.problem import Problem
from components.base.schedule import find_longest_gap

# Results change once a run; this bridges a restart of the exporter.
_WAIT_SECONDS = 5 * MINUTE
# One run may be lost; when two are, the numbers describe another day.
_LOST_RUNS = 2
_STALE_WAIT_SECONDS = 15 * MINUTE
# The moment at which the cases are judged.
_AT = 15 * MINUTE
_ROWS = "tidemill_monitoring_rows"


@dataclass(frozen=True)
class _Judgement:
    """What differs between the alerts of this file."""

    name: str
    meaning: str
    gauge: str
    """Selector of the gauge that is judged."""
    operator: Operator
    threshold: float
    field: str
    reason: str
    summary: str
    description: str
    rows: str = _ROWS
    by: str = "problem"
    query: str | None = None
    """Where it is not the greatest value of the gauge."""


def fresh_seconds(problem: Problem, pace: Pace) -> float:
    """Return how long a monitoring result counts."""
    return pace.scaled(_LOST_RUNS * find_longest_gap(problem.monitoring.schedule).total_seconds())


def list_model_alerts(problem: Problem, pace: Pace) -> list[Alert]:
    """Return the alerts on the model and its inputs."""
    judgements = (
        _performance(problem),
        _value(problem),
        _drift(problem),
        _expired(problem),
        _missing(problem),
        _skew(problem),
        _labels(problem),
    )
    return [*(_alert(problem, judgement, pace) for judgement in judgements), _stale(problem, pace)]


def _alert(problem: Problem, judged: _Judgement, pace: Pace) -> Alert:
    fresh, minimum = fresh_seconds(problem, pace), problem.monitoring.minimum_rows
    query = judged.query or greatest(judged.gauge, judged.by)
    action: Action = "retrain" if judged.name in problem.retraining.alerts else "none"
    return Alert(
        name=judged.name,
        meaning=judged.meaning,
        query=when_judged(query, judged.rows, minimum, fresh, problem.name),
        operator=judged.operator,
        threshold=judged.threshold,
        limit=Limit((judged.field, "monitoring.minimum_rows"), judged.reason),
        wait_seconds=pace.hold(_WAIT_SECONDS),
        severity="ticket",
        action=action,
        summary=f"{problem.name}: {judged.summary}",
        description=judged.description,
        dashboard="model",
        problem=problem.name,
        cases=_cases(problem, judged, fresh),
    )


def _cases(problem: Problem, judged: _Judgement, fresh: float) -> tuple[Case, ...]:
    step = 0.02 * abs(judged.threshold) or 0.02
    beyond = judged.threshold + (step if judged.operator == ">" else -step)

    def world(value: float, rows: float = problem.monitoring.minimum_rows, seconds: float = 60) -> dict[str, Series]:
        return {
            judged.gauge: Series(value),
            select(judged.rows, problem=problem.name): Series(rows),
            select(LAST_MONITORING, problem=problem.name): Series(_AT - seconds),
        }

    few = problem.monitoring.minimum_rows - 1
    return (
        Case("is just beyond the limit", True, world(beyond), _AT),
        Case("is at the limit", False, world(judged.threshold), _AT),
        Case("is beyond the limit in too few rows", False, world(beyond, rows=few), _AT),
        Case("is beyond the limit in a stale result", False, world(beyond, seconds=fresh + _AT), _AT),
    )


def _performance(problem: Problem) -> _Judgement:
    limit, floor = problem.monitoring.performance, problem.monitoring.performance.minimum
    is_floor = floor is not None
    end = "high" if is_floor else "low"
    bound = "minimum" if is_floor else "maximum"
    return _Judgement(
        name="PerformanceBelowLimit",
        meaning=f"The realised {limit.metric} is worse than the contract accepts.",
        gauge=select(f"tidemill_performance_score_{end}", problem=problem.name, metric=limit.metric),
        operator="<" if is_floor else ">",
        threshold=float(floor if floor is not None else limit.maximum or 0.0),
        field=f"monitoring.performance.{bound}",
        reason="the worst score that the contract accepts; the whole interval must be beyond it",
        summary=f"{limit.metric} on matured labels is {{score}} at best",
        description="The model ranks worse than the contract accepts; a new one, trained on newer rows, may be better.",
        rows="tidemill_performance_rows",
    )


def _value(problem: Problem) -> _Judgement:
    currency = problem.business.currency
    return _Judgement(
        name="ValueBelowLimit",
        meaning="The model earns less over the current solution than the contract asks for.",
        gauge=select("tidemill_value_gain_per_1000_high", problem=problem.name, contender="current_solution"),
        operator="<",
        threshold=problem.monitoring.minimum_value_gain_per_1000,
        field="monitoring.minimum_value_gain_per_1000",
        reason="the smallest gain that the contract accepts; the whole interval must be below it",
        summary=f"the gain over the current solution is at best {{count}} {currency} per 1,000 predictions",
        description="The business would do as well without the model.",
        rows="tidemill_value_rows",
    )


def _drift(problem: Problem) -> _Judgement:
    return _Judgement(
        name="DriftMatters",
        meaning="A feature that the model leans on has shifted.",
        gauge=select("tidemill_drift_relevant_psi_ratio", problem=problem.name),
        operator=">",
        threshold=1,
        field="monitoring.drift.maximum_psi",
        reason="the gauge is a multiple of the contract's limit already, or of what noise alone reaches in so few rows",
        summary="a feature that matters has shifted by {multiple} times its limit",
        description="The model is asked about rows unlike those that it learned from.",
    )


def _expired(problem: Problem) -> _Judgement:
    return _Judgement(
        name="FeaturesStale",
        meaning="A feature view was too old when it was served, far more often than in training.",
        gauge=select("tidemill_view_expired_rise_ratio", problem=problem.name, view="any"),
        query=greatest(select("tidemill_view_expired_rise_ratio", problem=problem.name), "problem, view"),
        operator=">",
        threshold=problem.monitoring.quality.maximum_expired_rise,
        field="monitoring.quality.maximum_expired_rise",
        reason="the rise over training that the contract accepts",
        summary="{ratio} more of the rows than in training were served with {label.view} expired",
        description="The refresh pipeline or its source is behind. A new model does not help.",
    )


def _missing(problem: Problem) -> _Judgement:
    served = select("tidemill_feature_missing_ratio", problem=problem.name)
    learned = select("tidemill_feature_reference_missing_ratio", problem=problem.name)
    both = "problem, feature"
    return _Judgement(
        name="FeaturesMissing",
        meaning="A feature is missing far more often than in training.",
        gauge=select("tidemill_feature_missing_ratio", problem=problem.name, feature="any"),
        query=f"{greatest(served, both)} - on ({both}) ({greatest(learned, both)} or {greatest(served, both)} * 0)",
        operator=">",
        threshold=problem.monitoring.quality.maximum_missing_rise,
        field="monitoring.quality.maximum_missing_rise",
        reason="the rise over training that the contract accepts",
        summary="{label.feature} is missing in {ratio} more of the rows than in training",
        description="A feed is broken. A new model would learn to live without it; repair the feed.",
    )


def _skew(problem: Problem) -> _Judgement:
    return _Judgement(
        name="ServingSkew",
        meaning="Features are served with other values than training would compute for the same moment.",
        gauge=select("tidemill_skew_ratio", problem=problem.name),
        operator=">",
        threshold=problem.monitoring.quality.maximum_skew_ratio,
        field="monitoring.quality.maximum_skew_ratio",
        reason="the share of differing values that the contract accepts",
        summary="{ratio} of the served values differ from the point-in-time join",
        description="The model is served with something that it never learned from.",
    )


def _labels(problem: Problem) -> _Judgement:
    return _Judgement(
        name="LabelsMissing",
        meaning="Labels that are due have not come.",
        gauge=select("tidemill_label_coverage_ratio", problem=problem.name),
        operator="<",
        threshold=problem.monitoring.minimum_label_coverage,
        field="monitoring.minimum_label_coverage",
        reason="the share of due labels that the contract asks for",
        summary="only {ratio} of the labels that are due have come",
        description="Performance and value rest on the labels that came, which may not be like the others.",
        rows="tidemill_label_due_rows",
    )


def _stale(problem: Problem, pace: Pace) -> Alert:
    fresh = fresh_seconds(problem, pace)
    newest = select(LAST_MONITORING, problem=problem.name)

    def world(seconds: float) -> dict[str, Series]:
        # The age is least at the end, when it is judged.
        return {newest: Series(30 * MINUTE - seconds)}

    return Alert(
        name="MonitoringStale",
        meaning="The newest monitoring result is too old to judge by, or there is none.",
        query=f"time() - ({greatest(newest)} or {constant_for(problem.name, '-Inf')})",
        operator=">",
        threshold=round(fresh, 3),
        limit=Limit(("monitoring.schedule",), "twice the longest gap of the schedule: two runs were lost"),
        wait_seconds=pace.hold_absent(_STALE_WAIT_SECONDS),
        severity="ticket",
        action="none",
        summary=f"{problem.name}: the newest monitoring result is {{duration}} old",
        description="Until it is new again, no alert on the model can fire: silence means nothing.",
        dashboard="pipelines",
        problem=problem.name,
        cases=(
            Case("is too old", True, world(fresh + 20 * MINUTE), 30 * MINUTE),
            Case("is not there at all", True, {}, 30 * MINUTE),
            Case("is just young enough", False, world(fresh - MINUTE), 30 * MINUTE),
        ),
    )
