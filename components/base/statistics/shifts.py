"""How far windows of some days move away from the other rows of the same time, and how far is usual.

In: counts by day, as in `base/statistics/counts.py`. Out: PSI by window, and the shift that drift must exceed. Explore
measures features in training rows with it, and registration the outputs of the model.

Notation
    D    days, from the first to the last, those without a row included
    B    bins
    W    windows of the same number of consecutive days, one beginning on each day
    F    features
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from components.base.statistics.counts import population_stability_index

Array = NDArray[np.float64]

# One window in twenty within training exceeds the accepted shifts.
_ACCEPTED_LEVEL = 0.95


def choose_window_days(wanted: int, days: int) -> int:
    """Return the days of the windows that are measured: as wanted, or half of the days where these are fewer than two.

    0 when no window leaves any other day.
    """
    return min(wanted, days // 2)


def count_by_day(codes: ArrayLike, days: ArrayLike, bins: int) -> Array:
    """Count the bin, (n,), of each row on its day, (n,), from 0; return shape (D, B)."""
    numbers, places = np.asarray(days, dtype=np.intp), np.asarray(codes, dtype=np.intp)
    size = int(numbers.max()) + 1 if len(numbers) else 0
    return np.bincount(numbers * bins + places, minlength=size * bins).reshape(size, bins).astype(np.float64)


def measure_windows(by_day: Array, window_days: int, minimum_rows: int) -> Array:
    """Return the PSI of each window against all rows outside it, shape (W,).

    Not a number where either holds fewer than `minimum_rows`: monitoring judges no such window.

    Args:
        by_day: Counts, shape (D, B).
        window_days: Days of a window; below 1 there is no window.
        minimum_rows: Rows, at least 1.
    """
    if window_days < 1:
        return np.empty(0)
    total, summed = by_day.sum(axis=0), np.vstack([np.zeros(by_day.shape[1]), by_day.cumsum(axis=0)])
    windows = summed[window_days:] - summed[:-window_days]
    return np.array(
        [
            population_stability_index(total - window, window)
            if min(window.sum(), (total - window).sum()) >= minimum_rows
            else np.nan
            for window in windows
        ]
    )


def accept_shifts(psi: Array, floor: float) -> Array:
    """Return the PSI per feature, shape (F,), so that in 95 % of the windows no feature exceeds its own.

    Of one feature it is the 95 % quantile. Of many, the 95 % quantile of each would be exceeded by one or the other in
    most windows: the same higher quantile is taken of each. 0 for all without a window.

    Source: Westfall, Young (1993), Resampling-Based Multiple Testing, section 2.3 (the smallest of all p-values).

    Args:
        psi: By window and feature, shape (W, F); windows that are not numbers are left out.
        floor: PSI that never counts as exceeding.
    """
    judged = psi[np.isfinite(psi).all(axis=1)]
    if not judged.size:
        return np.zeros(psi.shape[1])
    # Of each window, how many others moved further, in the feature in which there are the fewest.
    further = rankdata(-judged, method="min", axis=0) - 1
    fewest = np.where(judged > floor, further, len(judged)).min(axis=1)
    exceeding = int((1 - _ACCEPTED_LEVEL) * len(judged))
    place = min(int(np.sort(fewest)[exceeding]), exceeding)
    accepted: Array = np.sort(judged, axis=0)[::-1][place]
    return accepted
