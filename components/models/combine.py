"""Compare a single model, their mean and their stacking on out-of-fold outputs of train rows, in time order.

Notation
    m    members: the tuned candidates, best first
    P    out-of-fold outputs of the members     (n, m, k)
    y    outcomes of the same rows              (n,)

Called by `ensemble`, which builds the winner: the simplest kind within one standard error of the best one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.statistics.resampling import bound_interval, draw_resamples
from components.base.task import Kind, Metric, Output, Task
from components.models.documents import CrossValidated, KindRecord

Array = NDArray[np.float64]

# A standard error needs fewer resamples than the quantile of a gate.
_RESAMPLES = 300


@dataclass(frozen=True)
class HeldOut:
    """Out-of-fold outputs of every member, fold after fold in time order."""

    outputs: Array
    """P, shape (n, m, k)."""
    outcomes: Array
    """y, shape (n,)."""
    predicted_at: pd.Series
    folds: NDArray[np.intp]
    """Number of the fold of each row, from 0, shape (n,)."""

    def select(self, rows: NDArray[np.bool_]) -> "HeldOut":
        """Return some of the rows."""
        times = self.predicted_at[rows].reset_index(drop=True)
        return HeldOut(self.outputs[rows], self.outcomes[rows], times, self.folds[rows])


@dataclass(frozen=True)
class Forecast:
    """What one kind would have forecast for the compared rows."""

    kind: Kind
    families: tuple[str, ...]
    output: Output


class KindComparison(NamedTuple):
    """Every kind with its score, why one of them is chosen, and what to expect of it."""

    kinds: tuple[KindRecord, ...]
    reason: str
    cross_validated: CrossValidated

    @property
    def chosen(self) -> KindRecord:
        """The kind to build."""
        return next(kind for kind in self.kinds if kind.chosen)


def compare_kinds(task: Task, families: Sequence[str], held_out: HeldOut) -> KindComparison:
    """Score every kind on the same rows and choose one; the first fold only serves to stack on.

    Source: Breiman, Friedman, Olshen, Stone (1984), Classification and Regression Trees, section 3.4.3 (the rule of one
    standard error); the error is that of the paired difference, by bootstrap over days.
    """
    metric, policy = task.primary, task.default_policy
    forecasts = list_forecasts(task, families, held_out)
    rows = held_out.select(held_out.folds > 0)
    resamples = draw_resamples(rows.predicted_at, task.problem.search.seed, _RESAMPLES)
    scored = [(rows.outcomes, forecast.output, policy.apply(forecast.output)) for forecast in forecasts]
    scores = [metric.score(*values) for values in scored]
    draws = [metric.resample(*values, resamples) for values in scored]
    best = max(range(len(scores)), key=lambda place: metric.gain(scores[place], 0.0))
    behind = [metric.gain(scores[best], value) for value in scores]
    errors = [float(np.nanstd(draws[best] - values)) for values in draws]
    good_enough = [place for place in range(len(scores)) if behind[place] <= errors[place]]
    simplicity = get_args(Kind)
    chosen = min(good_enough, key=lambda place: (simplicity.index(forecasts[place].kind), behind[place]))
    kinds = tuple(
        KindRecord(
            kind=forecast.kind,
            families=forecast.families,
            score=scores[place],
            behind_best=behind[place],
            standard_error=errors[place],
            chosen=place == chosen,
        )
        for place, forecast in enumerate(forecasts)
    )
    interval = bound_interval(scores[chosen], draws[chosen], resamples)
    expected = CrossValidated(score=scores[chosen], low=interval.low, high=interval.high, rows=len(resamples.blocks))
    return KindComparison(kinds, _explain(metric, kinds, kinds[chosen]), expected)


def list_forecasts(task: Task, families: Sequence[str], held_out: HeldOut) -> list[Forecast]:
    """Return the kinds from simple to complex: every member alone, their mean, their stacking.

    The stacking forecasts each fold after having been fitted on the folds before it.
    """
    rows = held_out.select(held_out.folds > 0)
    singles = [Forecast("single", (family,), rows.outputs[:, place]) for place, family in enumerate(families)]
    if len(families) == 1:
        return singles
    stacked = []
    for number in range(1, int(held_out.folds.max()) + 1):
        earlier = held_out.select(held_out.folds < number)
        stacker = task.fit_stacker(earlier.outputs, earlier.outcomes)
        stacked.append(task.stack(stacker, held_out.outputs[held_out.folds == number]))
    return [
        *singles,
        Forecast("voting", tuple(families), rows.outputs.mean(axis=1)),
        Forecast("stacking", tuple(families), np.concatenate(stacked)),
    ]


def _explain(metric: Metric, kinds: Sequence[KindRecord], chosen: KindRecord) -> str:
    label, members = metric.label, " and ".join(chosen.families)
    name = f"{chosen.kind} ({members})"
    if chosen.behind_best == 0:
        return f"{name} has the best {label}, {chosen.score:.4f}, and nothing simpler is within one standard error."
    best = next(kind for kind in kinds if kind.behind_best == 0)
    return (
        f"{name} is the simplest within one standard error: {best.kind} is ahead by {chosen.behind_best:.4f} in "
        f"{label}, which is less than the error of that difference, {chosen.standard_error:.4f}."
    )
