"""List the findings of a monitoring run: what is wrong, how certain that is, and what to do or which service acts.

In: a `MonitoringResult` whose numbers are complete, the contract's limits, and the estimates where labels are missing.
Out: findings, the most severe first. Called by the monitor. Every number is one of the result, every limit one of the
contract; where an alert watches the same number, the finding names its runbook.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Literal

from components.base.contract.problem import Problem
from components.base.task import Task
from components.base.text.wording import say_plainly, write_count, write_money, write_percent, write_score
from components.data.quality import DataChange
from components.monitoring.findings.inputs import (
    find_drift,
    find_features,
    find_other_windows,
    find_skew,
    find_stale_views,
)
from components.monitoring.findings.words import describe_reaction, write_interval, write_money_interval
from components.monitoring.results import Estimate, EstimatedPerformance, MonitoringResult, Value, WindowFinding

Severity = Literal["critical", "warning", "note"]
_SEVERITIES: dict[Severity, int] = {"critical": 0, "warning": 1, "note": 2}


def list_findings(
    task: Task,
    result: MonitoringResult,
    estimated: Sequence[EstimatedPerformance] = (),
    expected: float | None = None,
) -> tuple[WindowFinding, ...]:
    """Return the findings, the most severe first.

    Args:
        task: The task; its contract has the limits.
        result: Everything but its findings.
        estimated: The estimates of rows without labels, also where there is no performance.
        expected: The estimate of the limit's metric on the scored rows, made without their labels.
    """
    problem = task.problem
    found = chain(
        _find_traffic(problem, result),
        find_features(problem, result),
        find_drift(problem, result),
        find_other_windows(problem, result),
        find_skew(problem, result),
        _find_labels(task, result, estimated),
        _find_performance(task, result),
        _find_change_of_concept(task, result, expected),
        _find_value(problem, result),
    )
    return tuple(sorted(found, key=lambda finding: _SEVERITIES[finding.severity]))


def add_changes(problem: Problem, result: MonitoringResult, changes: Sequence[DataChange]) -> MonitoringResult:
    """Add a finding for each source whose new rows differ from those before, found by validation."""
    sources = dict.fromkeys(change.source for change in changes)
    found = [
        WindowFinding(
            severity="warning",
            topic="data",
            title=f"The data of {source} changed",
            text=" ".join(change.words for change in changes if change.source == source),
            action=describe_reaction(problem, "DataChanged", "The runbook is DataChanged."),
        )
        for source in sources
    ]
    findings = sorted([*result.findings, *found], key=lambda finding: _SEVERITIES[finding.severity])
    return result.model_copy(update={"findings": tuple(findings)})


def _find_traffic(problem: Problem, result: MonitoringResult) -> Iterator[WindowFinding]:
    rows, fewest, version = result.traffic.rows, problem.monitoring.minimum_rows, result.model_version
    if not rows:
        yield WindowFinding(
            severity="critical",
            topic="traffic",
            title="Nothing was predicted",
            text=f"The prediction log has no rows of the {problem.monitoring.window_days} days before.",
            action="Check that callers reach the endpoint and that its log is uploaded: PredictionLogDropping.",
        )
    elif result.model_rows < fewest:
        is_new = rows >= fewest
        why = f"The version is new: earlier versions predicted the other {write_count(rows - result.model_rows)} rows."
        yield WindowFinding(
            severity="note" if is_new else "warning",
            topic="traffic",
            title=f"Version {version} has too few rows to be scored",
            text=f"It predicted {write_count(result.model_rows)} rows, and {write_count(fewest)} are required."
            + (f" {why}" if is_new else ""),
            action="Wait for more traffic." if is_new else "Check that all callers still use the endpoint.",
        )


def _find_labels(
    task: Task, result: MonitoringResult, estimated: Sequence[EstimatedPerformance]
) -> Iterator[WindowFinding]:
    labels, monitoring, source = result.labels, task.problem.monitoring, task.problem.examples.source
    if labels.coverage_ratio is not None and labels.coverage_ratio < monitoring.minimum_label_coverage:
        yield WindowFinding(
            severity="warning",
            topic="labels",
            title="Labels are missing",
            text=f"{write_count(labels.overdue)} of {write_count(labels.due)} rows have no label after "
            f"{monitoring.label_delay_hours:g} hours: {write_percent(labels.coverage_ratio)} have one, and "
            f"{write_percent(monitoring.minimum_label_coverage)} are required. The scored rows may not be typical.",
            action=f"Ask the team that delivers {source}: the runbook is LabelsMissing.",
        )
    if labels.known_before:
        yield WindowFinding(
            severity="critical",
            topic="labels",
            title="Predictions were asked for after their outcome was known",
            text=f"{write_count(labels.known_before)} of {write_count(labels.rows)} rows have a label that is older "
            "than the prediction. These labels are not counted: no model is judged on the past.",
            action="Compare the clocks of the caller, of the online store (its last refresh) and of the labels, or "
            "stop asking for what has happened.",
        )
    if labels.changed:
        yield WindowFinding(
            severity="note",
            topic="labels",
            title="Labels changed after they arrived",
            text=f"{write_count(labels.changed)} of {write_count(labels.labelled)} labels have a new value; "
            "the ledger keeps all of them, and the newest counts.",
            action="Nothing to do, unless there are many: then find out why outcomes are corrected.",
        )
    if result.performance is None and result.model_rows >= monitoring.minimum_rows:
        known = [one for one in estimated if one.metric == monitoring.performance.metric]
        words = "".join(
            f" The estimate without labels is a {task.metrics[one.metric].label} of {write_score(one.score)} on "
            f"{write_count(one.rows)} rows."
            for one in known
        )
        yield WindowFinding(
            severity="note",
            topic="labels",
            title=f"Version {result.model_version} has too few labels to be scored",
            text=f"{write_count(monitoring.minimum_rows)} rows must be due and labelled.{words}",
            action="Wait for labels: an estimate does not see a change of concept.",
        )


def _find_performance(task: Task, result: MonitoringResult) -> Iterator[WindowFinding]:
    performance = result.performance
    if performance is None or performance.limit_metric not in performance.scores:
        return
    metric, found = task.metrics[performance.limit_metric], performance.scores[performance.limit_metric]
    label, side = metric.label, "below" if metric.higher_is_better else "above"
    rows = f"on {write_count(performance.rows)} labelled rows; the limit is {performance.limit:g}"
    before = performance.at_release.get(performance.limit_metric)
    at_release = f", and it was {write_score(before)} at release" if before is not None else ""
    is_inside = found.low is not None and found.high is not None and found.low <= performance.limit <= found.high
    if performance.is_below_limit:
        yield WindowFinding(
            severity="critical",
            topic="performance",
            title=f"The {label} is {side} its limit",
            text=f"It is {write_interval(found)} {rows}{at_release}. The whole interval is {side} the limit.",
            action=describe_reaction(task.problem, "PerformanceBelowLimit", "The runbook is PerformanceBelowLimit."),
        )
    elif metric.gain(found.estimate, performance.limit) < 0 or is_inside:
        yield WindowFinding(
            severity="warning",
            topic="performance",
            title=f"The {label} is near its limit",
            text=f"It is {write_interval(found)} {rows}{at_release}. The interval contains the limit.",
            action="Nothing starts yet: wait for more labels.",
        )


def _find_change_of_concept(task: Task, result: MonitoringResult, expected: float | None) -> Iterator[WindowFinding]:
    """Find a score whose whole interval is worse than the estimate without labels and than the score at release."""
    performance = result.performance
    if performance is None or expected is None or performance.limit_metric not in performance.scores:
        return
    # A late feed makes the model worse without any change of concept.
    if find_stale_views(task.problem, result):
        return
    metric, name = task.metrics[performance.limit_metric], performance.limit_metric
    found, before = performance.scores[name], performance.at_release.get(name)
    if before is None or found.low is None or found.high is None:
        return
    best = found.high if metric.higher_is_better else found.low
    if metric.gain(best, expected) < 0 and metric.gain(best, before) < 0:
        yield WindowFinding(
            severity="warning",
            topic="performance",
            title="The same inputs now mean something else",
            text=f"The estimate without labels is a {metric.label} of {write_score(expected)}; on the same rows the "
            f"model reached {write_interval(found)}, and {write_score(before)} at release. A change of the inputs "
            "would have changed both.",
            action="Training on newer labels helps; do not rely on estimates of rows without labels.",
        )


def _write_gained(gained: Estimate, currency: str) -> str:
    return f"{write_money(gained.estimate, currency)} ({write_money_interval(gained, currency)}) per 1,000 predictions"


def _find_loss(problem: Problem, value: Value) -> Iterator[WindowFinding]:
    """Find decisions that earn less than doing nothing, whatever the current solution would have lost."""
    gained = value.find_gain("no_action")
    if gained is None or gained.estimate >= 0:
        return
    is_sure = gained.high is not None and gained.high < 0
    yield WindowFinding(
        severity="critical" if is_sure else "warning",
        topic="value",
        title="The decisions lose money" if is_sure else "The decisions may lose money",
        text=f"Against doing nothing the gain is {_write_gained(gained, value.currency)} on "
        f"{write_count(value.contenders['no_action'].rows)} labelled rows.",
        action=describe_reaction(problem, "ValueBelowLimit", "The runbook is ValueBelowLimit.")
        if is_sure
        else "Nothing starts yet: wait for more labels.",
    )


def _find_value(problem: Problem, result: MonitoringResult) -> Iterator[WindowFinding]:
    value = result.value
    if value is None:
        return
    yield from _find_loss(problem, value)
    gained, currency = value.find_gain("current_solution"), value.currency
    if gained is None:
        return
    other = value.contenders["current_solution"]
    words = _write_gained(gained, currency)
    rule, limit = say_plainly(other.label), write_money(value.limit_per_1000, currency)
    if gained.high is not None and gained.high < value.limit_per_1000:
        yield WindowFinding(
            severity="critical",
            topic="value",
            title="The decisions earn less than the current solution would",
            text=f"The gain over {rule} is {words} on {write_count(other.rows)} labelled rows; at least {limit} is "
            "required, and the whole interval is below.",
            action=describe_reaction(problem, "ValueBelowLimit", "The runbook is ValueBelowLimit."),
        )
    elif gained.low is None or gained.low < value.limit_per_1000:
        yield WindowFinding(
            severity="note",
            topic="value",
            title="The gain over the current solution is not certain",
            text=f"It is {words} on {write_count(other.rows)} labelled rows; at least {limit} is required.",
            action="Nothing starts yet: wait for more labels.",
        )
