"""The dashboard of the model: drift, features, performance, value and labels of the newest monitoring result.

In: nothing. Out: a `Board`. Called by `dashboards.list_boards`.
"""

from components.alerting.grafana.board import Board, Query, Row, contract, gauge, gauge_by, newest, series, stat
from components.alerting.promql import LAST_MONITORING

_MISSING_RISE = (
    f"{newest('tidemill_feature_missing_ratio', 'feature')}"
    f" - on (feature) {newest('tidemill_feature_reference_missing_ratio', 'feature')}"
)
# Only the metric that the contract limits has a limit.
_LIMITED = f"and on (problem, metric) {newest('tidemill_performance_limit', 'problem, metric')}"
_SCORES = {
    "score": "realised",
    "score_low": "95 % from",
    "score_high": "95 % to",
    "estimated_score": "estimated without labels",
    "release_score": "at release",
}
_RESULT = Row(
    "The newest result",
    (
        stat("Age of the result", Query(f"time() - {newest(LAST_MONITORING)}", "age"), unit="s", width=6).explain(
            "Everything below is as old as this. No alert on the model fires when it is too old."
        ),
        series(
            "Rows of the result",
            gauge("tidemill_monitoring_rows", "rows"),
            limit=contract("monitoring.minimum_rows"),
            width=6,
        ).explain("Rows that the champion predicted. With fewer than the contract's minimum no alert fires."),
        series(
            "Champion",
            gauge("tidemill_monitoring_model_info", "version {{model_version}}", "model_version"),
            width=6,
        ).explain("1 for the version that the result is about."),
        stat("Findings", gauge_by("tidemill_monitoring_findings", "severity"), width=6).explain(
            "Findings of the monitoring report, by severity."
        ),
    ),
)
_DRIFT = Row(
    "Drift",
    (
        series(
            "PSI of important features",
            gauge("tidemill_drift_relevant_psi_ratio", "multiple of the limit"),
            bad_from=1,
        ).explain("The largest PSI of a feature that is important to the model, in multiples of its limit."),
        series(
            "PSI of features",
            Query(f"topk(10, {newest('tidemill_feature_psi', 'feature')})", "{{feature}}"),
            limit=contract("monitoring.drift.maximum_psi"),
        ).explain("Population stability index (PSI) against the training rows, the ten largest."),
        series("Weighted PSI of all features", gauge("tidemill_drift_weighted_psi", "weighted")).explain(
            "Mean PSI of the features, weighted by importance."
        ),
        series(
            "PSI of the predictions",
            gauge("tidemill_prediction_psi", "predictions"),
            limit=newest("tidemill_prediction_psi_limit"),
        ).explain("Population stability index of the predictions against those on the test rows of the release."),
    ),
)
_FEATURES = Row(
    "Features as served",
    (
        series(
            "More missing than in training",
            Query(f"topk(10, {_MISSING_RISE})", "{{feature}}"),
            unit="percentunit",
            limit=contract("monitoring.quality.maximum_missing_rise"),
        ).explain("Rise of the share of missing values, the ten largest. A broken feed shows here first."),
        series(
            "Expired views",
            gauge_by("tidemill_view_expired_rise_ratio", "view"),
            unit="percentunit",
            limit=contract("monitoring.quality.maximum_expired_rise"),
        ).explain("Share of rows with an expired value of the view, minus that of training."),
        series(
            "Values unknown to training",
            Query(f"topk(5, {newest('tidemill_feature_unseen_ratio', 'feature')})", "{{feature}} unseen"),
            Query(f"topk(5, {newest('tidemill_feature_out_of_range_ratio', 'feature')})", "{{feature}} out of range"),
            unit="percentunit",
        ).explain("Share of rows with an unseen category or a number outside the contract's range, the five largest."),
        series(
            "Training/serving skew",
            gauge("tidemill_skew_ratio", "different"),
            unit="percentunit",
            limit=contract("monitoring.quality.maximum_skew_ratio"),
        ).explain("Share of served values that differ from the point-in-time join for the same keys and times."),
    ),
)
_SCORE_LINES = [
    Query(f"{newest(f'tidemill_performance_{name}', 'problem, metric')} {_LIMITED}", f"{{{{metric}}}} {text}")
    for name, text in _SCORES.items()
]
_PERFORMANCE = Row(
    "Performance",
    (
        series("Score on matured labels", *_SCORE_LINES, limit=newest("tidemill_performance_limit"), width=16).explain(
            "The metric that the contract limits. The alert needs the whole interval beyond the line."
        ),
        series(
            "Labelled rows",
            gauge("tidemill_performance_rows", "rows"),
            limit=contract("monitoring.minimum_rows"),
            width=8,
        ).explain("Rows behind the score."),
        series("All metrics", gauge_by("tidemill_performance_score", "metric"), width=24).explain(
            "Realised scores, also those without a limit."
        ),
    ),
)
_GAIN, _RULE = "tidemill_value_gain_per_1000", {"contender": "current_solution"}
_NOTHING = {"contender": "no_action"}
_VALUE = Row(
    "Value",
    (
        series("Value of the decisions", gauge_by("tidemill_value_per_1000", "contender"), width=8).explain(
            "In the contract's currency per 1,000 predictions: as served, and as each contender would have decided."
        ),
        series(
            "Gain over the current solution",
            gauge(_GAIN, "gain", **_RULE),
            gauge(f"{_GAIN}_low", "95 % from", **_RULE),
            gauge(f"{_GAIN}_high", "95 % to", **_RULE),
            limit=newest("tidemill_value_limit_per_1000"),
            width=8,
        ).explain("With its interval. The alert needs the whole interval below the line."),
        series(
            "Gain over doing nothing",
            gauge(_GAIN, "gain", **_NOTHING),
            gauge(f"{_GAIN}_low", "95 % from", **_NOTHING),
            gauge(f"{_GAIN}_high", "95 % to", **_NOTHING),
            width=8,
        ).explain("With its interval. The alert needs the whole interval below 0: the decisions lose money."),
    ),
)
_LABELS = Row(
    "Labels",
    (
        series(
            "Label coverage",
            gauge("tidemill_label_coverage_ratio", "coverage"),
            unit="percentunit",
            limit=contract("monitoring.minimum_label_coverage"),
            width=8,
        ).explain("Share of the due labels that have arrived."),
        series("Labels overdue", gauge("tidemill_label_overdue_rows", "overdue"), width=8).explain(
            "Rows whose label is due and missing."
        ),
        series(
            "New labels since training",
            gauge("tidemill_label_new_rows", "new"),
            limit=contract("retraining.minimum_new_labels"),
            width=8,
        ).explain("New rows for the next training. Below the line the governor holds."),
    ),
)
MODEL_BOARD = Board(
    name="model",
    title="Tidemill / Model",
    description="Do the inputs look like those of training, is the model right, and what does it earn?",
    rows=(_RESULT, _DRIFT, _FEATURES, _PERFORMANCE, _VALUE, _LABELS),
)
