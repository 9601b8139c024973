"""Limit actions to a capacity, in the order in which predictions are made.

A decision is final when its prediction is made: nobody knows whether a row with a stronger claim follows. So within a
period the first `capacity` rows that want the action get it, in the order of prediction, and of those predicted at the
same time the ones of the highest priority; then no more. A day of UTC has one period, or as many equal ones as the
contract says, each with an equal part of the day's capacity: without them a fixed policy spends a bad day's capacity
on its morning. Called by the tasks.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_MICROSECONDS_PER_DAY = 86_400_000_000


def number_days(times: pd.Series) -> NDArray[np.int64]:
    """Return the day of UTC of each time as days since 1970, shape (n,)."""
    return _microseconds(times) // _MICROSECONDS_PER_DAY


def limit_actions(
    wanted: NDArray[np.bool_],
    priority: NDArray[np.float64],
    predicted_at: pd.Series,
    capacity: int | None,
    periods: int = 1,
) -> NDArray[np.bool_]:
    """Return which of the rows that want the action get it, shape (n,), in the order of the rows given.

    Rows predicted at the same time are served by falling priority, equals in the order given. `capacity` is that of a
    day, None means no limit; each of the day's `periods` has an equal part of it, rounded down.
    """
    if capacity is None:
        return wanted
    times = _microseconds(predicted_at)
    order = np.lexsort((-priority, times))
    period_of_row = times[order] // (_MICROSECONDS_PER_DAY // periods)
    waiting: NDArray[np.int64] = np.cumsum(wanted[order])
    is_first_of_period = np.r_[True, period_of_row[1:] != period_of_row[:-1]]
    wanted_before = np.where(is_first_of_period, waiting - wanted[order], 0)
    place_in_period = waiting - np.maximum.accumulate(wanted_before)
    taken = np.empty(len(wanted), dtype=bool)
    taken[order] = wanted[order] & (place_in_period <= capacity // periods)
    return taken


def _microseconds(times: pd.Series) -> NDArray[np.int64]:
    return times.astype("datetime64[us, UTC]").to_numpy("datetime64[us]").astype(np.int64)
