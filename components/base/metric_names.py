"""Every metric of the platform: what the exporter shows, and the names that predictor and governor count under.

In: nothing. Out: `Family` by name for the exporter, names by producer for the lint of rules and dashboards, which
refuse a query of a metric that nobody exports. The names of the other two are checked against their registries by a
test. Labels are few and bounded: never the id of a request, a run or an alert.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["gauge", "counter", "histogram"]
_HISTOGRAM_SUFFIXES = ("_bucket", "_sum", "_count")


@dataclass(frozen=True)
class Family:
    """One metric of the exporter."""

    name: str
    text: str
    labels: tuple[str, ...] = ()
    """Beside `problem`, which all have."""
    kind: Kind = "gauge"


_MONITORING = (
    Family("tidemill_monitoring_last_success_timestamp_seconds", "Wall clock of the newest monitoring result"),
    Family("tidemill_monitoring_as_of_timestamp_seconds", "The moment that the newest monitoring result is about"),
    Family("tidemill_monitoring_rows", "Rows of the model in charge in the window"),
    Family("tidemill_monitoring_traffic_rows", "Rows predicted in the window", ("model_version",)),
    Family("tidemill_monitoring_findings", "Findings of the newest monitoring result", ("severity",)),
    Family("tidemill_monitoring_model_info", "1 for the model version in charge", ("model_version",)),
)
_FEATURES = (
    Family("tidemill_feature_shift", "Population stability index against the training rows, nats", ("feature",)),
    Family("tidemill_feature_shift_limit", "Limit of the shift in so many rows, nats", ("feature",)),
    Family("tidemill_feature_importance_ratio", "Share of the model's permutation importance", ("feature",)),
    Family("tidemill_feature_missing_ratio", "Share of rows served with the feature missing", ("feature",)),
    Family("tidemill_feature_reference_missing_ratio", "Share of training rows that lack the feature", ("feature",)),
    Family("tidemill_feature_unseen_ratio", "Share of rows with a category that training never saw", ("feature",)),
    Family("tidemill_feature_out_of_range_ratio", "Share of rows outside the contract's range", ("feature",)),
    Family(
        "tidemill_drift_relevant_shift_ratio", "Greatest shift of a feature that matters, in multiples of its limit"
    ),
    Family("tidemill_drift_weighted_shift", "Mean shift of the features weighted by importance, nats"),
    Family("tidemill_prediction_shift", "Population stability index of the predicted probabilities, nats"),
    Family("tidemill_prediction_shift_limit", "Limit of that shift in so many rows, nats"),
    Family("tidemill_view_expired_ratio", "Share of rows whose view was older than its time to live", ("view",)),
    Family("tidemill_view_expired_rise_ratio", "Rise of that share over the rows that training lacked", ("view",)),
    Family("tidemill_view_unknown_ratio", "Share of rows whose entity the online store did not hold", ("view",)),
    Family("tidemill_view_age_p95_seconds", "95th percentile of the age of served values", ("view",)),
    Family("tidemill_skew_ratio", "Share of served values that differ from the point-in-time join"),
    Family("tidemill_skew_rows", "Rows whose served values were compared with the point-in-time join"),
)
_OUTCOMES = (
    Family("tidemill_label_coverage_ratio", "Labels that came among those that are due"),
    Family("tidemill_label_due_rows", "Rows whose label is due"),
    Family("tidemill_label_overdue_rows", "Rows whose label is due and missing"),
    Family("tidemill_label_new_rows", "Labels that came since the model in charge was trained"),
    Family("tidemill_performance_rows", "Labelled rows that the score is computed on"),
    Family("tidemill_performance_score", "Realised score on matured labels", ("metric",)),
    Family("tidemill_performance_score_low", "Lower end of its 95 % interval", ("metric",)),
    Family("tidemill_performance_score_high", "Upper end of its 95 % interval", ("metric",)),
    Family("tidemill_performance_release_score", "Score on the test rows of the release", ("metric",)),
    Family("tidemill_performance_estimated_score", "Score that the probabilities promise without labels", ("metric",)),
    Family("tidemill_performance_limit", "Worst score that the contract accepts", ("metric",)),
    Family("tidemill_value_rows", "Labelled rows that the value is computed on"),
    Family(
        "tidemill_value_per_1000", "Value of a contender's decisions, currency per 1,000 predictions", ("contender",)
    ),
    Family("tidemill_value_gain_per_1000", "Served less the contender, currency per 1,000 predictions", ("contender",)),
    Family("tidemill_value_gain_per_1000_low", "Lower end of its 95 % interval", ("contender",)),
    Family("tidemill_value_gain_per_1000_high", "Upper end of its 95 % interval", ("contender",)),
    Family("tidemill_value_limit_per_1000", "Smallest gain over the current solution that the contract accepts"),
)
_PIPELINES = (
    Family("tidemill_pipeline_last_success_timestamp_seconds", "Wall clock of the last success", ("pipeline",)),
    Family("tidemill_pipeline_last_run_seconds", "Duration of the last run", ("pipeline",)),
    Family("tidemill_pipeline_last_run_failed", "1 when the last run failed", ("pipeline",)),
    Family("tidemill_pipeline_runs_total", "Runs that ended", ("pipeline", "status"), "counter"),
    Family("tidemill_data_as_of_timestamp_seconds", "Moment whose data the last good run saw", ("pipeline",)),
    Family("tidemill_data_age_seconds", "Age of the newest accepted row at the last run", ("source",)),
)
_OWN = (
    Family("tidemill_contract_limit", "Number in the contract that a query is compared with", ("field",)),
    Family("tidemill_exporter_last_read_success", "1 when the object store could be read at the last try"),
    Family("tidemill_exporter_last_read_timestamp_seconds", "Wall clock of the last good read"),
)
EXPORTER = {family.name: family for family in (*_MONITORING, *_FEATURES, *_OUTCOMES, *_PIPELINES, *_OWN)}
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
    "tidemill_predictor_probability": "histogram",
    "tidemill_predictor_decisions_total": "counter",
    "tidemill_predictor_model_info": "gauge",
    "tidemill_prediction_log_rows_total": "counter",
    "tidemill_prediction_log_queue_rows": "gauge",
    "tidemill_prediction_log_spool_bytes": "gauge",
}
GOVERNOR: dict[str, Kind] = {
    "tidemill_governor_decisions_total": "counter",
    "tidemill_governor_alerts_received_total": "counter",
    "tidemill_governor_run_in_flight": "gauge",
    "tidemill_governor_run_started_timestamp_seconds": "gauge",
    "tidemill_governor_runs_total": "counter",
    "tidemill_governor_budget_left": "gauge",
    "tidemill_governor_paused": "gauge",
    "tidemill_governor_escalations": "gauge",
    "tidemill_governor_database_up": "gauge",
}
# Made by Prometheus for each target, and by prometheus_client and KServe in every process that we scrape.
_FOREIGN: dict[str, Kind] = {
    "up": "gauge",
    "ALERTS": "gauge",
    "process_cpu_seconds_total": "counter",
    "process_resident_memory_bytes": "gauge",
    "request_predict_seconds": "histogram",
}


def list_series(families: dict[str, Kind]) -> Sequence[str]:
    """Return the names under which the families are stored: a histogram is three."""
    return [
        f"{name}{suffix}"
        for name, kind in families.items()
        for suffix in (_HISTOGRAM_SUFFIXES if kind == "histogram" else ("",))
    ]


def exported_series() -> frozenset[str]:
    """Return every name that a query may use."""
    exporter: dict[str, Kind] = {family.name: family.kind for family in EXPORTER.values()}
    return frozenset(list_series({**exporter, **PREDICTOR, **GOVERNOR, **_FOREIGN}))
