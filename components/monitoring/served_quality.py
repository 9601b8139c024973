"""The quality of what was served: values out of the contract's range, and features older than their time to live.

In: columns of one batch of the prediction log. Out: counts that add up, and `ViewAge`s of the counts of a window.
Called by `window_counts` and `drift`. Missing values and unseen categories are counted by the profile.

The predictor refuses a number out of range; it serves a text that is not allowed, as the contract's fallback says.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from components.base.contract.problem import Column
from components.monitoring.results import ViewAge

# Each age bin is 2 % wider than the one before, from a second to ten years: a quantile is wrong by 1 % at most.
_AGE_EDGES = np.geomspace(1.0, 10 * 366 * 86_400.0, 1000)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class AgeCounts:
    """How old the values of one view were."""

    rows: int
    unknown: int
    """Rows whose entity the store did not hold."""
    expired: int
    counts: tuple[int, ...] = (0,) * (len(_AGE_EDGES) + 1)
    """Known ages by bin; the first holds those below a second."""

    def add(self, other: Self) -> Self:
        """Return the counts of both."""
        return type(self)(
            rows=self.rows + other.rows,
            unknown=self.unknown + other.unknown,
            expired=self.expired + other.expired,
            counts=tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)),
        )

    def quantile(self, level: float) -> float | None:
        """Return the age in seconds that a share `level` of the known ages does not exceed; None without any."""
        known = self.rows - self.unknown
        if not known:
            return None
        place = int(np.searchsorted(np.cumsum(self.counts), level * known))
        if place in (0, len(_AGE_EDGES)):
            return 0.0 if place == 0 else float(_AGE_EDGES[-1])
        return float(np.sqrt(_AGE_EDGES[place - 1] * _AGE_EDGES[place]))


def count_ages(ages: Array, ttl_seconds: float | None) -> AgeCounts:
    """Count ages in seconds, shape (n,), NaN where the entity is unknown; an age equal to the limit has not expired."""
    known = ages[~np.isnan(ages)]
    codes = np.searchsorted(_AGE_EDGES, known, side="right")
    return AgeCounts(
        rows=len(ages),
        unknown=len(ages) - len(known),
        expired=0 if ttl_seconds is None else int((known > ttl_seconds).sum()),
        counts=tuple(np.bincount(codes, minlength=len(_AGE_EDGES) + 1).tolist()),
    )


def describe_age(view: str, ttl_seconds: float | None, ages: AgeCounts, reference_missing_ratio: float) -> ViewAge:
    """Describe the ages of a view's values, beside the share of training rows that had none."""
    return ViewAge(
        view=view,
        ttl_seconds=ttl_seconds,
        median_seconds=ages.quantile(0.5),
        p95_seconds=ages.quantile(0.95),
        expired_ratio=ages.expired / ages.rows if ages.rows else 0.0,
        unknown_ratio=ages.unknown / ages.rows if ages.rows else 0.0,
        reference_missing_ratio=reference_missing_ratio,
    )


def count_numbers_outside(values: Array, column: Column) -> int:
    """Count numbers below the contract's minimum or above its maximum; a missing one is not outside."""
    outside = np.zeros(len(values), dtype=bool)
    if column.minimum is not None:
        outside |= values < column.minimum
    if column.maximum is not None:
        outside |= values > column.maximum
    return int(outside.sum())


def count_names_outside(rows: Mapping[str, int], column: Column) -> int:
    """Count rows whose text the contract does not allow; `rows` holds their number by text."""
    return sum(
        number
        for name, number in rows.items()
        if (column.allowed is not None and name not in column.allowed)
        or (column.pattern is not None and not re.search(column.pattern, name))
    )
