"""List the findings on the inputs of a model: stale or missing features, drift, and training/serving skew.

In: a `MonitoringResult` and the contract's limits. Out: findings. Called by `collect`.
"""

from collections.abc import Iterator

from components.base.contract.problem import Problem
from components.base.text.wording import join_words, write_count, write_percent, write_score
from components.monitoring.findings.words import count_features, describe_reaction, name_features, write_span
from components.monitoring.results import FeatureState, MonitoringResult, ViewAge, WindowFinding

# Of the most different features, this many are named.
_NAMED = 4


def find_features(problem: Problem, result: MonitoringResult) -> Iterator[WindowFinding]:
    """Find views that are too old, and features that are missing more often than in training."""
    quality = problem.monitoring.quality
    stale = find_stale_views(problem, result)
    for view in stale:
        yield WindowFinding(
            severity="critical",
            topic="features",
            title=f"Values of {view.view} are too old",
            text=f"{write_percent(view.expired_ratio)} of {write_count(result.model_rows)} rows had values older than "
            f"{write_span(view.ttl_seconds)} and were served as missing, {write_percent(view.expired_rise)} more than "
            f"in training; {write_percent(quality.maximum_expired_rise)} more is accepted.",
            action="Run `make refresh` and find out why it did not run: the runbook is FeaturesStale.",
        )
    rises = [one for one in result.features if _rise(one) > quality.maximum_missing_rise]
    if rises and result.model_rows >= problem.monitoring.minimum_rows:
        worst = max(rises, key=_rise)
        is_explained = {one.source for one in rises} <= {view.view for view in stale}
        yield WindowFinding(
            severity="warning",
            topic="features",
            title=f"{count_features(rises, 'feature is', 'features are')} missing more often than in training",
            text=f"{name_features(rises)}: {worst.name} is missing in {write_percent(worst.missing_ratio)} of rows, "
            f"{write_percent(worst.reference_missing_ratio)} in training; a rise of "
            f"{write_percent(quality.maximum_missing_rise)} is accepted.",
            action="The stale view explains it: fix that first."
            if is_explained
            else "Check the newest quality report of `validate` and the source that the features are built from.",
        )


def find_stale_views(problem: Problem, result: MonitoringResult) -> list[ViewAge]:
    """Return the views that were too old in more rows than the contract accepts; none where there are few rows."""
    if result.model_rows < problem.monitoring.minimum_rows:
        return []
    return [view for view in result.views if view.expired_rise > problem.monitoring.quality.maximum_expired_rise]


def find_drift(problem: Problem, result: MonitoringResult) -> Iterator[WindowFinding]:
    """Find drift of important features, and note drift of others."""
    relevant = [one for one in result.features if one.matters]
    harmless = [one for one in result.features if one.drifts and not one.matters]
    if relevant:
        worst = max(relevant, key=lambda one: (one.psi or 0.0) / (one.psi_limit or 1.0))
        yield WindowFinding(
            severity="warning",
            topic="drift",
            title=f"{count_features(relevant, 'important feature', 'important features')} drifted",
            text=f"{name_features(relevant)}: the PSI of {worst.name} is {write_score(worst.psi)}, and "
            f"{write_score(worst.psi_limit)} is accepted; it has {write_percent(worst.importance_ratio)} of the "
            f"importance. {_prediction_words(result)}",
            action=describe_reaction(problem, "DriftMatters", "Check performance as soon as labels arrive."),
        )
    if harmless:
        least = problem.monitoring.drift.minimum_importance
        yield WindowFinding(
            severity="note",
            topic="drift",
            title=f"{count_features(harmless, 'unimportant feature', 'unimportant features')} drifted",
            text=f"{name_features(harmless)}: each has less than {write_percent(least)} of the importance. "
            f"{_prediction_words(result)}",
            action="Nothing to do.",
        )


def find_other_windows(problem: Problem, result: MonitoringResult) -> Iterator[WindowFinding]:
    """Note that the limits of drift come from windows of another length than those that are judged."""
    measured, judged = result.drift.shift_days, problem.monitoring.window_days
    if measured == judged or all(one.psi is None for one in result.features):
        return
    if measured is None:
        words = "An older platform trained the model: it measured how far thirds of the training time are apart."
    elif measured == 0:
        words = (
            "How far windows move within training is unknown, as none had enough rows: "
            f"{problem.monitoring.drift.maximum_psi:g} is the limit of all features."
        )
    else:
        words = f"The limits are what windows of {measured} days moved within training."
    yield WindowFinding(
        severity="note",
        topic="drift",
        title="The limits of drift are not those of such windows",
        text=f"{words} {judged} days are judged together: longer windows move less than shorter ones.",
        action=f"Train again, on at least {2 * judged} days.",
    )


def find_skew(problem: Problem, result: MonitoringResult) -> Iterator[WindowFinding]:
    """Find values that differ from the point-in-time join."""
    limit, skew = problem.monitoring.quality.maximum_skew_ratio, result.skew
    if skew is None or skew.different_ratio <= limit or result.model_rows < problem.monitoring.minimum_rows:
        return
    worst = [one.name for one in skew.features if one.different_ratio > limit][:_NAMED]
    yield WindowFinding(
        severity="warning",
        topic="skew",
        title="Features were served with other values than training would use",
        text=f"In a sample of {write_count(skew.rows)} rows {write_percent(skew.different_ratio)} of values differ "
        f"from the point-in-time join; {write_percent(limit)} is accepted. Most different: {join_words(worst)}.",
        action="Check that the online store was filled in time; else compare both paths for one row.",
    )


def _prediction_words(result: MonitoringResult) -> str:
    psi, limit = result.drift.prediction_psi, result.drift.prediction_psi_limit
    if psi is None or limit is None:
        return "There are too few predictions to compare."
    verb = "drifted too" if psi > limit else "did not drift"
    return f"The predictions {verb}: their PSI is {write_score(psi)}, and {write_score(limit)} is accepted."


def _rise(feature: FeatureState) -> float:
    return feature.missing_ratio - feature.reference_missing_ratio
