"""Search for groups of rows where the model knows little, found on one half of the days and confirmed on the other.

Notation
    s    a group: one value or quartile of one feature, or of two features together
    a    advantage of the model in a row: loss of the group's best constant forecast, minus its own

A group with a mean of a below 0 would be forecast better by a constant than by the model. The constant does not
favour groups whose outcomes are all alike, as the plain loss would. Called by `evaluate`, whose gate refuses a model
that is worse than the reference in a confirmed group.

The null of a group: the model is no worse there than the constant of the searched half, mean of a >= 0. The groups are
chosen on one half and tested on the other, so the choice does not count as evidence; Holm's correction keeps the chance
of any false confirmation at 5 %.

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

from components.base.statistics.capacity import number_days
from components.base.statistics.groups import name_groups
from components.base.task import Output, Task
from components.models.documents import SpotHalf, WeakSpot
from components.models.scorecard import OpenedTest

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


def find_weak_spots(
    opened: OpenedTest, output: Output, features: Sequence[str], reference: Output | None = None
) -> tuple[WeakSpot, ...]:
    """Return at most five groups, the most suspicious first, each with its numbers on both halves.

    Args:
        opened: n test rows.
        output: Of the model, shape (n, k).
        features: Columns that make groups.
        reference: Output of whoever the model is compared with, shape (n, k).
    """
    groups = pd.DataFrame({name: name_groups(opened.rows[name]) for name in features})
    _, days = np.unique(number_days(opened.rows["predicted_at"]), return_inverse=True)
    searched, losses = days % 2 == 0, opened.task.row_loss(opened.outcomes, output)
    suspects = _list_suspects(opened.task, groups[searched], opened.outcomes[searched], losses[searched])
    taken: list[tuple[Group, Mask]] = []
    for group in suspects:
        rows = np.logical_and.reduce([(groups[name] == value).to_numpy() for name, value in group.conditions])
        pairs = [(rows[searched], other[searched]) for _, other in taken]
        if all((one & other).sum() / (one | other).sum() <= _LARGEST_OVERLAP for one, other in pairs):
            taken.append((group, rows))
        if len(taken) == _CANDIDATES:
            break
    rises = None if reference is None else losses - opened.task.row_loss(opened.outcomes, reference)
    spots = [
        _confirm(opened, output, losses, days, (searched, rows), group).model_copy(
            update={"loss_rise": _mean_of(rises, rows & ~searched)}
        )
        for group, rows in taken
    ]
    # Holm: the k-th smallest p-value times the number of tests not yet passed, never falling.
    adjusted, order = 0.0, sorted(range(len(spots)), key=lambda place: spots[place].p_value)
    for passed, place in enumerate(order):
        adjusted = max(adjusted, min(1.0, spots[place].p_value * (len(order) - passed)))
        update = {"adjusted_p_value": adjusted, "is_confirmed": adjusted < 0.05}
        spots[place] = spots[place].model_copy(update=update)
    return tuple(spots)


def _list_suspects(task: Task, groups: pd.DataFrame, outcomes: Array, losses: Array) -> list[Group]:
    """Measure every large enough group of one and two features on the searched half, the most suspicious first."""
    smallest = max(_FEWEST_ROWS, int(_SMALLEST_SHARE * len(groups)))
    codes: dict[str, Any] = {str(name): pd.factorize(groups[name]) for name in groups}
    combined = itertools.chain(itertools.combinations(codes, 1), itertools.combinations(codes, 2))
    suspects = (_measure(task, names, codes, outcomes, losses, smallest) for names in combined)
    return sorted(itertools.chain.from_iterable(suspects), key=lambda group: group.suspicion)


def _measure(
    task: Task, names: tuple[str, ...], codes: dict[str, Any], outcomes: Array, losses: Array, smallest: int
) -> list[Group]:
    """Return the groups of these features; suspicion is the mean advantage times the root of the rows."""
    shape = tuple(len(codes[name][1]) for name in names)
    cells = np.ravel_multi_index(tuple(codes[name][0] for name in names), shape)
    size = int(np.prod(shape))
    rows = np.bincount(cells, minlength=size)
    large = np.flatnonzero(rows >= smallest)
    counts = rows[large]
    means = np.bincount(cells, weights=outcomes, minlength=size)[large] / counts
    known = np.bincount(cells, weights=losses, minlength=size)[large] / counts
    suspicions = (task.constant_loss(means) - known) * np.sqrt(counts)
    places = np.column_stack(np.unravel_index(large, shape))
    return [
        Group(tuple((name, str(codes[name][1][code])) for name, code in zip(names, row, strict=True)), float(value))
        for row, value in zip(places, suspicions, strict=True)
    ]


def _confirm(
    opened: OpenedTest, output: Output, losses: Array, days: Any, masks: tuple[Mask, Mask], group: Group
) -> WeakSpot:
    """Measure the group on the other half, against the constant of the searched half, and test it."""
    task, (searched, rows) = opened.task, masks
    found, confirmed = rows & searched, rows & ~searched
    constant = task.constant_output(opened.outcomes[found], len(rows))
    advantages = task.row_loss(opened.outcomes, constant) - losses
    p_value = mean_below_zero_p_value(advantages[confirmed], days[confirmed])
    return WeakSpot(
        conditions=tuple(f"{name} is {value}" for name, value in group.conditions),
        found=_describe(opened.outcomes, output, advantages, found),
        confirmed=_describe(opened.outcomes, output, advantages, confirmed),
        p_value=p_value,
        adjusted_p_value=p_value,
        is_confirmed=False,
    )


def _mean_of(values: Array | None, rows: Mask) -> float | None:
    return float(values[rows].mean()) if values is not None and rows.any() else None


def mean_below_zero_p_value(values: Array, clusters: NDArray[np.intp]) -> float:
    """Return the one-sided p-value of "the mean is not below 0", with rows of a cluster dependent; 1 when unknown."""
    from scipy.stats import t

    names, places = np.unique(clusters, return_inverse=True)
    if len(names) < 2:
        return 1.0
    sums = np.bincount(places, weights=values - values.mean())
    error = np.sqrt(len(names) / (len(names) - 1) * np.sum(sums**2)) / len(values)
    return float(t.cdf(values.mean() / error, len(names) - 1)) if error > 0 else 1.0


def _describe(outcomes: Array, output: Output, advantages: Array, rows: Mask) -> SpotHalf:
    if not rows.any():
        return SpotHalf(rows=0, mean_outcome=None, mean_output=None, advantage=None)
    return SpotHalf(
        rows=int(rows.sum()),
        mean_outcome=float(outcomes[rows].mean()),
        mean_output=float(output[rows, 0].mean()),
        advantage=float(advantages[rows].mean()),
    )
