"""What a contender did on the opened test rows: probabilities, decisions, money, and scores with intervals.

Notation
    y    outcome of each test row, 0 or 1          (n,)
    p    probabilities of one contender            (n,)
    B    resamples of days, the same for everybody

In: test rows and probabilities. Out: `Judged`, comparisons in pairs, and what the report shows of them. Called by
`evaluate`, slices and gates.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.contract.problem import Problem
from components.base.statistics.decisions import number_days, take_decisions, value_rows
from components.base.statistics.resampling import (
    Interval,
    Resamples,
    bound_interval,
    draw_resamples,
    resample_mean,
    resample_score,
)
from components.base.statistics.scores import METRICS, bin_calibration, gain, score

Document = dict[str, Any]
Array = NDArray[np.float64]

# Points of a drawn curve: more than the pixels of a phone can show apart.
_CURVE_POINTS = 100


@dataclass(frozen=True)
class OpenedTest:
    """The test rows of one release, with the resamples that everything on them is compared by."""

    problem: Problem
    rows: pd.DataFrame
    outcomes: Array
    resamples: Resamples


@dataclass(frozen=True)
class Judged:
    """One contender on the test rows."""

    label: str
    threshold: float
    probabilities: Array
    decided: NDArray[np.bool_]
    """Rows that would have got the action, under the capacity."""
    values: Array
    """Value of each row's decision, in the currency."""
    primary: float
    primary_draws: Array
    """The primary metric in each resample, shape (B,)."""


@dataclass(frozen=True)
class Comparison:
    """How much better the challenger is than another contender: positive is better, whatever the metric."""

    primary: Interval
    value_per_1000: Interval


def open_rows(problem: Problem, rows: pd.DataFrame) -> OpenedTest:
    """Take rows as the test of a release and draw the resamples."""
    outcomes = rows[problem.target.name].to_numpy(dtype=np.float64)
    return OpenedTest(problem, rows, outcomes, draw_resamples(rows["predicted_at"], problem.search.seed))


def judge(opened: OpenedTest, label: str, probabilities: Array, threshold: float) -> Judged:
    """Decide as the contender would have decided, and score it."""
    business, metric = opened.problem.business, opened.problem.metrics.primary
    limits = (business.capacity_per_day, business.capacity_shifts)
    decided = take_decisions(probabilities, threshold, opened.rows["predicted_at"], *limits)
    return Judged(
        label=label,
        threshold=threshold,
        probabilities=probabilities,
        decided=decided,
        values=value_rows(opened.outcomes, decided, business.values),
        primary=score(metric, opened.outcomes, probabilities, threshold),
        primary_draws=resample_score(metric, opened.outcomes, probabilities, opened.resamples, threshold),
    )


def compare(opened: OpenedTest, challenger: Judged, other: Judged) -> Comparison:
    """Compare two contenders on the same rows and the same resamples.

    Source: Efron, Tibshirani (1993), An Introduction to the Bootstrap, section 8.6 (paired data).
    """
    metric = opened.problem.metrics.primary
    lift = gain(metric, challenger.primary, other.primary)
    direction = 1 if METRICS[metric].higher_is_better else -1
    lifts = direction * (challenger.primary_draws - other.primary_draws)
    earned = (challenger.values - other.values) * 1000
    earnings = resample_mean(earned, opened.resamples)
    return Comparison(
        primary=bound_interval(lift, lifts, opened.resamples),
        value_per_1000=bound_interval(float(earned.mean()), earnings, opened.resamples),
    )


def describe_judged(opened: OpenedTest, judged: Judged) -> Document:
    """Return every metric and the value with intervals, and what the decisions were."""
    business = opened.problem.business
    value = bound_interval(
        float(judged.values.mean() * 1000), resample_mean(judged.values * 1000, opened.resamples), opened.resamples
    )
    actions, hits = int(judged.decided.sum()), float((judged.decided * opened.outcomes).sum())
    positives = float(opened.outcomes.sum())
    return {
        "label": judged.label,
        "threshold": judged.threshold,
        "scores": {metric: asdict(_score_with_interval(opened, judged, metric)) for metric in METRICS},
        "value_per_1000": asdict(value),
        "value_total": float(judged.values.sum()),
        "currency": business.currency,
        "actions": actions,
        "over_capacity": int((judged.probabilities >= judged.threshold).sum()) - actions,
        "precision": hits / actions if actions else None,
        "recall": hits / positives if positives else None,
    }


def describe_calibration(opened: OpenedTest, judged: Judged) -> list[Document]:
    """Return the points of the reliability curve."""
    return [asdict(group) for group in bin_calibration(opened.outcomes, judged.probabilities)]


def trace_curves(opened: OpenedTest, judged: Judged) -> Document:
    """Return the precision-recall and the ROC curve as pairs (x, y), thinned out for drawing."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    precision, recall, _ = precision_recall_curve(opened.outcomes, judged.probabilities)
    alarms, hits, _ = roc_curve(opened.outcomes, judged.probabilities)
    return {"precision_recall": _thin(recall, precision), "roc": _thin(alarms, hits)}


def sum_by_day(opened: OpenedTest, contenders: Mapping[str, Judged]) -> list[Document]:
    """Return the value that each contender's decisions earned on each day of UTC."""
    days = pd.to_datetime(number_days(opened.rows["predicted_at"]), unit="D").strftime("%Y-%m-%d")
    table = pd.DataFrame({name: judged.values for name, judged in contenders.items()}).groupby(days).sum()
    table.insert(0, "day", table.index)
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _score_with_interval(opened: OpenedTest, judged: Judged, metric: Any) -> Interval:
    if metric == opened.problem.metrics.primary:
        return bound_interval(judged.primary, judged.primary_draws, opened.resamples)
    y, p, threshold = opened.outcomes, judged.probabilities, judged.threshold
    draws = resample_score(metric, y, p, opened.resamples, threshold)
    return bound_interval(score(metric, y, p, threshold), draws, opened.resamples)


def _thin(x: Array, y: Array) -> list[list[float]]:
    places = np.unique(np.linspace(0, len(x) - 1, _CURVE_POINTS).astype(int))
    return [[round(float(x[place]), 5), round(float(y[place]), 5)] for place in places]
