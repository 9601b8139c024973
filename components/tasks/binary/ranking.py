"""Bootstrap of the ranking metrics without ranking again: the order of the rows is the same in every resample.

Notation
    y    outcome of each row, 0 or 1                      (n,)
    p    predicted probability of outcome 1, in [0, 1]    (n,)
    k    blocks of the bootstrap
    B    resamples

Rows are ranked once; then the counts of each block are weighed by how often the block was drawn. Called by `metrics`.
"""

import numpy as np
from numpy.typing import NDArray

from components.base.statistics.resampling import Resamples, divide

Array = NDArray[np.float64]
Counts = NDArray[np.float32]

# Resamples worked on at once: 50 times 26,000 numbers are 5 MB and stay near the cache.
_CHUNK = 50


def resample_average_precision(y: Array, p: Array, resamples: Resamples) -> Array:
    """Return average precision in each resample, shape (B,); not a number where no row is positive."""
    hits, flagged = _count_ties(y, p, resamples)
    # Precision counts only where recall steps: the ties that hold a positive row.
    has_positive = np.diff(hits.sum(axis=0), prepend=0) > 0
    hits, flagged = hits[:, has_positive], flagged[:, has_positive]
    draws = np.full(len(resamples.counts), np.nan)
    if not hits.shape[1]:
        return draws
    for start in range(0, len(draws), _CHUNK):
        weights = resamples.counts[start : start + _CHUNK].astype(np.float32)
        found = weights @ hits
        precision = found / np.maximum(weights @ flagged, 1)
        steps = np.diff(found, axis=1, prepend=0)
        area = np.einsum("bt,bt->b", precision, steps, dtype=np.float64)
        draws[start : start + _CHUNK] = divide(area, found[:, -1].astype(np.float64))
    return draws


def resample_roc_auc(y: Array, p: Array, resamples: Resamples) -> Array:
    """Return ROC AUC in each resample, shape (B,); not a number where only one class is drawn.

    Pairs that are ranked rightly are counted once for each pair of blocks, ties as one half.
    """
    hits, flagged = _count_ties(y, p, resamples)
    alarms, counts = flagged - hits, resamples.counts
    positives = np.diff(hits, axis=1, prepend=0).astype(np.float64)
    ranked_above = alarms.astype(np.float64) - np.diff(alarms, axis=1, prepend=0) / 2
    right_pairs = positives @ (alarms[:, -1:] - ranked_above).T
    right = np.einsum("bi,ij,bj->b", counts, right_pairs, counts, optimize=True)
    return divide(right, (counts @ hits[:, -1]) * (counts @ alarms[:, -1]))


def _count_ties(y: Array, p: Array, resamples: Resamples) -> tuple[Counts, Counts]:
    """Return positive rows and rows of each block down to each tie of p, highest first, both of shape (k, ties)."""
    values, ranks = np.unique(-p, return_inverse=True)
    shape = (resamples.counts.shape[1], len(values))
    cells = resamples.blocks * shape[1] + ranks
    return _accumulate(cells, y, shape), _accumulate(cells, np.ones(len(y)), shape)


def _accumulate(cells: NDArray[np.intp], amounts: Array, shape: tuple[int, int]) -> Counts:
    """Sum the amounts of each block up to each tie, shape (k, ties); whole numbers, exact in float32 up to 16 million.

    `cells` is the place of each row in the flat table, so that many rows with few values take little memory.
    """
    table = np.bincount(cells, weights=amounts, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float32)
    return np.cumsum(table, axis=1, out=table)
