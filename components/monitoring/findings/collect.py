"""Say in words what a monitoring run found: what is wrong, how sure that is, and what to do or who does it already.

In: a `MonitoringResult` whose numbers are complete, the contract's limits, and the estimates where labels are missing.
Out: findings, the gravest first. Called by the monitor. Every number is one of the result, every limit one of the
contract; where an alert watches the same number, its name and its runbook's are said.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Literal

from components.base.contract.problem import Problem
from components.base.statistics.scores import METRICS, gain
from components.base.text.wording import say_plainly, write_count, write_money, write_percent, write_score
from components.monitoring.findings.inputs import find_drift, find_features, find_skew, find_stale_views
from components.monitoring.findings.words import say_who_acts, write_interval, write_money_interval
from components.monitoring.results import Estimate, EstimatedPerformance, MonitoringResult, WindowFinding

Severity = Literal["critical", "warning", "note"]
_GRAVITY: dict[Severity, int] = {"critical": 0, "warning": 1, "note": 2}


def list_findings(
    problem: Problem,
    result: MonitoringResult,
    estimated: Sequence[EstimatedPerformance] = (),
    promised: float | None = None,
) -> tuple[WindowFinding, ...]:
    """Return what somebody should know, the gravest first.

    Args:
        problem: The contract.
        result: Everything but its findings.
        estimated: The estimates of rows without labels, also where there is no performance.
        promised: What the probabilities of the judged rows promise of the limit's metric.
    """
    found = chain(
        _find_traffic(problem, result),
        find_features(problem, result),
        find_drift(problem, result),
        find_skew(problem, result),
        _find_labels(problem, result, estimated),
        _find_performance(problem, result),
        _find_change_of_concept(problem, result, promised),
        _find_value(problem, result),
    )
    return tuple(sorted(found, key=lambda finding: _GRAVITY[finding.severity]))


def _find_traffic(problem: Problem, result: MonitoringResult) -> Iterator[WindowFinding]:
    rows, fewest, version = result.traffic.rows, problem.monitoring.minimum_rows, result.model_version
    if not rows:
        yield WindowFinding(
            severity="critical",
            topic="traffic",
            title="Nothing was predicted",
            text=f"The prediction log holds no row of the {problem.monitoring.window_days} days before.",
            action="Look whether callers reach the endpoint, and whether its log is uploaded: PredictionLogDropping.",
        )
    elif result.model_rows < fewest:
        is_new = rows >= fewest
        why = f"The version is new: the other {write_count(rows - result.model_rows)} rows were of earlier ones."
        yield WindowFinding(
            severity="note" if is_new else "warning",
            topic="traffic",
            title=f"Version {version} has too few rows to be judged",
            text=f"It predicted {write_count(result.model_rows)} rows, and {write_count(fewest)} are needed."
            + (f" {why}" if is_new else ""),
            action="Wait for more traffic." if is_new else "Look whether all callers still ask the endpoint.",
        )


def _find_labels(
    problem: Problem, result: MonitoringResult, estimated: Sequence[EstimatedPerformance]
) -> Iterator[WindowFinding]:
    labels, monitoring = result.labels, problem.monitoring
    if labels.coverage_ratio is not None and labels.coverage_ratio < monitoring.minimum_label_coverage:
        yield WindowFinding(
            severity="warning",
            topic="labels",
            title="Labels are missing",
            text=f"{write_count(labels.overdue)} of {write_count(labels.due)} rows have no label after "
            f"{monitoring.label_delay_hours:g} hours: {write_percent(labels.coverage_ratio)} have one, and "
            f"{write_percent(monitoring.minimum_label_coverage)} are wanted. What is judged may not be typical.",
            action=f"Ask who delivers {problem.examples.source}: the runbook is LabelsMissing.",
        )
    if labels.changed:
        yield WindowFinding(
            severity="note",
            topic="labels",
            title="Labels have changed after they came",
            text=f"{write_count(labels.changed)} of {write_count(labels.labelled)} labels are no longer what they "
            "were; all versions are in the ledger, and the newest counts.",
            action="Nothing to do, unless there are many: then ask why outcomes are corrected.",
        )
    if result.performance is None and result.model_rows >= monitoring.minimum_rows:
        promised = [one for one in estimated if one.metric == monitoring.performance.metric]
        words = f" Its own probabilities promise {_score_words(promised[0])}." if promised else ""
        yield WindowFinding(
            severity="note",
            topic="labels",
            title=f"Version {result.model_version} has too few labels to be judged",
            text=f"{write_count(monitoring.minimum_rows)} rows must be due and labelled.{words}",
            action="Wait for labels; an estimate does not see a change of what follows from the inputs.",
        )


def _find_performance(problem: Problem, result: MonitoringResult) -> Iterator[WindowFinding]:
    performance = result.performance
    if performance is None or performance.limit_metric not in performance.scores:
        return
    metric, found = performance.limit_metric, performance.scores[performance.limit_metric]
    label, higher = METRICS[metric].label, METRICS[metric].higher_is_better
    side = "below" if higher else "above"
    rows = f"on {write_count(performance.rows)} labelled rows; the limit is {performance.limit:g}"
    before = performance.at_release.get(metric)
    at_release = f", and it was {write_score(before)} at release" if before is not None else ""
    if performance.is_below_limit:
        yield WindowFinding(
            severity="critical",
            topic="performance",
            title=f"The {label} is {side} its limit",
            text=f"It is {write_interval(found)} {rows}{at_release}. The whole interval is {side} the limit.",
            action=say_who_acts(problem, "PerformanceBelowLimit", "The runbook is PerformanceBelowLimit."),
        )
    elif gain(metric, found.estimate, performance.limit) < 0 or _straddles(found, performance.limit):
        yield WindowFinding(
            severity="warning",
            topic="performance",
            title=f"The {label} is near its limit",
            text=f"It is {write_interval(found)} {rows}{at_release}. The interval holds the limit.",
            action="Nothing starts yet: more labels will tell.",
        )


def _find_change_of_concept(
    problem: Problem, result: MonitoringResult, promised: float | None
) -> Iterator[WindowFinding]:
    """Say so when the truth is worse than both the probabilities promise and the release was, beyond its interval."""
    performance = result.performance
    if performance is None or promised is None or performance.limit_metric not in performance.scores:
        return
    # A feed that is late makes the model worse while everything means what it meant.
    if find_stale_views(problem, result):
        return
    metric = performance.limit_metric
    found, before = performance.scores[metric], performance.at_release.get(metric)
    if before is None or found.low is None or found.high is None:
        return
    # The end of the interval that is kinder to the model.
    kindest = found.high if METRICS[metric].higher_is_better else found.low
    if gain(metric, kindest, promised) < 0 and gain(metric, kindest, before) < 0:
        yield WindowFinding(
            severity="warning",
            topic="performance",
            title="The same inputs now mean something else",
            text=f"By its probabilities the model should reach a {METRICS[metric].label} of {write_score(promised)}; "
            f"on the same rows it reached {write_interval(found)}, and {write_score(before)} at release. A shift of "
            "the inputs would have moved both.",
            action="Training on newer labels helps; do not trust the estimates of rows without labels.",
        )


def _find_value(problem: Problem, result: MonitoringResult) -> Iterator[WindowFinding]:
    value = result.value
    if value is None or "current_solution" not in value.contenders:
        return
    other, currency = value.contenders["current_solution"], value.currency
    gained = other.gain_of_served_per_1000
    if gained is None:
        return
    words = f"{write_money(gained.estimate, currency)} ({write_money_interval(gained, currency)}) per 1,000 predictions"
    rule, limit = say_plainly(other.label), write_money(value.limit_per_1000, currency)
    if value.is_below_limit:
        yield WindowFinding(
            severity="critical",
            topic="value",
            title="The decisions earn less than the current solution would",
            text=f"The gain over {rule} is {words} on {write_count(other.rows)} labelled rows; at least {limit} is "
            "wanted, and the whole interval is below.",
            action=say_who_acts(problem, "ValueBelowLimit", "The runbook is ValueBelowLimit."),
        )
    elif gained.low is None or gained.low < value.limit_per_1000:
        yield WindowFinding(
            severity="note",
            topic="value",
            title="The gain over the current solution is not certain",
            text=f"It is {words} on {write_count(other.rows)} labelled rows; at least {limit} is wanted.",
            action="Nothing starts yet: more labels will tell.",
        )


def _straddles(found: Estimate, limit: float) -> bool:
    return found.low is not None and found.high is not None and found.low <= limit <= found.high


def _score_words(estimate: EstimatedPerformance) -> str:
    return f"a {METRICS[estimate.metric].label} of {write_score(estimate.score)} on {write_count(estimate.rows)} rows"
