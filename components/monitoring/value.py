"""Measure what the decisions of a window earned, and what others would have earned on the same rows.

In: the served rows of a window, the probabilities of the other contenders, the contract's values and capacity. Out:
`Value`, or None below the contract's fewest rows. Called by the monitor.

Decisions are taken first, on all rows: a row whose label is missing used capacity like any other. Then the judged ones
are valued. Every contender decides on all rows of the window under the same capacity; differences are in pairs.

Notation
    judged     rows of the version in charge that are due and labelled, see `served_rows`
    w          rows that each logged one stands for, 1 / sampling ratio              (n,)
    v          value of a row's decision in the contract's currency                   (n,)
    total      sum of w v; per 1,000 predictions 1000 sum(w v) / sum(w)

Source: Horvitz, Thompson (1952), JASA 47(260), for the weights (the total); Hájek (1971), for the ratio.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.base.contract.problem import Problem
from components.base.statistics.decisions import value_rows
from components.base.statistics.resampling import Resamples, bound_interval, draw_resamples, resample_mean
from components.monitoring.performance import describe_interval
from components.monitoring.results import Contender, ContenderValue, Estimate, Value
from components.monitoring.served_rows import Array, ServedRows, decide_rows


@dataclass(frozen=True)
class Rival:
    """Somebody who would have decided on the same rows."""

    label: str
    probabilities: Array
    """Of all rows of the window, shape (n,)."""
    threshold: float


@dataclass(frozen=True)
class _Earned:
    label: str
    decided: NDArray[np.bool_]
    values: Array
    """Of the judged rows."""


def measure_value(problem: Problem, rows: ServedRows, rivals: Mapping[Contender, Rival], label: str) -> Value | None:
    """Value the decisions of all contenders; None when fewer than `monitoring.minimum_rows` rows are judged.

    Args:
        problem: The contract.
        rows: All rows of the window.
        rivals: The others; `current_solution` is compared with the limit.
        label: What the version in charge is called.
    """
    judged, monitoring = rows.judged, problem.monitoring
    if judged.sum() < monitoring.minimum_rows:
        return None
    resamples = draw_resamples(rows.event_time[judged], problem.search.seed)
    served = _earn(problem, rows, Rival(label, rows.probabilities, 0.0), rows.thresholds)
    contenders: dict[Contender, ContenderValue] = {"served": _describe(rows, served, None, resamples)}
    for name, rival in rivals.items():
        contenders[name] = _describe(rows, _earn(problem, rows, rival, rival.threshold), served, resamples)
    limit = monitoring.minimum_value_gain_per_1000
    gain = contenders["current_solution"].gain_of_served_per_1000 if "current_solution" in contenders else None
    return Value(
        currency=problem.business.currency,
        contenders=contenders,
        limit_per_1000=limit,
        is_below_limit=gain is not None and gain.high is not None and gain.high < limit,
    )


def _earn(problem: Problem, rows: ServedRows, rival: Rival, thresholds: Array | float) -> _Earned:
    decided = decide_rows(rows, problem.business, rival.probabilities, thresholds)[rows.judged]
    return _Earned(rival.label, decided, value_rows(rows.outcomes[rows.judged], decided, problem.business.values))


def _describe(rows: ServedRows, earned: _Earned, served: _Earned | None, resamples: Resamples) -> ContenderValue:
    weights = rows.weights[rows.judged]
    return ContenderValue(
        label=earned.label,
        rows=len(weights),
        actions=int(earned.decided.sum()),
        right_actions=int(rows.outcomes[rows.judged][earned.decided].sum()),
        total=float(weights @ earned.values),
        per_1000=_average(earned.values, weights, resamples),
        gain_of_served_per_1000=_average(served.values - earned.values, weights, resamples) if served else None,
    )


def _average(values: Array, weights: Array, resamples: Resamples) -> Estimate:
    """Return the weighted mean per 1,000 rows with its interval."""
    draws = 1000 * resample_mean(values * weights, resamples) / resample_mean(weights, resamples)
    estimate = 1000 * float(values @ weights / weights.sum())
    return describe_interval(bound_interval(estimate, draws, resamples))
