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

Array = NDArray[np.float64]

# Enough that the 2.5 % quantile rests on 25 draws.
RESAMPLES = 1000
# With fewer days their resamples hardly differ and an interval would be made of a handful of values.
FEWEST_DAYS = 10
_RUNS = 50


@document_dataclass(frozen=True)
class Interval:
    """An estimate with its bounds; the bounds are not numbers where the rows cannot tell."""

    estimate: Number
    low: Number
    high: Number


@document_dataclass(frozen=True)
class Gain(Interval):
    """A difference whose only question is whether it is above something: positive is better."""

    floor: Number
    """Bound of the one-sided interval: the gain is larger with this confidence."""
    confidence: float = 0.95


@dataclass(frozen=True)
class Resamples:
    """The draws of one bootstrap, shared by everything that is to be compared."""

    blocks: NDArray[np.intp]
    """Block of each row, shape (n,)."""
    counts: Array
    """Times each block was drawn, shape (B, k)."""
    unit: str
    """`day` or `run`: what was drawn."""
    confidence: float = 0.95
    """Of every interval that is made of these draws."""

    def select(self, rows: NDArray[np.bool_]) -> "Resamples":
        """Return the same draws for some of the rows."""
        return replace(self, blocks=self.blocks[rows])


def draw_resamples(predicted_at: pd.Series, seed: int, resamples: int = RESAMPLES) -> Resamples:
    """Draw whole days with replacement; with fewer than ten days, runs of consecutive rows.

    Source for runs: Carlstein (1986), The Annals of Statistics 14(3) (blocks that do not overlap).
    """
    _, blocks = np.unique(number_days(predicted_at), return_inverse=True)
    unit = "day" if blocks.max() + 1 >= FEWEST_DAYS else "run"
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


def bound_interval(estimate: float, draws: Array, resamples: Resamples) -> Interval:
    """Return the expanded percentile interval at the confidence of the resamples.

    With few blocks the plain percentile interval is too narrow; its tails are widened by Student's t on k - 1 degrees
    of freedom. Source: Hesterberg (2015), What Teachers Should Know About the Bootstrap, The American Statistician
    69(4), section 5.3: alpha'/2 = Phi(-sqrt(k / (k - 1)) t(alpha/2, k - 1)).
    """
    from scipy.stats import norm, t

    blocks = len(np.unique(resamples.blocks)) if len(resamples.blocks) else 0
    defined = draws[np.isfinite(draws)]
    if blocks < 2 or len(defined) < len(draws) / 2:
        return Interval(estimate, float("nan"), float("nan"))
    quantile = t.ppf((1 - resamples.confidence) / 2, blocks - 1) * np.sqrt(blocks / (blocks - 1))
    tail = float(norm.cdf(quantile))
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(estimate, float(low), float(high))


def bound_gain(estimate: float, draws: Array, resamples: Resamples) -> Gain:
    """Return the two-sided interval of a gain, and the bound of the one-sided one of the same confidence.

    The two-sided interval leaves half of its error below; who only asks whether a gain is above zero may leave all.
    """
    interval = bound_interval(estimate, draws, resamples)
    one_sided = replace(resamples, confidence=2 * resamples.confidence - 1)
    floor = bound_interval(estimate, draws, one_sided).low
    return Gain(interval.estimate, interval.low, interval.high, floor, resamples.confidence)


def divide(numerator: Array, denominator: Array) -> Array:
    """Divide element by element; not a number where the denominator is not above 0."""
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)


def sum_blocks(resamples: Resamples, *columns: Array) -> Array:
    """Sum each row-wise column over the rows of each resample, shape (B, columns)."""
    size = resamples.counts.shape[1]
    sums = [np.bincount(resamples.blocks, weights=column, minlength=size) for column in columns]
    totals: Array = resamples.counts @ np.column_stack(sums)
    return totals
