"""Convert the newest monitoring result, the run records and the contract to samples; reads no clock and no store.

In: `MonitoringResult`, `PipelineRun`s, `Problem`. Out: `Sample`s of the metrics in `metric_names`. An unknown value
(None) gives no sample: a query finds nothing, and an alert stays silent. Called by the exporter.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from components.base.contract.limits import list_limits
from components.base.contract.problem import Problem
from components.base.run_records import PipelineRun
from components.monitoring.results import Estimate, MonitoringResult, Performance, Value

_HOUR_SECONDS = 3600.0


@dataclass(frozen=True)
class Sample:
    """One value of one metric; the exporter adds the label `problem`."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def sample_contract(problem: Problem) -> Iterator[Sample]:
    """Yield the numbers of the contract; dashboards draw them as lines."""
    for path, limit in list_limits(problem).items():
        yield Sample("tidemill_contract_limit", limit, {"field": path})


def sample_result(result: MonitoringResult) -> Iterator[Sample]:
    """Yield every number of a monitoring result that a query needs."""
    yield Sample("tidemill_monitoring_last_success_timestamp_seconds", result.computed_at.timestamp())
    yield Sample("tidemill_monitoring_as_of_timestamp_seconds", result.as_of.timestamp())
    yield Sample("tidemill_monitoring_rows", result.model_rows)
    yield Sample("tidemill_monitoring_model_info", 1, {"model_version": result.model_version})
    for version, rows in result.traffic.versions.items():
        yield Sample("tidemill_monitoring_traffic_rows", rows, {"model_version": version})
    for severity in ("critical", "warning", "note"):
        count = sum(finding.severity == severity for finding in result.findings)
        yield Sample("tidemill_monitoring_findings", count, {"severity": severity})
    yield from _sample_inputs(result)
    yield from _sample_if_known("tidemill_label_coverage_ratio", result.labels.coverage_ratio)
    yield Sample("tidemill_label_due_rows", result.labels.due)
    yield Sample("tidemill_label_overdue_rows", result.labels.overdue)
    yield Sample("tidemill_label_new_rows", result.labels.new_since_training)
    if result.performance:
        yield from _sample_performance(result.performance)
    if result.value:
        yield from _sample_value(result.value)


def sample_runs(runs: Sequence[PipelineRun]) -> Iterator[Sample]:
    """Yield the state of each pipeline that has run; `runs` are sorted by their end."""
    for pipeline in sorted({run.pipeline for run in runs}):
        own = [run for run in runs if run.pipeline == pipeline]
        labels = {"pipeline": pipeline}
        yield Sample("tidemill_pipeline_last_run_seconds", own[-1].seconds, labels)
        yield Sample("tidemill_pipeline_last_run_failed", float(own[-1].status == "failed"), labels)
        for status in ("done", "failed"):
            count = sum(run.status == status for run in own)
            yield Sample("tidemill_pipeline_runs_total", count, {**labels, "status": status})
        good = [run for run in own if run.status == "done"]
        if good:
            yield Sample("tidemill_pipeline_last_success_timestamp_seconds", good[-1].ended.timestamp(), labels)
            yield Sample("tidemill_data_as_of_timestamp_seconds", good[-1].as_of.timestamp(), labels)
    ages = [run.source_age_hours for run in runs if run.source_age_hours]
    for source, hours in (ages[-1] if ages else {}).items():
        yield Sample("tidemill_data_age_seconds", hours * _HOUR_SECONDS, {"source": source})
    changes = [run.source_changes for run in runs if run.source_changes]
    for source, count in (changes[-1] if changes else {}).items():
        yield Sample("tidemill_data_changes", count, {"source": source})


def _sample_inputs(result: MonitoringResult) -> Iterator[Sample]:
    for feature in result.features:
        values = {
            "psi": feature.psi,
            "psi_limit": feature.psi_limit,
            "importance_ratio": feature.importance_ratio,
            "missing_ratio": feature.missing_ratio,
            "reference_missing_ratio": feature.reference_missing_ratio,
            "unseen_ratio": feature.unseen_ratio,
            "out_of_range_ratio": feature.out_of_range_ratio,
        }
        for name, value in values.items():
            yield from _sample_if_known(f"tidemill_feature_{name}", value, {"feature": feature.name})
    yield from _sample_if_known("tidemill_drift_relevant_psi_ratio", result.drift.greatest_relevant_psi)
    yield from _sample_if_known("tidemill_drift_weighted_psi", result.drift.weighted_psi)
    yield from _sample_if_known("tidemill_prediction_psi", result.drift.prediction_psi)
    yield from _sample_if_known("tidemill_prediction_psi_limit", result.drift.prediction_psi_limit)
    for view in result.views:
        labels = {"view": view.view}
        yield Sample("tidemill_view_expired_ratio", view.expired_ratio, labels)
        yield Sample("tidemill_view_expired_rise_ratio", view.expired_rise, labels)
        yield Sample("tidemill_view_unknown_ratio", view.unknown_ratio, labels)
        yield from _sample_if_known("tidemill_view_age_p95_seconds", view.p95_seconds, labels)
    if result.skew:
        yield Sample("tidemill_skew_ratio", result.skew.different_ratio)
        yield Sample("tidemill_skew_rows", result.skew.rows)


def _sample_performance(performance: Performance) -> Iterator[Sample]:
    yield Sample("tidemill_performance_rows", performance.rows)
    yield Sample("tidemill_performance_limit", performance.limit, {"metric": performance.limit_metric})
    for metric, score in performance.scores.items():
        yield from _sample_estimate("tidemill_performance_score", score, {"metric": metric})
    for metric, released in performance.at_release.items():
        yield Sample("tidemill_performance_release_score", released, {"metric": metric})
    for estimated in performance.estimated:
        yield Sample("tidemill_performance_estimated_score", estimated.score, {"metric": estimated.metric})


def _sample_value(value: Value) -> Iterator[Sample]:
    yield Sample("tidemill_value_limit_per_1000", value.limit_per_1000)
    if "served" in value.contenders:
        yield Sample("tidemill_value_rows", value.contenders["served"].rows)
    for name, contender in value.contenders.items():
        yield Sample("tidemill_value_per_1000", contender.per_1000.estimate, {"contender": name})
        if gain := contender.gain_of_served_per_1000:
            yield from _sample_estimate("tidemill_value_gain_per_1000", gain, {"contender": name})


def _sample_estimate(name: str, estimate: Estimate, labels: Mapping[str, str]) -> Iterator[Sample]:
    yield Sample(name, estimate.estimate, labels)
    yield from _sample_if_known(f"{name}_low", estimate.low, labels)
    yield from _sample_if_known(f"{name}_high", estimate.high, labels)


def _sample_if_known(name: str, value: float | None, labels: Mapping[str, str] | None = None) -> Iterator[Sample]:
    if value is not None:
        yield Sample(name, value, labels or {})
