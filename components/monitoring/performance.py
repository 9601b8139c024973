"""Measure how good the model in charge was on labels that have matured, beside its release and its own estimate.

In: the served rows of a window, columns for the slices, and `evaluation.json` of the model. Out: `Performance`, or None
below the contract's fewest rows. Called by the monitor. Intervals are by bootstrap over whole days, as at release.

Notation
    judged     rows of the version in charge that are due and labelled, see `served_rows`
    open       rows of the version in charge that are not judged: their label is missing, or came before it was due
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from components.base.contract.monitoring import PerformanceLimit
from components.base.contract.problem import Problem
from components.base.statistics.groups import name_groups
from components.base.statistics.resampling import Interval, Resamples, bound_interval, draw_resamples, resample_score
from components.base.statistics.scores import METRICS, score
from components.monitoring.estimate import ESTIMATED, estimate_score
from components.monitoring.results import Estimate, EstimatedPerformance, Performance, SliceScore
from components.monitoring.served_rows import Array, Flags, ServedRows

Document = Mapping[str, Any]
# Draws rank probabilities that differ by less as equals: their cost does not grow with the rows, and the ends of an
# interval move by less than the score itself would from one seed to the next.
_DIGITS = 4
# Many groups, for which two digits of an interval are enough.
_SLICE_DIGITS = 3
_SLICE_RESAMPLES = 400


def measure_performance(
    problem: Problem, rows: ServedRows, slices: Mapping[str, "pd.Series[Any]"], evaluation: Document
) -> Performance | None:
    """Score the judged rows; None when there are fewer than `monitoring.minimum_rows`.

    Args:
        problem: The contract.
        rows: All rows of the window.
        slices: The column of each slice of the contract, for all rows.
        evaluation: `evaluation.json` of the version in charge.
    """
    judged, limit = rows.judged, problem.monitoring.performance
    if judged.sum() < problem.monitoring.minimum_rows:
        return None
    y = rows.outcomes[judged]
    resamples = draw_resamples(rows.event_time[judged], problem.search.seed)
    scores = {metric: _score(metric, rows, judged, resamples) for metric in METRICS}
    bound = limit.minimum if limit.minimum is not None else limit.maximum
    return Performance(
        rows=len(y),
        mean_outcome=float(y.mean()),
        scores={metric: found for metric, found in scores.items() if found is not None},
        at_release=read_release_scores(evaluation),
        limit_metric=limit.metric,
        limit=float(bound or 0.0),
        is_below_limit=is_beyond(scores[limit.metric], limit),
        slices=tuple(_score_slices(problem, rows, slices, resamples, evaluation)),
        estimated=estimate_performance(rows, problem.monitoring.minimum_rows),
    )


def estimate_performance(rows: ServedRows, minimum_rows: int) -> tuple[EstimatedPerformance, ...]:
    """Estimate the scores of the open rows; none when there are fewer than `minimum_rows`."""
    judged = rows.judged
    still_open = rows.in_charge & ~judged
    if still_open.sum() < minimum_rows:
        return ()
    has_check = judged.sum() >= minimum_rows
    estimates = (
        EstimatedPerformance(
            metric=metric,
            rows=int(still_open.sum()),
            score=_estimate(metric, rows, still_open),
            on_labelled=_estimate(metric, rows, judged) if has_check else None,
        )
        for metric in ESTIMATED
    )
    return tuple(found for found in estimates if math.isfinite(found.score))


def is_beyond(found: Estimate | None, limit: PerformanceLimit) -> bool:
    """Whether the whole interval is on the wrong side of the limit; without an interval nothing is told."""
    if found is None or found.low is None or found.high is None:
        return False
    is_low = limit.minimum is not None and found.high < limit.minimum
    return is_low or (limit.maximum is not None and found.low > limit.maximum)


def read_release_scores(evaluation: Document) -> dict[str, float]:
    """Return the scores that the version had on the test rows of its release."""
    scores = evaluation.get("contenders", {}).get("challenger", {}).get("scores", {})
    known = {metric: scores[metric]["estimate"] for metric in METRICS if metric in scores}
    return {metric: float(value) for metric, value in known.items() if value is not None}


def describe_interval(interval: Interval) -> Estimate:
    """Return the interval with None for bounds that are not numbers."""
    low, high = (bound if math.isfinite(bound) else None for bound in (interval.low, interval.high))
    return Estimate(estimate=interval.estimate, low=low, high=high)


def _score(
    metric: str, rows: ServedRows, chosen: Flags, resamples: Resamples, digits: int = _DIGITS
) -> Estimate | None:
    """Score some rows with an interval; None where the metric is undefined."""
    y, p = rows.outcomes[chosen], _find_claims(metric, rows)[chosen]
    estimate = score(metric, y, p)
    if not math.isfinite(estimate):
        return None
    draws = resample_score(metric, y, np.round(p, digits), resamples)
    return describe_interval(bound_interval(estimate, draws, resamples))


def _find_claims(metric: str, rows: ServedRows) -> Array:
    """Return what a metric reads: probabilities, or for F1 whether each row reached its own threshold."""
    return (rows.probabilities >= rows.thresholds).astype(np.float64) if metric == "f1" else rows.probabilities


def _estimate(metric: str, rows: ServedRows, chosen: Flags) -> float:
    return estimate_score(metric, rows.probabilities[chosen], _find_claims("f1", rows)[chosen])


def _score_slices(
    problem: Problem,
    rows: ServedRows,
    slices: Mapping[str, "pd.Series[Any]"],
    resamples: Resamples,
    evaluation: Document,
) -> Iterator[SliceScore]:
    """Score the primary metric of each group that has enough rows."""
    metric, judged = problem.metrics.primary, rows.judged
    at_release = {
        (entry["column"], entry["group"]): entry["score"]["estimate"]
        for entry in evaluation.get("slices", [])
        if entry.get("score")
    }
    fewer = replace(resamples, counts=resamples.counts[:_SLICE_RESAMPLES])
    for declared in problem.slices:
        groups = name_groups(slices[declared.column]).to_numpy()
        for group in sorted(set(groups[judged])):
            chosen = judged & (groups == group)
            found = None
            if chosen.sum() >= declared.minimum_rows:
                found = _score(metric, rows, chosen, fewer.select(chosen[judged]), _SLICE_DIGITS)
            if found:
                yield SliceScore(
                    column=declared.column,
                    value=str(group),
                    rows=int(chosen.sum()),
                    score=found,
                    at_release=at_release.get((declared.column, str(group))),
                )
