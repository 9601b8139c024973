"""Measure how far the served rows of a window are from the training rows, and whether that matters.

In: the counts of a window and the reference, nothing else. Out: one `FeatureState` a feature, a `Drift`, and one
`ViewAge` a view. Called by the monitor.

Notation
    p, q    shares of the reference and of the window in the same bins, missing values and unseen categories being bins
    n, m    rows of the window and of the reference
    B       bins that are not empty in both
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import chi2

from components.base.contract.monitoring import Monitoring
from components.base.statistics.counts import CategoryCounts, NumericCounts, measure_psi, share_missing
from components.monitoring.reference import TrainingReference
from components.monitoring.results import Drift, FeatureState, ViewAge
from components.monitoring.served_quality import describe_age
from components.monitoring.window_counts import WindowCounts

# One feature in a thousand exceeds it without any change: with 45 features that is one window in twenty.
_NOISE_LEVEL = 0.999


def describe_features(
    reference: TrainingReference, counted: WindowCounts, limits: Monitoring
) -> tuple[FeatureState, ...]:
    """Describe every feature, the most important first; below `limits.minimum_rows` rows there is no PSI."""
    states, rows = [], counted.rows
    for feature in reference.features:
        before, now = reference.profile.columns[feature.name], counted.profile.columns[feature.name]
        importance = reference.importance[feature.name]
        psi = psi_limit = distance = wasserstein = None
        if rows >= limits.minimum_rows:
            # A feature that moved as much in windows of the training rows, such as the temperature, is no news.
            accepted = max(limits.drift.maximum_psi, reference.profile.shifts.get(feature.name, 0.0))
            psi, psi_limit = measure_psi(before, now), limit_psi(before, now, accepted)
            distance = measure_jensen_shannon(before, now)
            if isinstance(before, NumericCounts) and isinstance(now, NumericCounts):
                wasserstein = measure_wasserstein(before, now)
        drifts = psi is not None and psi_limit is not None and psi > psi_limit
        states.append(
            FeatureState(
                name=feature.name,
                source=feature.origin,
                kind=feature.kind,
                importance_ratio=importance,
                psi=psi,
                psi_limit=psi_limit,
                jensen_shannon=distance,
                wasserstein=wasserstein,
                missing_ratio=_share(now.missing, rows),
                reference_missing_ratio=share_missing(before),
                unseen_ratio=_share_unseen(before, now),
                out_of_range_ratio=_share(counted.outside[feature.name], rows),
                drifts=drifts,
                matters=drifts and importance >= limits.drift.minimum_importance,
            )
        )
    return tuple(sorted(states, key=lambda state: (-state.importance_ratio, state.name)))


def describe_drift(
    reference: TrainingReference, counted: WindowCounts, features: Sequence[FeatureState], limits: Monitoring
) -> Drift:
    """Summarise the PSI of the features, and compare the served outputs with those of the test rows.

    The mean PSI is weighted by importance, whose shares add up to 1 or are all 0. The greatest PSI, as a multiple of
    its limit, is that of a feature which is important enough.
    """
    psi = psi_limit = None
    scores, served = reference.profile.scores, counted.profile.scores
    if scores and served and counted.rows >= limits.minimum_rows:
        accepted = max(limits.drift.maximum_psi, reference.profile.score_shift)
        psi, psi_limit = measure_psi(scores, served), limit_psi(scores, served, accepted)
    weighted = [one.importance_ratio * one.psi for one in features if one.psi is not None and one.importance_ratio > 0]
    multiples = [
        (one.psi / one.psi_limit, one.name)
        for one in features
        if one.importance_ratio >= limits.drift.minimum_importance and one.psi is not None and one.psi_limit
    ]
    greatest, feature = max(multiples, key=lambda found: found[0], default=(None, None))
    return Drift(
        weighted_psi=sum(weighted) if weighted else None,
        greatest_relevant_psi=greatest,
        feature=feature,
        prediction_psi=psi,
        prediction_psi_limit=psi_limit,
        shift_days=reference.profile.shift_days,
    )


def describe_ages(reference: TrainingReference, counted: WindowCounts) -> tuple[ViewAge, ...]:
    """Describe how old the values of each feature view were when they were served."""
    return tuple(
        describe_age(view.name, view.ttl_seconds, counted.ages[view.name], reference.measure_missing(view))
        for view in reference.views
    )


def limit_psi(
    reference: NumericCounts | CategoryCounts, current: NumericCounts | CategoryCounts, maximum_psi: float
) -> float:
    """Return the PSI above which a feature drifts: the contract's limit or that of noise, whichever is larger.

    Rows of one distribution have a PSI of about chi2(B - 1) * (1/n + 1/m); its 0.999 quantile is the noise. Rows that
    share a cause, such as one storm, vary more: the contract's limit allows for them.

    Source: Yurdakul, Naranjo (2020), Statistical properties of the population stability index, Journal of Risk Model
    Validation 14(4).
    """
    before, now = reference.vector(), current.vector()
    if not before.sum() or not now.sum():
        return maximum_psi
    bins = int(((before > 0) | (now > 0)).sum())
    noise = chi2.ppf(_NOISE_LEVEL, max(bins - 1, 1)) * (1 / now.sum() + 1 / before.sum())
    return max(maximum_psi, float(noise))


def measure_jensen_shannon(
    reference: NumericCounts | CategoryCounts, current: NumericCounts | CategoryCounts
) -> float | None:
    """Return the Jensen-Shannon distance, base 2, 0 to 1; None when one of them is empty.

    Source: Lin (1991), Divergence measures based on the Shannon entropy, IEEE Transactions on Information Theory 37(1);
    Endres, Schindelin (2003), A new metric for probability distributions, the same journal 49(7).
    """
    p, q = reference.vector(), current.vector()
    if not p.sum() or not q.sum():
        return None
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    divergence = sum(float(np.sum(one[one > 0] * np.log2(one[one > 0] / middle[one > 0]))) for one in (p, q)) / 2
    # Rounding may leave a divergence of equal shares just below 0.
    return float(np.sqrt(max(divergence, 0.0)))


def measure_wasserstein(reference: NumericCounts, current: NumericCounts) -> float | None:
    """Return the Wasserstein distance of the known values in standard deviations of the reference.

    Each bin stands for its rows by their mean, so that the distance is never below the difference of the two means,
    and equals it where one distribution lies above the other in every bin. None when one is empty, or a constant moved.

    Source: Vallender (1974), Calculation of the Wasserstein distance between probability distributions on the line,
    Theory of Probability and its Applications 18(4).
    """
    p, q = (np.array(one.counts, dtype=np.float64) for one in (reference, current))
    if not p.sum() or not q.sum():
        return None
    places = np.concatenate([reference.means()[p > 0], current.means()[q > 0]])
    masses = np.concatenate([p[p > 0] / p.sum(), -q[q > 0] / q.sum()])
    order = np.argsort(places, kind="stable")
    distance = float(np.abs(np.cumsum(masses[order])[:-1]) @ np.diff(places[order]))
    deviation = reference.deviation()
    if deviation == 0:
        return 0.0 if distance == 0 else None
    return distance / deviation


def _share_unseen(before: NumericCounts | CategoryCounts, now: NumericCounts | CategoryCounts) -> float:
    """Return the share of unseen names, less the share that the reference itself left out for having too many names."""
    if not isinstance(before, CategoryCounts) or not isinstance(now, CategoryCounts):
        return 0.0
    known = _share(before.unseen, int(before.vector().sum()))
    return max(_share(now.unseen, int(now.vector().sum())) - known, 0.0)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
