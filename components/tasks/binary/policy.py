"""The policy of a binary problem: act at or above a threshold, chosen by what the decisions earn under the capacity.

Notation
    y         outcome of each row, 0 or 1                                     (n,)
    p         predicted probability of outcome 1                              (n,)
    decided   whether the row got the action                                  (n,)
    value     of the decisions, in the currency of the contract, against doing nothing

In: outcomes and probabilities of rows that fitted nothing. Out: `ThresholdPolicy` and the value of every threshold.
Called through `BinaryTask` by judge, endpoint and monitor.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict

from components.base.contract.binary import BinaryBusiness, DecisionValues
from components.base.documents import Number
from components.base.statistics.capacity import limit_actions, number_days
from components.base.task import Output

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Candidate thresholds: one per half percent of the rows is finer than the value curve can tell apart.
THRESHOLD_CANDIDATES = 200
# A threshold is often the probability of a row itself. The compiled model adds in another order than scikit-learn: a
# last digit must not move such a row below it.
_ROUNDING = 1e-12


class ThresholdPolicy(BaseModel):
    """Act at or above one probability."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["threshold"] = "threshold"
    threshold: float
    """Probability from which the action is taken, in [0, 1] or just above every probability."""

    def apply(self, output: Output) -> Flags:
        """Return whether each row of the output, shape (n, 1), reaches the threshold, shape (n,)."""
        reached: Flags = output[:, 0] >= self.threshold - _ROUNDING
        return reached


@dataclass(frozen=True)
class ThresholdPoint:
    """What one threshold does: actions taken, actions refused for lack of capacity, and what they are worth."""

    threshold: float
    actions: int
    over_capacity: int
    precision: Number
    """Not a number without an action."""
    recall: Number
    """Not a number without a positive row."""
    value_per_1000: float


def operate(
    wanted: Flags, p: Array, predicted_at: pd.Series, business: BinaryBusiness, logged_ratio: float = 1.0
) -> Flags:
    """Return which rows get the action under the capacity, the riskiest of one time first.

    Where only a share of the requests is logged, the logged rows have that share of the capacity, but at least one
    action a period.
    """
    capacity = business.capacity_per_day
    if capacity is not None and logged_ratio < 1:
        capacity = max(round(capacity * logged_ratio), min(capacity, business.capacity_periods_per_day))
    return limit_actions(wanted, p, predicted_at, capacity, business.capacity_periods_per_day)


def value_rows(y: ArrayLike, decided: Flags, values: DecisionValues) -> Array:
    """Return the value of each row's decision, shape (n,).

    Source: Elkan (2001), The Foundations of Cost-Sensitive Learning, IJCAI, section 1 (one value per cell of the
    confusion matrix).
    """
    is_positive = np.asarray(y) == 1
    with_action = np.where(is_positive, values.true_positive, values.false_positive)
    without = np.where(is_positive, values.false_negative, values.true_negative)
    return np.where(decided, with_action, without).astype(np.float64)


def trace_thresholds(
    y: Array, p: Array, predicted_at: pd.Series, business: BinaryBusiness, candidates: int = THRESHOLD_CANDIDATES
) -> list[ThresholdPoint]:
    """Return what each candidate threshold does, in rising order; the last one takes no action at all.

    Candidates are quantiles of p: between two of them hardly a decision changes.
    """
    quantiles = np.unique(np.quantile(p, np.linspace(0, 1, candidates), method="higher"))
    never = np.nextafter(quantiles[-1], np.inf) + 2 * _ROUNDING
    return [_measure_threshold(y, p, float(t), predicted_at, business) for t in [*quantiles, never]]


def choose_threshold(y: Array, p: Array, predicted_at: pd.Series, business: BinaryBusiness) -> ThresholdPoint:
    """Return, of the candidate thresholds that may be the best, the one nearest to the break-even.

    May be the best: behind the highest value by no more than one standard error of the difference, which is taken over
    days. The value is flat around its top, so that its highest point is mostly noise, while the break-even is right for
    calibrated probabilities. On a single day, or among equals, the highest value and then the highest threshold win.

    Source: Breiman et al. (1984), Classification and Regression Trees, section 3.4.3 (one standard error rule).
    """
    points = trace_thresholds(y, p, predicted_at, business)
    days, day_of_row = np.unique(number_days(predicted_at), return_inverse=True)
    worth = [value_rows(y, _decide(p, point.threshold, predicted_at, business), business.values) for point in points]
    values = np.array([np.bincount(day_of_row, weights=of_rows) for of_rows in worth])
    best = max(range(len(points)), key=lambda n: (points[n].value_per_1000, points[n].threshold))
    if len(days) < 2:
        return points[best]
    behind = values[best] - values
    error = behind.std(axis=1, ddof=1) * np.sqrt(len(days))
    known = break_even(business)
    candidates = [n for n in range(len(points)) if n == best or 0 < behind[n].sum() <= error[n]]
    return points[min(candidates, key=lambda n: abs(points[n].threshold - known))]


def break_even(business: BinaryBusiness) -> float:
    """Return the probability at which the action neither earns nor costs; the threshold if capacity had no limit.

    Source: Elkan (2001), The Foundations of Cost-Sensitive Learning, IJCAI, eq. 2.
    """
    values = business.values
    cost = values.true_negative - values.false_positive
    benefit = values.true_positive - values.false_negative
    return cost / (cost + benefit)


def value_per_1000(
    y: ArrayLike, p: Array, threshold: float, predicted_at: pd.Series, business: BinaryBusiness
) -> float:
    """Return what the decisions at a threshold are worth per 1,000 predictions, in the currency."""
    decided = _decide(p, threshold, predicted_at, business)
    return float(value_rows(y, decided, business.values).mean() * 1000)


def _decide(p: Array, threshold: float, predicted_at: pd.Series, business: BinaryBusiness) -> Flags:
    wanted = ThresholdPolicy(threshold=threshold).apply(p[:, None])
    return operate(wanted, p, predicted_at, business)


def _measure_threshold(
    y: Array, p: Array, threshold: float, predicted_at: pd.Series, business: BinaryBusiness
) -> ThresholdPoint:
    wanted = ThresholdPolicy(threshold=threshold).apply(p[:, None])
    decided = operate(wanted, p, predicted_at, business)
    actions, hits, positives = int(decided.sum()), float((decided * y).sum()), float(np.sum(y))
    return ThresholdPoint(
        threshold=threshold,
        actions=actions,
        over_capacity=int(wanted.sum()) - actions,
        precision=hits / actions if actions else float("nan"),
        recall=hits / positives if positives else float("nan"),
        value_per_1000=float(value_rows(y, decided, business.values).mean() * 1000),
    )
