"""Measure how good the champion was on matured labels, and estimate how good it is where labels are missing.

In: the served rows of a window, columns for the slices, and the evaluation of the champion's release. Out:
`Performance`, or None below the contract's fewest rows. Called by the monitor. Intervals are by bootstrap over whole
days, as at release.

Notation
    scored     rows of the champion that are due and labelled, see `served_rows`
    open       rows of the champion that are not scored: their label is missing, or came before it was due
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from components.base.contract.monitoring import PerformanceLimit
from components.base.statistics.groups import name_groups
from components.base.statistics.resampling import Interval, Resamples, bound_interval, draw_resamples
from components.base.task import Metric, Task
from components.models.documents import Evaluation
from components.monitoring.results import Estimate, EstimatedPerformance, Performance, SliceScore
from components.monitoring.served_rows import Flags, ServedRows

# Draws take outputs that round to the same number as equal: their cost does not grow with the rows, and the bounds of
# an interval move by less than from one seed to the next.
_DIGITS = 4
# There are many groups; two digits of an interval are enough.
_SLICE_DIGITS = 3
_SLICE_RESAMPLES = 400


def measure_performance(
    task: Task, rows: ServedRows, slices: Mapping[str, "pd.Series[Any]"], evaluation: Evaluation | None
) -> Performance | None:
    """Score the rows that can be scored; None when there are fewer than `monitoring.minimum_rows`.

    Args:
        task: The task; its contract has the limit and the slices.
        rows: All rows of the window.
        slices: The column of each slice of the contract, for all rows.
        evaluation: Of the champion's release; None where it is unknown.
    """
    scored, monitoring = rows.scored, task.problem.monitoring
    if scored.sum() < monitoring.minimum_rows:
        return None
    limit = monitoring.performance
    resamples = draw_resamples(rows.event_time[scored], task.problem.search.seed)
    scores = {name: _score(metric, rows, scored, resamples) for name, metric in task.metrics.items()}
    bound = limit.minimum if limit.minimum is not None else limit.maximum
    return Performance(
        rows=int(scored.sum()),
        mean_outcome=task.describe_outcomes(rows.outcomes[scored]).mean,
        scores={name: found for name, found in scores.items() if found is not None},
        at_release=read_release_scores(evaluation),
        limit_metric=limit.metric,
        limit=float(bound or 0.0),
        is_below_limit=is_beyond(scores[limit.metric], limit),
        slices=tuple(_score_slices(task, rows, slices, resamples, evaluation)),
        estimated=estimate_performance(task, rows),
    )


def estimate_performance(task: Task, rows: ServedRows) -> tuple[EstimatedPerformance, ...]:
    """Estimate the scores of the open rows; none when there are fewer than `monitoring.minimum_rows`."""
    scored, minimum_rows = rows.scored, task.problem.monitoring.minimum_rows
    still_open = rows.of_champion & ~scored
    if still_open.sum() < minimum_rows:
        return ()
    has_check = scored.sum() >= minimum_rows
    estimates = [
        EstimatedPerformance(
            metric=name,
            rows=int(still_open.sum()),
            score=metric.estimate(rows.output[still_open], rows.decisions[still_open]),
            on_labelled=metric.estimate(rows.output[scored], rows.decisions[scored]) if has_check else None,
        )
        for name, metric in task.metrics.items()
        if metric.estimate
    ]
    return tuple(found for found in estimates if math.isfinite(found.score))


def estimate_scored(task: Task, rows: ServedRows) -> float | None:
    """Estimate the limit's metric on the scored rows without their labels; None where it has no estimate."""
    metric, scored = task.metrics[task.problem.monitoring.performance.metric], rows.scored
    if not scored.any() or metric.estimate is None:
        return None
    expected = metric.estimate(rows.output[scored], rows.decisions[scored])
    return expected if math.isfinite(expected) else None


def is_beyond(found: Estimate | None, limit: PerformanceLimit) -> bool:
    """True if the whole interval violates the limit; False without an interval."""
    if found is None or found.low is None or found.high is None:
        return False
    is_low = limit.minimum is not None and found.high < limit.minimum
    return is_low or (limit.maximum is not None and found.low > limit.maximum)


def read_release_scores(evaluation: Evaluation | None) -> dict[str, float]:
    """Return the scores that the champion had on the test rows of its release; none where they are unknown."""
    if evaluation is None:
        return {}
    scores = evaluation.contenders["challenger"].scores
    return {name: found.estimate for name, found in scores.items() if math.isfinite(found.estimate)}


def describe_interval(interval: Interval) -> Estimate:
    """Return the interval with None for bounds that are not numbers."""
    low, high = (bound if math.isfinite(bound) else None for bound in (interval.low, interval.high))
    return Estimate(estimate=interval.estimate, low=low, high=high)


def _score(
    metric: Metric, rows: ServedRows, chosen: Flags, resamples: Resamples, digits: int = _DIGITS
) -> Estimate | None:
    """Score some rows with an interval; None where the metric is undefined."""
    y, output, decisions = rows.outcomes[chosen], rows.output[chosen], rows.decisions[chosen]
    estimate = metric.score(y, output, decisions)
    if not math.isfinite(estimate):
        return None
    draws = metric.resample(y, np.round(output, digits), decisions, resamples)
    return describe_interval(bound_interval(estimate, draws, resamples))


def _score_slices(
    task: Task,
    rows: ServedRows,
    slices: Mapping[str, "pd.Series[Any]"],
    resamples: Resamples,
    evaluation: Evaluation | None,
) -> Iterator[SliceScore]:
    """Score the primary metric of each group that has enough rows."""
    scored, known = rows.scored, evaluation.slices if evaluation else ()
    at_release = {
        (one.column, one.group): one.score.estimate for one in known if one.score and math.isfinite(one.score.estimate)
    }
    fewer = replace(resamples, counts=resamples.counts[:_SLICE_RESAMPLES])
    for declared in task.problem.slices:
        groups = name_groups(slices[declared.column]).to_numpy()
        for group in sorted(set(groups[scored])):
            chosen = scored & (groups == group)
            found = None
            if chosen.sum() >= declared.minimum_rows:
                found = _score(task.primary, rows, chosen, fewer.select(chosen[scored]), _SLICE_DIGITS)
            if found:
                yield SliceScore(
                    column=declared.column,
                    value=str(group),
                    rows=int(chosen.sum()),
                    score=found,
                    at_release=at_release.get((declared.column, str(group))),
                )
