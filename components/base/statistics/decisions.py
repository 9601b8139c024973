"""What decisions are worth: probabilities become decisions as they are operated, and decisions become money.

Notation
    y         outcome of each row, 0 or 1                                     (n,)
    p         predicted probability of outcome 1                              (n,)
    decided   whether the row got the action                                  (n,)
    value     of the decisions, in the currency of the contract, against doing nothing

A decision is final when its prediction is made: nobody knows whether a riskier row follows. So within a shift the
first `capacity` rows at or above the threshold get the action, in the order of prediction, and of those predicted at
the same moment the riskiest first; then no more. A day of UTC has one shift, or as many equal ones as the contract
says, each with an equal part of the day's capacity: without them a fixed threshold spends a bad day's capacity on its
morning. Called by the models phase (threshold, gates) and by monitoring.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from components.base.contract.binary import DecisionValues

Array = NDArray[np.float64]
_MICROSECONDS_PER_DAY = 86_400_000_000
# Candidate thresholds: one per half percent of the rows is finer than the value curve can tell apart.
THRESHOLD_CANDIDATES = 200


@dataclass(frozen=True)
class ThresholdPoint:
    """What one threshold does: actions taken, actions refused for lack of capacity, and what they are worth."""

    threshold: float
    actions: int
    over_capacity: int
    precision: float
    recall: float
    value_per_1000: float


def number_days(times: pd.Series) -> NDArray[np.int64]:
    """Return the day of UTC of each time as days since 1970, shape (n,)."""
    return _microseconds(times) // _MICROSECONDS_PER_DAY


def take_decisions(
    p: Array, threshold: float, predicted_at: pd.Series, capacity: int | None, shifts: int = 1
) -> NDArray[np.bool_]:
    """Return which rows get the action, shape (n,), in the order of the rows given.

    Rows predicted at the same moment are served by falling probability, equals in the order given. `capacity` is that
    of a day, None means no limit; each of the day's `shifts` has an equal part of it, rounded down.
    """
    wanted: NDArray[np.bool_] = np.asarray(p) >= threshold
    if capacity is None:
        return wanted
    moments = _microseconds(predicted_at)
    order = np.lexsort((-np.asarray(p), moments))
    periods = moments[order] // (_MICROSECONDS_PER_DAY // shifts)
    waiting: NDArray[np.int64] = np.cumsum(wanted[order])
    is_first_of_period = np.r_[True, periods[1:] != periods[:-1]]
    wanted_before = np.where(is_first_of_period, waiting - wanted[order], 0)
    place_in_period = waiting - np.maximum.accumulate(wanted_before)
    decided = np.empty(len(wanted), dtype=bool)
    decided[order] = wanted[order] & (place_in_period <= capacity // shifts)
    return decided


def value_rows(y: ArrayLike, decided: NDArray[np.bool_], values: DecisionValues) -> Array:
    """Return the value of each row's decision, shape (n,).

    Source: Elkan (2001), The Foundations of Cost-Sensitive Learning, IJCAI, section 1 (one value per cell of the
    confusion matrix).
    """
    is_positive = np.asarray(y) == 1
    with_action = np.where(is_positive, values.true_positive, values.false_positive)
    without = np.where(is_positive, values.false_negative, values.true_negative)
    worth: Array = np.where(decided, with_action, without).astype(np.float64)
    return worth


def value_per_1000(y: ArrayLike, p: Array, threshold: float, predicted_at: pd.Series, business: Any) -> float:
    """Return what the decisions are worth per 1,000 predictions, in the currency."""
    decided = take_decisions(p, threshold, predicted_at, business.capacity_per_day, business.capacity_periods_per_day)
    return float(value_rows(y, decided, business.values).mean() * 1000)


def trace_thresholds(
    y: Array, p: Array, predicted_at: pd.Series, business: Any, candidates: int = THRESHOLD_CANDIDATES
) -> list[ThresholdPoint]:
    """Return what each candidate threshold does, in rising order; the last one takes no action at all.

    Candidates are quantiles of p: between two of them hardly a decision changes.
    """
    quantiles = np.unique(np.quantile(p, np.linspace(0, 1, candidates), method="higher"))
    never = np.nextafter(quantiles[-1], np.inf)
    return [_measure_threshold(y, p, float(t), predicted_at, business) for t in [*quantiles, never]]


def choose_threshold(y: Array, p: Array, predicted_at: pd.Series, business: Any) -> ThresholdPoint:
    """Return, of the candidate thresholds that may be the best, the one nearest to the break-even.

    May be the best: behind the highest value by no more than one standard error of the difference, which is taken over
    days. The value is flat around its top, so that its highest point is mostly noise, while the break-even is right for
    calibrated probabilities. On a single day, or among equals, the highest value and then the highest threshold win.

    Source: Breiman et al. (1984), Classification and Regression Trees, section 3.4.3 (one standard error rule).
    """
    points = trace_thresholds(y, p, predicted_at, business)
    days, day_of_row = np.unique(number_days(predicted_at), return_inverse=True)
    values = np.array([_value_by_day(y, p, point.threshold, predicted_at, business, day_of_row) for point in points])
    best = max(range(len(points)), key=lambda n: (points[n].value_per_1000, points[n].threshold))
    if len(days) < 2:
        return points[best]
    behind = values[best] - values
    error = behind.std(axis=1, ddof=1) * np.sqrt(len(days))
    known = break_even(business)
    candidates = [n for n in range(len(points)) if n == best or 0 < behind[n].sum() <= error[n]]
    return points[min(candidates, key=lambda n: abs(points[n].threshold - known))]


def break_even(business: Any) -> float:
    """Return the probability at which the action neither earns nor costs; the threshold if capacity had no limit.

    Source: Elkan (2001), The Foundations of Cost-Sensitive Learning, IJCAI, eq. 2.
    """
    values = business.values
    cost = values.true_negative - values.false_positive
    benefit = values.true_positive - values.false_negative
    return cost / (cost + benefit)


def _value_by_day(
    y: Array,
    p: Array,
    threshold: float,
    predicted_at: pd.Series,
    business: Any,
    day_of_row: NDArray[np.int64],
) -> Array:
    decided = take_decisions(p, threshold, predicted_at, business.capacity_per_day, business.capacity_periods_per_day)
    by_day = np.bincount(day_of_row, weights=value_rows(y, decided, business.values))
    return np.asarray(by_day, dtype=np.float64)


def _microseconds(times: pd.Series) -> NDArray[np.int64]:
    return times.astype("datetime64[us, UTC]").to_numpy("datetime64[us]").astype(np.int64)


def _measure_threshold(y: Array, p: Array, threshold: float, predicted_at: pd.Series, business: Any) -> ThresholdPoint:
    decided = take_decisions(p, threshold, predicted_at, business.capacity_per_day, business.capacity_periods_per_day)
    actions, hits, positives = int(decided.sum()), float((decided * y).sum()), float(np.sum(y))
    return ThresholdPoint(
        threshold=threshold,
        actions=actions,
        over_capacity=int((p >= threshold).sum()) - actions,
        precision=hits / actions if actions else float("nan"),
        recall=hits / positives if positives else float("nan"),
        value_per_1000=float(value_rows(y, decided, business.values).mean() * 1000),
    )
