"""Measure what the decisions of a window earned, and what others would have earned on the same rows.

In: the served rows of a window, the alternatives, the contract's values and capacity. Out: `Value`, or None below the
contract's fewest rows. Called by the monitor.

All contenders decide on all rows of the window under the same capacity, since a row without a label used capacity too.
Then the scored rows are valued; differences are paired.

Notation
    scored     rows of the champion that are due and labelled, see `served_rows`
    w          rows that each logged one stands for, 1 / sampling ratio              (n,)
    v          value of a row's decision in the contract's currency                   (n,)
    total      sum of w v; per 1,000 predictions 1000 sum(w v) / sum(w)

Source: Horvitz, Thompson (1952), JASA 47(260), for the weights (the total); Hájek (1971), for the ratio.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from components.base.statistics.resampling import Resamples, bound_interval, draw_resamples, resample_mean
from components.base.task import Decisions, Task
from components.monitoring.alternatives import Alternative
from components.monitoring.performance import describe_interval
from components.monitoring.results import Contender, ContenderValue, Estimate, Value
from components.monitoring.served_rows import Array, ServedRows


@dataclass(frozen=True)
class _Earned:
    """One contender on the scored rows."""

    label: str
    decided: Decisions
    values: Array


def measure_value(
    task: Task, rows: ServedRows, alternatives: Mapping[Contender, Alternative], label: str
) -> Value | None:
    """Value the decisions of all contenders; None when fewer than `monitoring.minimum_rows` rows are scored.

    Args:
        task: The task; its contract has values, capacity and limit.
        rows: All rows of the window.
        alternatives: The other contenders; `current_solution` is compared with the limit, `no_action` with 0.
        label: Name of the champion.
    """
    scored, monitoring = rows.scored, task.problem.monitoring
    if scored.sum() < monitoring.minimum_rows:
        return None
    resamples = draw_resamples(rows.event_time[scored], task.problem.search.seed)
    served = _earn(task, rows, Alternative(label, rows.output, rows.decisions))
    contenders: dict[Contender, ContenderValue] = {"served": _describe(task, rows, served, None, resamples)}
    for name, alternative in alternatives.items():
        contenders[name] = _describe(task, rows, _earn(task, rows, alternative), served, resamples)
    limit = monitoring.minimum_value_gain_per_1000
    return Value(
        currency=task.problem.business.currency,
        contenders=contenders,
        limit_per_1000=limit,
        is_below_limit=_is_below(contenders, "current_solution", limit) or _is_below(contenders, "no_action", 0.0),
    )


def _is_below(contenders: Mapping[Contender, ContenderValue], name: Contender, limit: float) -> bool:
    gain = contenders[name].gain_of_served_per_1000 if name in contenders else None
    return gain is not None and gain.high is not None and gain.high < limit


def _earn(task: Task, rows: ServedRows, one: Alternative) -> _Earned:
    decided = task.operate(one.decisions, one.output, rows.event_time, rows.logged_ratio)[rows.scored]
    return _Earned(one.label, decided, task.value(rows.outcomes[rows.scored], decided))


def _describe(
    task: Task, rows: ServedRows, earned: _Earned, served: _Earned | None, resamples: Resamples
) -> ContenderValue:
    weights, acted = rows.weights[rows.scored], earned.decided.astype(bool)
    return ContenderValue(
        label=earned.label,
        rows=len(weights),
        actions=int(np.count_nonzero(acted)),
        right_actions=int(np.count_nonzero(acted & task.find_qualified(rows.outcomes[rows.scored]))),
        total=float(weights @ earned.values),
        per_1000=_average(earned.values, weights, resamples),
        gain_of_served_per_1000=_average(served.values - earned.values, weights, resamples) if served else None,
    )


def _average(values: Array, weights: Array, resamples: Resamples) -> Estimate:
    """Return the weighted mean per 1,000 rows with its interval."""
    draws = 1000 * resample_mean(values * weights, resamples) / resample_mean(weights, resamples)
    estimate = 1000 * float(values @ weights / weights.sum())
    return describe_interval(bound_interval(estimate, draws, resamples))
