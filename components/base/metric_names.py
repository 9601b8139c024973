"""The catalogue of metrics: every name that the exporter, the predictor and the governor show to Prometheus.

In: nothing. Out: `MetricFamily` by name for the exporter, and names by producer, from which the lint knows whether a
query of an alert or a dashboard names an exported metric. A test compares the names of predictor and governor with
their registries. Labels are few and bounded: never the id of a request, a run or an alert.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["gauge", "counter", "histogram"]
_HISTOGRAM_SUFFIXES = ("_bucket", "_sum", "_count")


@dataclass(frozen=True)
class MetricFamily:
    """One metric of the exporter."""

    name: str
    text: str
    """Help text; Prometheus and Grafana show it."""
    labels: tuple[str, ...] = ()
    """Beside `problem`, which all have."""
    kind: Kind = "gauge"


_MONITORING = (
    MetricFamily("tidemill_monitoring_last_success_timestamp_seconds", "Time at which the newest result was computed"),
    MetricFamily("tidemill_monitoring_as_of_timestamp_seconds", "End of the window of the newest result"),
    MetricFamily("tidemill_monitoring_rows", "Rows in the window that the champion predicted"),
    MetricFamily("tidemill_monitoring_traffic_rows", "Rows predicted in the window", ("model_version",)),
    MetricFamily("tidemill_monitoring_findings", "Findings of the newest result", ("severity",)),
    MetricFamily("tidemill_monitoring_model_info", "1 for the version of the champion", ("model_version",)),
)
_FEATURES = (
    MetricFamily("tidemill_feature_psi", "Population stability index (PSI) against the training rows", ("feature",)),
    MetricFamily("tidemill_feature_psi_limit", "PSI limit of the feature for this number of rows", ("feature",)),
    MetricFamily("tidemill_feature_importance_ratio", "Share of the model's permutation importance", ("feature",)),
    MetricFamily("tidemill_feature_missing_ratio", "Share of served rows without a value", ("feature",)),
    MetricFamily("tidemill_feature_reference_missing_ratio", "Share of training rows without a value", ("feature",)),
    MetricFamily("tidemill_feature_unseen_ratio", "Share of rows with a category unknown to training", ("feature",)),
    MetricFamily("tidemill_feature_out_of_range_ratio", "Share of rows outside the contract's range", ("feature",)),
    MetricFamily("tidemill_drift_relevant_psi_ratio", "Largest PSI of an important feature, in multiples of its limit"),
    MetricFamily("tidemill_drift_weighted_psi", "Mean PSI of the features, weighted by importance"),
    MetricFamily("tidemill_prediction_psi", "PSI of the predictions against those on the test rows of the release"),
    MetricFamily("tidemill_prediction_psi_limit", "PSI limit of the predictions for this number of rows"),
    MetricFamily("tidemill_view_expired_ratio", "Share of rows whose value was older than its time to live", ("view",)),
    MetricFamily("tidemill_view_expired_rise_ratio", "Expired ratio of served rows minus that of training", ("view",)),
    MetricFamily("tidemill_view_unknown_ratio", "Share of rows whose entity is not in the online store", ("view",)),
    MetricFamily("tidemill_view_age_p95_seconds", "95th percentile of the age of served values", ("view",)),
    MetricFamily("tidemill_skew_ratio", "Share of served values that differ from the point-in-time join"),
    MetricFamily("tidemill_skew_rows", "Rows whose served values were compared with the point-in-time join"),
)
_OUTCOMES = (
    MetricFamily("tidemill_label_coverage_ratio", "Share of due labels that have arrived"),
    MetricFamily("tidemill_label_due_rows", "Rows whose label is due"),
    MetricFamily("tidemill_label_overdue_rows", "Rows whose label is due and missing"),
    MetricFamily("tidemill_label_new_rows", "Labels that arrived since the champion was trained"),
    MetricFamily("tidemill_performance_rows", "Labelled rows behind the score"),
    MetricFamily("tidemill_performance_score", "Realised score on matured labels", ("metric",)),
    MetricFamily("tidemill_performance_score_low", "Lower end of its 95 % interval", ("metric",)),
    MetricFamily("tidemill_performance_score_high", "Upper end of its 95 % interval", ("metric",)),
    MetricFamily("tidemill_performance_release_score", "Score on the test rows of the release", ("metric",)),
    MetricFamily("tidemill_performance_estimated_score", "Estimated score on unlabelled rows (CBPE)", ("metric",)),
    MetricFamily("tidemill_performance_limit", "Worst score that the contract accepts", ("metric",)),
    MetricFamily("tidemill_value_rows", "Labelled rows behind the value"),
    MetricFamily(
        "tidemill_value_per_1000", "Value of a contender's decisions, currency per 1,000 predictions", ("contender",)
    ),
    MetricFamily(
        "tidemill_value_gain_per_1000", "Served minus the contender, currency per 1,000 predictions", ("contender",)
    ),
    MetricFamily("tidemill_value_gain_per_1000_low", "Lower end of its 95 % interval", ("contender",)),
    MetricFamily("tidemill_value_gain_per_1000_high", "Upper end of its 95 % interval", ("contender",)),
    MetricFamily("tidemill_value_limit_per_1000", "Smallest gain over the current solution that the contract accepts"),
)
_PIPELINES = (
    MetricFamily("tidemill_pipeline_last_success_timestamp_seconds", "End of the last successful run", ("pipeline",)),
    MetricFamily("tidemill_pipeline_last_run_seconds", "Duration of the last run", ("pipeline",)),
    MetricFamily("tidemill_pipeline_last_run_failed", "1 if the last run failed, else 0", ("pipeline",)),
    MetricFamily("tidemill_pipeline_runs_total", "Finished runs", ("pipeline", "status"), "counter"),
    MetricFamily("tidemill_data_as_of_timestamp_seconds", "Time up to which the last good run read", ("pipeline",)),
    MetricFamily("tidemill_data_age_seconds", "Age of the newest accepted row at the last run", ("source",)),
    MetricFamily("tidemill_data_changes", "Changes of the data that the last run found in its new rows", ("source",)),
)
_EXPORTER_ITSELF = (
    MetricFamily("tidemill_contract_limit", "Number of the contract that a query is compared with", ("field",)),
    MetricFamily("tidemill_exporter_last_read_success", "1 if the last read of the object store succeeded, else 0"),
    MetricFamily("tidemill_exporter_last_read_timestamp_seconds", "Time of the last successful read"),
)
EXPORTER = {family.name: family for family in (*_MONITORING, *_FEATURES, *_OUTCOMES, *_PIPELINES, *_EXPORTER_ITSELF)}
PREDICTOR: dict[str, Kind] = {
    "tidemill_predictor_requests_total": "counter",
    "tidemill_predictor_rows_total": "counter",
    "tidemill_predictor_missing_features_total": "counter",
    "tidemill_predictor_compiled": "gauge",
    "tidemill_predictor_request_seconds": "histogram",
    "tidemill_predictor_in_flight_requests": "gauge",
    "tidemill_predictor_lookup_seconds": "histogram",
    "tidemill_predictor_lookup_misses_total": "counter",
    "tidemill_predictor_lookup_expired_total": "counter",
    "tidemill_predictor_prediction": "histogram",
    "tidemill_predictor_probability": "histogram",
    "tidemill_predictor_decisions_total": "counter",
    "tidemill_predictor_model_info": "gauge",
    "tidemill_prediction_log_rows_total": "counter",
    "tidemill_prediction_log_queue_rows": "gauge",
    "tidemill_prediction_log_spool_bytes": "gauge",
}
GOVERNOR: dict[str, Kind] = {
    "tidemill_governor_rulings_total": "counter",
    "tidemill_governor_alerts_received_total": "counter",
    "tidemill_governor_run_in_flight": "gauge",
    "tidemill_governor_run_started_timestamp_seconds": "gauge",
    "tidemill_governor_runs_total": "counter",
    "tidemill_governor_budget_left": "gauge",
    "tidemill_governor_paused": "gauge",
    "tidemill_governor_escalations": "gauge",
    "tidemill_governor_database_up": "gauge",
}
# From Prometheus itself for each target, and from prometheus_client and KServe in every scraped process.
_FOREIGN: dict[str, Kind] = {
    "up": "gauge",
    "ALERTS": "gauge",
    "process_cpu_seconds_total": "counter",
    "process_resident_memory_bytes": "gauge",
    "request_predict_seconds": "histogram",
}


def list_series(families: dict[str, Kind]) -> Sequence[str]:
    """Return the series names of the families: a histogram has three."""
    return [
        f"{name}{suffix}"
        for name, kind in families.items()
        for suffix in (_HISTOGRAM_SUFFIXES if kind == "histogram" else ("",))
    ]


def exported_series() -> frozenset[str]:
    """Return every name that a query may use."""
    exporter: dict[str, Kind] = {family.name: family.kind for family in EXPORTER.values()}
    return frozenset(list_series({**exporter, **PREDICTOR, **GOVERNOR, **_FOREIGN}))
