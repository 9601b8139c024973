"""The profile of rows: counts per bin and category, the reference that later rows are compared with.

In: a table of features. Out: a `Profile`, JSON of counts only: no row can be read from it. Two profiles with the same
bins add up to the profile of both tables, so that a day's traffic is counted in pieces. Built by explore from training
rows; the monitor counts served rows in the same bins.

Notation
    edges     interior edges e_1 < ... < e_m of one number: bin 0 holds x < e_1, bin i holds e_i <= x < e_(i+1), the
              last one x >= e_m. The outer bins are open, so that values never seen before are counted too.
    shares    counts of a profile divided by their sum, missing values being a bin of their own
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict

from components.base.errors import DataError
from components.base.prepared import Feature

# Twenty bins of equal mass in the reference: with a day of 900 rows a bin still expects 45.
NUMERIC_BINS = 20
# More categories than this are rarer than one row in fifty: their sum drifts, one of them is noise.
CATEGORIES_KEPT = 50
# Half a row: keeps the logarithm of an empty bin finite without moving the others.
_SMOOTHING = 0.5


class _Counts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NumericCounts(_Counts):
    """Counts of one number per bin."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    missing: int

    def code(self, values: ArrayLike) -> NDArray[np.intp]:
        """Return the bin of each value, shape (n,); missing values get the number after the last bin."""
        numbers = np.asarray(values, dtype=np.float64)
        codes = np.searchsorted(np.asarray(self.edges), numbers, side="right")
        return np.where(np.isnan(numbers), len(self.edges) + 1, codes)

    def count(self, values: ArrayLike) -> Self:
        """Count other values in the same bins."""
        numbers = np.bincount(self.code(values), minlength=len(self.edges) + 2)
        return self.model_copy(update={"counts": tuple(numbers[:-1].tolist()), "missing": int(numbers[-1])})

    def vector(self) -> NDArray[np.float64]:
        """Return the counts in the order of the codes."""
        return np.array([*self.counts, self.missing], dtype=np.float64)


class CategoryCounts(_Counts):
    """Counts of one category per name; `other` are the names outside the reference."""

    counts: dict[str, int]
    other: int
    missing: int

    def code(self, values: pd.Series) -> NDArray[np.intp]:
        """Return the place of each value in `counts`, then `other`, then missing; shape (n,)."""
        places = pd.Index(self.counts, dtype=object).get_indexer(pd.Index(values, dtype=object))
        known = np.where(places < 0, len(self.counts), places)
        return np.where(values.isna().to_numpy(), len(self.counts) + 1, known)

    def count(self, values: pd.Series) -> Self:
        """Count other values by the same names."""
        numbers = np.bincount(self.code(values), minlength=len(self.counts) + 2).tolist()
        named = dict(zip(self.counts, numbers[:-2], strict=True))
        return self.model_copy(update={"counts": named, "other": numbers[-2], "missing": numbers[-1]})

    def vector(self) -> NDArray[np.float64]:
        """Return the counts in the order of the codes."""
        return np.array([*self.counts.values(), self.other, self.missing], dtype=np.float64)


class Profile(_Counts):
    """What rows look like, in counts."""

    version: Literal[1] = 1
    rows: int
    labelled: int
    """Rows whose outcome is known."""
    positives: int
    numeric: dict[str, NumericCounts]
    categorical: dict[str, CategoryCounts]
    scores: NumericCounts | None = None
    """Predicted probabilities, added by whoever has a model."""

    @property
    def columns(self) -> dict[str, NumericCounts | CategoryCounts]:
        """All features with their counts."""
        return {**self.numeric, **self.categorical}


def build_profile(rows: pd.DataFrame, features: Iterable[Feature], target: str) -> Profile:
    """Choose bins from the rows and count the rows in them. `target` holds 0, 1 or a missing value."""
    numeric, categorical = {}, {}
    for feature in features:
        if feature.kind == "numeric":
            numeric[feature.name] = profile_numbers(rows[feature.name])
        else:
            categorical[feature.name] = _profile_categories(rows[feature.name])
    return _count_target(
        Profile(rows=0, labelled=0, positives=0, numeric=numeric, categorical=categorical), rows, target
    )


def count_rows(reference: Profile, rows: pd.DataFrame, target: str) -> Profile:
    """Count other rows in the bins of the reference; a table without the target counts no outcomes."""
    counted = reference.model_copy(
        update={
            "numeric": {name: bins.count(rows[name]) for name, bins in reference.numeric.items()},
            "categorical": {name: bins.count(rows[name]) for name, bins in reference.categorical.items()},
            "scores": None,
        }
    )
    return _count_target(counted, rows, target)


def merge_profiles(first: Profile, second: Profile) -> Profile:
    """Add two profiles that were counted in the same bins.

    Raises:
        DataError: naming the features whose bins differ.
    """
    differing = [name for name in first.columns.keys() | second.columns.keys() if not _same_bins(first, second, name)]
    if differing:
        raise DataError(
            f"profile: both profiles must have the same bins, but {', '.join(sorted(differing))} differ. "
            "Count both with `count_rows` of one reference."
        )
    return Profile(
        rows=first.rows + second.rows,
        labelled=first.labelled + second.labelled,
        positives=first.positives + second.positives,
        numeric={name: _add_numbers(bins, second.numeric[name]) for name, bins in first.numeric.items()},
        categorical={name: _add_categories(bins, second.categorical[name]) for name, bins in first.categorical.items()},
        scores=_add_numbers(first.scores, second.scores) if first.scores and second.scores else None,
    )


def add_scores(profile: Profile, probabilities: ArrayLike, edges: Sequence[float] | None = None) -> Profile:
    """Return the profile with counts of predicted probabilities, in the edges given or in quantiles of their own."""
    numbers = pd.Series(np.asarray(probabilities, dtype=np.float64))
    bins = profile_numbers(numbers)
    if edges is not None:
        bins = NumericCounts(edges=tuple(edges), counts=(), missing=0).count(numbers)
    return profile.model_copy(update={"scores": bins})


def profile_numbers(values: pd.Series, bins: int = NUMERIC_BINS) -> NumericCounts:
    """Count numbers in bins at quantiles of themselves; equal quantiles are one edge, infinite values make none."""
    numbers = values.to_numpy(dtype=np.float64)
    finite = numbers[np.isfinite(numbers)]
    levels = np.linspace(0, 1, bins + 1)[1:-1]
    edges = np.unique(np.quantile(finite, levels, method="higher")) if len(finite) else np.array([])
    return NumericCounts(edges=tuple(edges.tolist()), counts=(), missing=0).count(numbers)


def measure_shift(reference: NumericCounts | CategoryCounts, current: NumericCounts | CategoryCounts) -> float:
    """Return the population stability index of two counts in the same bins; 0 is no shift, 0.25 is a large one.

    Empty bins count as half a row. Source: Siddiqi (2006), Credit Risk Scorecards, section 9; it is the Jeffreys
    divergence of the two distributions, in nats.
    """
    expected, actual = reference.vector() + _SMOOTHING, current.vector() + _SMOOTHING
    p, q = expected / expected.sum(), actual / actual.sum()
    return float(np.sum((q - p) * np.log(q / p)))


def read_profile(path: Path | str) -> Profile:
    """Read a profile's JSON."""
    return Profile.model_validate_json(Path(path).read_text(encoding="utf-8"))


def write_profile(profile: Profile, path: Path | str) -> None:
    """Write a profile as JSON; the same profile gives the same bytes."""
    Path(path).write_text(profile.model_dump_json(), encoding="utf-8")


def _profile_categories(values: pd.Series) -> CategoryCounts:
    counts = values.value_counts()
    ordered = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    names = {str(name): 0 for name, _ in ordered[:CATEGORIES_KEPT]}
    return CategoryCounts(counts=names, other=0, missing=0).count(values)


def _count_target(profile: Profile, rows: pd.DataFrame, target: str) -> Profile:
    outcomes = rows[target] if target in rows else pd.Series(dtype="float64")
    counted = {"rows": len(rows), "labelled": int(outcomes.notna().sum()), "positives": int(outcomes.sum())}
    return profile.model_copy(update=counted)


def _same_bins(first: Profile, second: Profile, name: str) -> bool:
    one, other = first.columns.get(name), second.columns.get(name)
    if isinstance(one, NumericCounts) and isinstance(other, NumericCounts):
        return one.edges == other.edges
    if isinstance(one, CategoryCounts) and isinstance(other, CategoryCounts):
        return list(one.counts) == list(other.counts)
    return False


def _add_numbers(one: NumericCounts, other: NumericCounts) -> NumericCounts:
    counts = tuple(a + b for a, b in zip(one.counts, other.counts, strict=True))
    return NumericCounts(edges=one.edges, counts=counts, missing=one.missing + other.missing)


def _add_categories(one: CategoryCounts, other: CategoryCounts) -> CategoryCounts:
    counts = {name: number + other.counts[name] for name, number in one.counts.items()}
    return CategoryCounts(counts=counts, other=one.other + other.other, missing=one.missing + other.missing)
