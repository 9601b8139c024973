"""Counts of one feature: numbers by bin, categories by name, and the PSI between two of them.

In: values of one column. Out: `NumericCounts` or `CategoryCounts`, sums over rows only, so that two counts in the same
bins add up to the counts of all rows. Parts of a `Profile`; the monitor counts served rows in the same bins.

Notation
    edges     interior edges e_1 < ... < e_m of one number: bin 0 holds x < e_1, bin i holds e_i <= x < e_(i+1), the
              last one x >= e_m. The outer bins are open, so that values never seen before are counted too.
    shares    counts divided by their sum, missing values being a bin of their own
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict

# Half a row: keeps the logarithm of an empty bin finite without moving the others.
_SMOOTHING = 0.5
_OUTPUT_BINS = 10
# Larger numbers count as this one in sums: a million of their squares is still finite.
_LARGEST = 1e150
Array = NDArray[np.float64]


class BinCounts(BaseModel):
    """A closed, frozen document of counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NumericCounts(BinCounts):
    """Counts of one number per bin."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    missing: int
    sums: tuple[float, ...] = ()
    """Sum of the values in each bin; in it an infinite value counts as the nearest edge."""
    squares: float = 0.0
    """Sum of the squared differences of all values from their mean."""

    def code(self, values: ArrayLike) -> NDArray[np.intp]:
        """Return the bin of each value, shape (n,); missing values get the number after the last bin."""
        numbers = np.asarray(values, dtype=np.float64)
        codes = np.searchsorted(np.asarray(self.edges), numbers, side="right")
        return np.where(np.isnan(numbers), len(self.edges) + 1, codes)

    def count(self, values: ArrayLike) -> Self:
        """Count other values in the same bins."""
        numbers = np.asarray(values, dtype=np.float64)
        missing = np.isnan(numbers)
        known = numbers[~missing] if missing.any() else numbers
        codes = np.searchsorted(np.asarray(self.edges), known, side="right")
        size, summed = len(self.edges) + 1, known
        # One infinite value must not hide all others in the sums.
        if np.isinf(known).any():
            low, high = (self.edges[0], self.edges[-1]) if self.edges else (0.0, 0.0)
            summed = np.where(np.isposinf(known), high, np.where(np.isneginf(known), low, known))
        summed = np.clip(summed, -_LARGEST, _LARGEST)
        differences = summed - summed.mean() if len(summed) else summed
        counted = {
            "counts": tuple(np.bincount(codes, minlength=size).tolist()),
            "missing": len(numbers) - len(known),
            "sums": tuple(np.bincount(codes, weights=summed, minlength=size).tolist()),
            "squares": float(differences @ differences),
        }
        return self.model_copy(update=counted)

    def vector(self) -> Array:
        """Return the counts in the order of the codes."""
        return np.array([*self.counts, self.missing], dtype=np.float64)

    def means(self) -> Array:
        """Return the mean of each bin, shape (m + 1,); 0 for an empty one."""
        counts = np.array(self.counts, dtype=np.float64)
        return np.divide(self.sums, counts, out=np.zeros(len(counts)), where=counts > 0)

    def deviation(self) -> float:
        """Return the standard deviation of the known values; 0 when there are none."""
        known = sum(self.counts)
        return float(np.sqrt(self.squares / known)) if known else 0.0

    def has_bins_of(self, other: "NumericCounts | CategoryCounts | None") -> bool:
        """Return whether the other was counted in the same bins."""
        return isinstance(other, NumericCounts) and self.edges == other.edges

    def add(self, other: Self) -> Self:
        """Return the counts of both.

        Source: Chan, Golub, LeVeque (1979), Updating formulae and a pairwise algorithm for computing sample variances,
        equation 2.1.
        """
        here, there = sum(self.counts), sum(other.counts)
        squares = self.squares + other.squares
        if here and there:
            apart = sum(self.sums) / here - sum(other.sums) / there
            squares += apart**2 * here * there / (here + there)
        added = {
            "counts": tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)),
            "missing": self.missing + other.missing,
            "sums": tuple(a + b for a, b in zip(self.sums, other.sums, strict=True)),
            "squares": squares,
        }
        return self.model_copy(update=added)


class CategoryCounts(BinCounts):
    """Counts of one category per name."""

    counts: dict[str, int]
    other: int
    """Rows with a name of `rare`."""
    missing: int
    unseen: int = 0
    """Rows with a name that the reference does not know."""
    rare: tuple[str, ...] = ()
    """Names that the reference knows, but counts together."""

    def code(self, values: pd.Series) -> NDArray[np.intp]:
        """Return the place of each value in `vector`, shape (n,): names, then other, unseen and missing."""
        names = pd.Index([*self.counts, *self.rare], dtype=object)
        places = names.get_indexer(pd.Index(values, dtype=object))
        size = len(self.counts)
        codes = np.where(places < 0, size + 1, np.minimum(places, size))
        return np.where(values.isna().to_numpy(), size + 2, codes)

    def count(self, values: pd.Series) -> Self:
        """Count other values by the same names."""
        return self.count_names(values.value_counts(dropna=True).to_dict(), int(values.isna().sum()))

    def count_names(self, rows: Mapping[Any, int], missing: int) -> Self:
        """Take counts of other rows by name."""
        found: Counter[Any] = Counter(rows)
        named = {name: found[name] for name in self.counts}
        other = sum(found[name] for name in self.rare)
        unseen = found.total() - sum(named.values()) - other
        return self.model_copy(update={"counts": named, "other": other, "unseen": unseen, "missing": missing})

    def vector(self) -> Array:
        """Return the counts in the order of the codes."""
        return np.array([*self.counts.values(), self.other, self.unseen, self.missing], dtype=np.float64)

    def has_bins_of(self, other: "NumericCounts | CategoryCounts | None") -> bool:
        """Return whether the other was counted by the same names."""
        return isinstance(other, CategoryCounts) and list(self.counts) == list(other.counts) and self.rare == other.rare

    def add(self, other: Self) -> Self:
        """Return the counts of both."""
        added = {
            "counts": {name: rows + other.counts[name] for name, rows in self.counts.items()},
            "other": self.other + other.other,
            "unseen": self.unseen + other.unseen,
            "missing": self.missing + other.missing,
        }
        return self.model_copy(update=added)


def choose_edges(values: ArrayLike, bins: int) -> tuple[float, ...]:
    """Choose the edges of bins that hold about equally many of these values, shape (n,).

    A value of more rows than such a bin has a bin of its own, and the others share what is left: where 95 % of the rows
    are at one value, all quantiles are that value, and a bin at quantiles would hold every row. Values that are no
    finite number make no edge.

    Source: Siddiqi (2006), Credit Risk Scorecards, chapter 6 (special values are a group of their own).
    """
    numbers = np.asarray(values, dtype=np.float64)
    numbers = numbers[np.isfinite(numbers)]
    found, rows = np.unique(numbers, return_counts=True)
    special = found[rows * bins > len(numbers)]
    rest = numbers[~np.isin(numbers, special)] if len(special) else numbers
    left = max(round(bins * len(rest) / max(len(numbers), 1)), 1)
    edges = np.concatenate([special, np.nextafter(special, np.inf)])
    if len(rest):
        edges = np.concatenate([edges, np.quantile(rest, np.linspace(0, 1, left + 1)[1:-1], method="higher")])
    edges = np.unique(edges)
    return tuple(edges[np.isfinite(edges)].tolist())


def share_missing(counted: NumericCounts | CategoryCounts) -> float:
    """Return the share of the counted rows that have no value; 0 without rows."""
    rows = counted.vector().sum()
    return float(counted.missing / rows) if rows else 0.0


def measure_psi(reference: NumericCounts | CategoryCounts, current: NumericCounts | CategoryCounts) -> float:
    """Return the population stability index (PSI) of two counts in the same bins; 0 when they are equal.

    Bins that are empty in both are left out. A rule of thumb of credit scoring calls 0.1 small and 0.25 large.

    Source: Siddiqi (2006), Credit Risk Scorecards, chapter 9; equal to Jeffreys' divergence (1946).
    """
    return population_stability_index(reference.vector(), current.vector())


def measure_output_psi(reference: ArrayLike, current: ArrayLike) -> float:
    """Return the PSI of one column of outputs, counted in ten bins of equal size of the reference, as is usual."""
    bins = NumericCounts(edges=choose_edges(reference, _OUTPUT_BINS), counts=(), missing=0)
    return measure_psi(bins.count(reference), bins.count(current))


def population_stability_index(reference: ArrayLike, current: ArrayLike) -> float:
    """Return the PSI of two counts, a number a bin; see `measure_psi`."""
    p, q = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    occupied = (p > 0) | (q > 0)
    p, q = p[occupied] + _SMOOTHING, q[occupied] + _SMOOTHING
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum((q - p) * np.log(q / p)))
