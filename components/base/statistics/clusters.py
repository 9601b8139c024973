"""Means of groups of rows whose days are one observation each: rows of one day share what happened on it.

Notation
    codes    group of each row, 0 to k - 1       (n,)
    y        outcome of each row                 (n,)
    days     number of the day of each row       (n,)

Called by the tasks' explorations.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.intp]
Array = NDArray[np.float64]
# 97.5 % quantile of the standard normal distribution: two-sided intervals of 95 %.
_NORMAL_QUANTILE = 1.96


@dataclass(frozen=True)
class GroupMean:
    """The mean outcome of one group, with an interval of 95 %."""

    rows: int
    mean: float
    low: float
    high: float


def mean_by_group(codes: Codes, y: Array, days: Codes, groups: int) -> list[GroupMean]:
    """Return the mean outcome of each group; the interval takes a day as one observation.

    Bounds are not numbers for a group seen on fewer than two days. Source: Cochran (1977), Sampling Techniques,
    eq. 6.13 (the variance of a ratio of totals over clusters).
    """
    number_of_days = int(days.max()) + 1
    cells = codes * number_of_days + days
    shape = (groups, number_of_days)
    rows = np.bincount(cells, minlength=groups * number_of_days).reshape(shape)
    sums = np.bincount(cells, weights=y, minlength=groups * number_of_days).reshape(shape)
    means = []
    for rows_by_day, sums_by_day in zip(rows, sums, strict=True):
        total, used = float(rows_by_day.sum()), int(np.count_nonzero(rows_by_day))
        mean = float(sums_by_day.sum() / total) if total else float("nan")
        if used < 2:
            means.append(GroupMean(int(total), mean, float("nan"), float("nan")))
            continue
        squares = float(np.sum((sums_by_day - mean * rows_by_day) ** 2))
        error = _NORMAL_QUANTILE * (used / (used - 1) * squares / total**2) ** 0.5
        means.append(GroupMean(int(total), mean, mean - error, mean + error))
    return means


def difference_of_means(in_group: NDArray[np.bool_], y: Array, days: Codes) -> tuple[float, float, float]:
    """Return the mean inside minus the mean outside the group with its interval; a day is one observation.

    Source: as `mean_by_group`, with the linearised difference of two ratios (Cochran 1977, section 6.15).
    """
    inside, outside = in_group.astype(np.float64), (~in_group).astype(np.float64)
    mean_in, mean_out = (float(y @ group / group.sum()) for group in (inside, outside))
    pull = (y - mean_in) * inside / inside.sum() - (y - mean_out) * outside / outside.sum()
    by_day = np.bincount(days, weights=pull)
    used = np.count_nonzero(np.bincount(days))
    if used < 2:
        return mean_in - mean_out, float("nan"), float("nan")
    error = _NORMAL_QUANTILE * float(np.sqrt(used / (used - 1) * np.sum(by_day**2)))
    return mean_in - mean_out, mean_in - mean_out - error, mean_in - mean_out + error
