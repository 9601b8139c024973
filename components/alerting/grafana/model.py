"""The dashboard of the model: drift, features, performance, value and labels of the newest monitoring result.

In: nothing. Out: a `Board`. Called by `dashboards.list_boards`.
"""

from components.alerting.grafana.types import Board, Panel, Query, Row, contract, newest

_AGE = f"time() - {newest('tidemill_monitoring_last_success_timestamp_seconds')}"


def model_board() -> Board:
    """Return the dashboard `model`."""
    return Board(
        name="model",
        title="Tidemill / Model",
        description="Is the model asked about what it knows, is it right, and what does it earn?",
        rows=(_now(), _drift(), _features(), _performance(), _value(), _labels()),
    )


def _now() -> Row:
    return Row(
        "The newest result",
        (
            Panel(
                "Age of the result",
                "Everything below is as old as this. No alert on the model fires when it is too old.",
                "s",
                (Query(_AGE, "age"),),
                kind="stat",
                width=6,
            ),
            Panel(
                "Rows judged",
                "Rows of the model in charge. With fewer than the contract's minimum nothing is judged.",
                "short",
                (Query(newest("tidemill_monitoring_rows"), "rows"),),
                limit=contract("monitoring.minimum_rows"),
                width=6,
            ),
            Panel(
                "Version in charge",
                "1 for the model that the judgements are about.",
                "short",
                (
                    Query(
                        newest("tidemill_monitoring_model_info", "model_version"),
                        "version {{model_version}}",
                    ),
                ),
                width=6,
            ),
            Panel(
                "Findings",
                "What the monitoring report says, by gravity.",
                "short",
                (Query(newest("tidemill_monitoring_findings", "severity"), "{{severity}}"),),
                kind="stat",
                width=6,
            ),
        ),
    )


def _drift() -> Row:
    return Row(
        "Drift",
        (
            Panel(
                "Shift that matters",
                "The greatest shift among features that the model leans on, in multiples of its limit.",
                "short",
                (Query(newest("tidemill_drift_relevant_psi_ratio"), "multiple of the limit"),),
                bad_from=1,
            ),
            Panel(
                "Shift of features",
                "Population stability index against the training rows, the ten greatest.",
                "short",
                (Query(f"topk(10, {newest('tidemill_feature_psi', 'feature')})", "{{feature}}"),),
                limit=contract("monitoring.drift.maximum_psi"),
            ),
            Panel(
                "Shift of the inputs as a whole",
                "Mean shift, weighted by importance.",
                "short",
                (Query(newest("tidemill_drift_weighted_psi"), "weighted"),),
            ),
            Panel(
                "Shift of the predictions",
                "Population stability index of the probabilities against those on the test rows of the release.",
                "short",
                (Query(newest("tidemill_prediction_psi"), "predictions"),),
                limit=newest("tidemill_prediction_psi_limit"),
            ),
        ),
    )


def _features() -> Row:
    rise = (
        f"{newest('tidemill_feature_missing_ratio', 'feature')}"
        f" - on (feature) {newest('tidemill_feature_reference_missing_ratio', 'feature')}"
    )
    return Row(
        "Features as served",
        (
            Panel(
                "More missing than in training",
                "Rise of the share of missing values, the ten worst. A feed that broke shows here first.",
                "percentunit",
                (Query(f"topk(10, {rise})", "{{feature}}"),),
                limit=contract("monitoring.quality.maximum_missing_rise"),
            ),
            Panel(
                "Expired views",
                "Rise of the share of rows that a view was too old for, over that of training.",
                "percentunit",
                (Query(newest("tidemill_view_expired_rise_ratio", "view"), "{{view}}"),),
                limit=contract("monitoring.quality.maximum_expired_rise"),
            ),
            Panel(
                "Values that training never saw",
                "Share of rows with an unseen category or a number out of the contract's range, the five worst.",
                "percentunit",
                (
                    Query(f"topk(5, {newest('tidemill_feature_unseen_ratio', 'feature')})", "{{feature}} unseen"),
                    Query(
                        f"topk(5, {newest('tidemill_feature_out_of_range_ratio', 'feature')})",
                        "{{feature}} out of range",
                    ),
                ),
            ),
            Panel(
                "Training/serving skew",
                "Share of served values that differ from the point-in-time join for the same keys and moments.",
                "percentunit",
                (Query(newest("tidemill_skew_ratio"), "different"),),
                limit=contract("monitoring.quality.maximum_skew_ratio"),
            ),
        ),
    )


def _performance() -> Row:
    # The metric that the contract limits is the one of which there is a limit.
    only = f"and on (problem, metric) {newest('tidemill_performance_limit', 'problem, metric')}"
    scores = {"score": "realised", "score_low": "95 % from", "score_high": "95 % to"}
    others = {"estimated_score": "estimated without labels", "release_score": "at release"}
    return Row(
        "Performance",
        (
            Panel(
                "Score on matured labels",
                "The metric that the contract limits. The alert needs the whole interval beyond the line.",
                "short",
                tuple(
                    Query(
                        f"{newest(f'tidemill_performance_{name}', 'problem, metric')} {only}", f"{{{{metric}}}} {text}"
                    )
                    for name, text in (scores | others).items()
                ),
                limit=newest("tidemill_performance_limit"),
                width=16,
            ),
            Panel(
                "Labelled rows",
                "Rows that the score is computed on.",
                "short",
                (Query(newest("tidemill_performance_rows"), "rows"),),
                limit=contract("monitoring.minimum_rows"),
                width=8,
            ),
            Panel(
                "All metrics",
                "Realised scores, also those that no limit is on.",
                "short",
                (Query(newest("tidemill_performance_score", "metric"), "{{metric}}"),),
                width=24,
            ),
        ),
    )


def _value() -> Row:
    gain = "tidemill_value_gain_per_1000"
    against = {"contender": "current_solution"}
    return Row(
        "Value",
        (
            Panel(
                "Value of the decisions",
                "In the contract's currency per 1,000 predictions: as served, and as the others would have decided.",
                "short",
                (Query(newest("tidemill_value_per_1000", "contender"), "{{contender}}"),),
            ),
            Panel(
                "Gain over the current solution",
                "With its interval. The alert needs the whole interval below the line.",
                "short",
                (
                    Query(newest(gain, **against), "gain"),
                    Query(newest(f"{gain}_low", **against), "95 % from"),
                    Query(newest(f"{gain}_high", **against), "95 % to"),
                ),
                limit=newest("tidemill_value_limit_per_1000"),
            ),
        ),
    )


def _labels() -> Row:
    return Row(
        "Labels",
        (
            Panel(
                "Label coverage",
                "Share of the labels that are due and have come.",
                "percentunit",
                (Query(newest("tidemill_label_coverage_ratio"), "coverage"),),
                limit=contract("monitoring.minimum_label_coverage"),
                width=8,
            ),
            Panel(
                "Labels overdue",
                "Rows whose label is due and missing.",
                "short",
                (Query(newest("tidemill_label_overdue_rows"), "overdue"),),
                width=8,
            ),
            Panel(
                "New labels since training",
                "What a new model could learn from. Below the line the governor holds.",
                "short",
                (Query(newest("tidemill_label_new_rows"), "new"),),
                limit=contract("retraining.minimum_new_labels"),
                width=8,
            ),
        ),
    )
