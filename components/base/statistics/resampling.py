"""Intervals by bootstrap over whole days, fast enough for every score, slice and difference of a release.

Notation
    n         rows
    k         blocks: the days of the rows, or 50 runs of consecutive rows when there are too few days
    B         resamples
    counts    how often each block was drawn in each resample    (B, k)

Flights of a day share weather and crews: rows of one day are dependent, so whole days are drawn (a cluster bootstrap:
Davison, Hinkley (1997), Bootstrap Methods and their Application, section 3.8; Field, Welsh (2007), JRSS B 69(3)). Two
models scored with the *same* `Resamples` are compared pair by pair: subtract their draws.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic.dataclasses import dataclass as document_dataclass

from components.base.documents import Number
from components.base.statistics.capacity import number_days
from components.base.statistics.scores import bin_rows, row_log_loss

Array = NDArray[np.float64]

# Enough that the 2.5 % quantile rests on 25 draws.
RESAMPLES = 1000
# With fewer days their resamples hardly differ and an interval would be made of a handful of values.
_FEWEST_DAYS = 10
_RUNS = 50
# Resamples worked on at once: 50 times 26,000 numbers are 5 MB and stay near the cache.
_CHUNK = 50


@document_dataclass(frozen=True)
class Interval:
    """An estimate with its bounds; the bounds are not numbers where the rows cannot tell."""

    estimate: Number
    low: Number
    high: Number


@dataclass(frozen=True)
class Resamples:
    """The draws of one bootstrap, shared by everything that is to be compared."""

    blocks: NDArray[np.intp]
    """Block of each row, shape (n,)."""
    counts: Array
    """Times each block was drawn, shape (B, k)."""
    unit: str
    """`day` or `run`: what was drawn."""

    def select(self, rows: NDArray[np.bool_]) -> "Resamples":
        """Return the same draws for some of the rows."""
        return replace(self, blocks=self.blocks[rows])


def draw_resamples(predicted_at: pd.Series, seed: int, resamples: int = RESAMPLES) -> Resamples:
    """Draw whole days with replacement; with fewer than ten days, runs of consecutive rows.

    Source for runs: Carlstein (1986), The Annals of Statistics 14(3) (blocks that do not overlap).
    """
    _, blocks = np.unique(number_days(predicted_at), return_inverse=True)
    unit = "day" if blocks.max() + 1 >= _FEWEST_DAYS else "run"
    if unit == "run":
        rows = len(predicted_at)
        in_time = predicted_at.reset_index(drop=True).rank(method="first").to_numpy() - 1
        blocks = (in_time * min(rows, _RUNS) // rows).astype(np.intp)
    size = int(blocks.max()) + 1
    counts = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=resamples)
    return Resamples(blocks, counts.astype(np.float64), unit)


def resample_mean(rows: ArrayLike, resamples: Resamples) -> Array:
    """Return the mean of a row-wise quantity in each resample, shape (B,)."""
    totals = sum_blocks(resamples, np.asarray(rows, dtype=np.float64), np.ones(len(resamples.blocks)))
    return divide(totals[:, 0], totals[:, 1])


def resample_score(metric: str, y: ArrayLike, p: ArrayLike, resamples: Resamples, threshold: float = 0.5) -> Array:
    """Return the metric in each resample, shape (B,); not a number where it is undefined.

    Equals `score` on the repeated rows, but for `calibration_error`, whose bins stay those of the whole sample.
    """
    outcomes, probabilities = np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64)
    if metric in ("average_precision", "roc_auc"):
        return _resample_ranking(metric, outcomes, probabilities, resamples)
    if metric == "log_loss":
        return resample_mean(row_log_loss(outcomes, probabilities), resamples)
    if metric == "brier":
        return resample_mean((probabilities - outcomes) ** 2, resamples)
    if metric == "f1":
        flagged = (probabilities >= threshold).astype(np.float64)
        totals = sum_blocks(resamples, 2 * flagged * outcomes, flagged + outcomes)
        return np.nan_to_num(divide(totals[:, 0], totals[:, 1]))
    return _resample_calibration_error(outcomes, probabilities, resamples)


def bound_interval(estimate: float, draws: Array, resamples: Resamples, confidence: float = 0.95) -> Interval:
    """Return the expanded percentile interval.

    With few blocks the plain percentile interval is too narrow; its tails are widened by Student's t on k - 1 degrees
    of freedom. Source: Hesterberg (2015), What Teachers Should Know About the Bootstrap, The American Statistician
    69(4), section 5.3: alpha'/2 = Phi(-sqrt(k / (k - 1)) t(alpha/2, k - 1)).
    """
    from scipy.stats import norm, t

    blocks = len(np.unique(resamples.blocks)) if len(resamples.blocks) else 0
    defined = draws[np.isfinite(draws)]
    if blocks < 2 or len(defined) < len(draws) / 2:
        return Interval(estimate, float("nan"), float("nan"))
    quantile = t.ppf((1 - confidence) / 2, blocks - 1) * np.sqrt(blocks / (blocks - 1))
    tail = float(norm.cdf(quantile))
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(estimate, float(low), float(high))


def divide(numerator: Array, denominator: Array) -> Array:
    """Divide element by element; not a number where the denominator is not above 0."""
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)


def sum_blocks(resamples: Resamples, *columns: Array) -> Array:
    """Sum each row-wise column over the rows of each resample, shape (B, columns)."""
    size = resamples.counts.shape[1]
    sums = [np.bincount(resamples.blocks, weights=column, minlength=size) for column in columns]
    totals: Array = resamples.counts @ np.column_stack(sums)
    return totals


def _resample_calibration_error(y: Array, p: Array, resamples: Resamples) -> Array:
    """Sum |mean p - mean y| over bins, weighted by their rows: the rows of a bin cancel out of weight and mean."""
    bins = bin_rows(p)
    gaps = sum_blocks(resamples, *((p - y) * (bins == number) for number in np.unique(bins)))
    rows = sum_blocks(resamples, np.ones(len(y)))[:, 0]
    return divide(np.abs(gaps).sum(axis=1), rows)


def _resample_ranking(metric: str, y: Array, p: Array, resamples: Resamples) -> Array:
    """Rank once, for the order of the rows is the same in every resample; then weigh the counts of each block."""
    values, ranks = np.unique(-p, return_inverse=True)
    shape = (resamples.counts.shape[1], len(values))
    cells = resamples.blocks * shape[1] + ranks
    hits, flagged = _accumulate(cells, y, shape), _accumulate(cells, np.ones(len(y)), shape)
    if metric == "roc_auc":
        return _weigh_pairs(hits, flagged - hits, resamples.counts)
    # Precision counts only where recall steps: the ties that hold a positive row.
    has_positive = np.diff(hits.sum(axis=0), prepend=0) > 0
    return _weigh_steps(hits[:, has_positive], flagged[:, has_positive], resamples.counts)


def _accumulate(cells: NDArray[np.intp], amounts: Array, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Sum the amounts of each block up to each tie, shape (k, ties); whole numbers, exact in float32 up to 16 million.

    `cells` is the place of each row in the flat table, so that many rows with few values take little memory.
    """
    table = np.bincount(cells, weights=amounts, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float32)
    return np.cumsum(table, axis=1, out=table)


def _weigh_steps(hits: NDArray[np.float32], flagged: NDArray[np.float32], counts: Array) -> Array:
    """Return average precision, shape (B,), from cumulative counts of blocks at the end of each tie, (k, ties)."""
    draws = np.full(len(counts), np.nan)
    if not hits.shape[1]:
        return draws
    for start in range(0, len(draws), _CHUNK):
        weights = counts[start : start + _CHUNK].astype(np.float32)
        found = weights @ hits
        precision = found / np.maximum(weights @ flagged, 1)
        steps = np.diff(found, axis=1, prepend=0)
        area = np.einsum("bt,bt->b", precision, steps, dtype=np.float64)
        draws[start : start + _CHUNK] = divide(area, found[:, -1].astype(np.float64))
    return draws


def _weigh_pairs(hits: NDArray[np.float32], alarms: NDArray[np.float32], counts: Array) -> Array:
    """Return ROC AUC, shape (B,): pairs ranked rightly are counted once for each pair of blocks, ties as one half."""
    positives = np.diff(hits, axis=1, prepend=0).astype(np.float64)
    ranked_above = alarms.astype(np.float64) - np.diff(alarms, axis=1, prepend=0) / 2
    right_pairs = positives @ (alarms[:, -1:] - ranked_above).T
    right = np.einsum("bi,ij,bj->b", counts, right_pairs, counts, optimize=True)
    return divide(right, (counts @ hits[:, -1]) * (counts @ alarms[:, -1]))
