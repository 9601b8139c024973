"""Search for groups of rows where the model knows little, found on one half of the days and confirmed on the other.

Notation
    s    a group: one value or quartile of one feature, or of two features together
    a    advantage of the model in a row: log loss of always forecasting the group's rate, minus its own, in nats

A group with a mean of a below 0 would be forecast better by its own past rate than by the model. The rate does not
favour groups with few or many positive rows, as the plain loss would. Called by `evaluate`; it informs, gates nothing.

Source: Chung et al. (2019), Slice Finder: Automated Data Slicing for Model Validation, ICDE; Holm (1979), Scandinavian
Journal of Statistics 6(2) (several tests); Cameron, Miller (2015), Journal of Human Resources 50(2), eq. 11 (days as
clusters).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.statistics.decisions import number_days
from components.base.statistics.groups import name_groups
from components.base.statistics.scores import row_log_loss
from components.models.scorecard import OpenedTest

Document = dict[str, Any]
Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Groups confirmed: with more, the correction for several tests would leave none.
_CANDIDATES = 5
# Smallest group on the searched half, as a share of its rows and as a number.
_SMALLEST_SHARE = 0.02
_FEWEST_ROWS = 100
# Two groups that share more of their rows than this are one finding.
_LARGEST_OVERLAP = 0.5


@dataclass(frozen=True)
class Group:
    """Rows of a value of one feature or of two, with the strength of the suspicion (more negative is worse)."""

    conditions: tuple[tuple[str, str], ...]
    suspicion: float


def find_weak_spots(opened: OpenedTest, probabilities: Array, features: Sequence[str]) -> list[Document]:
    """Return at most five groups, the most suspicious first, each with its numbers on both halves."""
    groups = pd.DataFrame({name: name_groups(opened.rows[name]) for name in features})
    _, days = np.unique(number_days(opened.rows["predicted_at"]), return_inverse=True)
    searched, losses = days % 2 == 0, row_log_loss(opened.outcomes, probabilities)
    suspects = _list_suspects(groups[searched], opened.outcomes[searched], losses[searched])
    found = _take_apart(groups, searched, suspects)
    described = [
        _confirm(opened, probabilities, days, searched, _select(groups, group)) | {"conditions": _word(group)}
        for group in found
    ]
    return _adjust(described)


def _list_suspects(groups: pd.DataFrame, outcomes: Array, losses: Array) -> list[Group]:
    """Measure every large enough group of one and two features on the searched half."""
    smallest = max(_FEWEST_ROWS, int(_SMALLEST_SHARE * len(groups)))
    codes: dict[str, Any] = {str(name): pd.factorize(groups[name]) for name in groups}
    suspects = [_measure((name,), codes, outcomes, losses, smallest) for name in codes]
    suspects += [_measure(pair, codes, outcomes, losses, smallest) for pair in itertools.combinations(codes, 2)]
    return sorted(itertools.chain.from_iterable(suspects), key=lambda group: group.suspicion)


def _measure(
    names: tuple[str, ...], codes: dict[str, Any], outcomes: Array, losses: Array, smallest: int
) -> list[Group]:
    """Return the groups of these features; suspicion is the mean advantage times the root of the rows."""
    shape = tuple(len(codes[name][1]) for name in names)
    cells = np.ravel_multi_index(tuple(codes[name][0] for name in names), shape)
    size = int(np.prod(shape))
    rows = np.bincount(cells, minlength=size)
    large = np.flatnonzero(rows >= smallest)
    counts = rows[large]
    rates = np.bincount(cells, weights=outcomes, minlength=size)[large] / counts
    known = np.bincount(cells, weights=losses, minlength=size)[large] / counts
    suspicions = (row_log_loss(rates, rates) - known) * np.sqrt(counts)
    places = np.column_stack(np.unravel_index(large, shape))
    return [
        Group(tuple((name, str(codes[name][1][code])) for name, code in zip(names, row, strict=True)), float(value))
        for row, value in zip(places, suspicions, strict=True)
    ]


def _take_apart(groups: pd.DataFrame, searched: Mask, suspects: Sequence[Group]) -> list[Group]:
    """Take the most suspicious groups that are not mostly the same rows."""
    taken: list[tuple[Group, Mask]] = []
    for group in suspects:
        rows = _select(groups, group) & searched
        overlaps = [(rows & other).sum() / (rows | other).sum() for _, other in taken]
        if all(overlap <= _LARGEST_OVERLAP for overlap in overlaps):
            taken.append((group, rows))
        if len(taken) == _CANDIDATES:
            break
    return [group for group, _ in taken]


def _select(groups: pd.DataFrame, group: Group) -> Mask:
    masks = [(groups[name] == value).to_numpy() for name, value in group.conditions]
    selected: Mask = np.logical_and.reduce(masks)
    return selected


def _confirm(opened: OpenedTest, probabilities: Array, days: Any, searched: Mask, rows: Mask) -> Document:
    """Measure the group on the other half, against the rate of the searched half, and test it."""
    found, confirmed = rows & searched, rows & ~searched
    rate = float(opened.outcomes[found].mean())
    advantages = row_log_loss(opened.outcomes, np.full(len(rows), rate)) - row_log_loss(opened.outcomes, probabilities)
    return {
        "found": _describe(opened.outcomes, probabilities, advantages, found),
        "confirmed": _describe(opened.outcomes, probabilities, advantages, confirmed),
        "p_value": mean_below_zero_p_value(advantages[confirmed], days[confirmed]),
    }


def mean_below_zero_p_value(values: Array, clusters: NDArray[np.intp]) -> float:
    """Return the one-sided p-value of "the mean is not below 0", with rows of a cluster dependent; 1 when unknown."""
    from scipy.stats import t

    names, places = np.unique(clusters, return_inverse=True)
    if len(names) < 2:
        return 1.0
    sums = np.bincount(places, weights=values - values.mean())
    error = np.sqrt(len(names) / (len(names) - 1) * np.sum(sums**2)) / len(values)
    return float(t.cdf(values.mean() / error, len(names) - 1)) if error > 0 else 1.0


def _adjust(described: list[Document]) -> list[Document]:
    """Add Holm's adjusted p-values: the k-th smallest times the number of tests not yet passed, never falling."""
    order = sorted(range(len(described)), key=lambda place: described[place]["p_value"])
    adjusted = 0.0
    for passed, place in enumerate(order):
        adjusted = max(adjusted, min(1.0, described[place]["p_value"] * (len(order) - passed)))
        described[place] |= {"adjusted_p_value": adjusted, "is_confirmed": adjusted < 0.05}
    return described


def _describe(outcomes: Array, probabilities: Array, advantages: Array, rows: Mask) -> Document:
    return {
        "rows": int(rows.sum()),
        "observed_rate": float(outcomes[rows].mean()) if rows.any() else None,
        "mean_probability": float(probabilities[rows].mean()) if rows.any() else None,
        "advantage": float(advantages[rows].mean()) if rows.any() else None,
    }


def _word(group: Group) -> list[str]:
    return [f"{name} is {value}" for name, value in group.conditions]
