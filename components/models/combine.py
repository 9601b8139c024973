"""Compare a single model, soft voting and stacking on out-of-fold predictions of train rows, in time order.

Notation
    m    members: the tuned candidates, best first
    P    out-of-fold probabilities of the members     (n, m)
    y    outcomes of the same rows                    (n,)

Called by `ensemble`, which builds the winner: the simplest kind within one standard error of the best one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.contract.problem import Problem
from components.base.contract.types import MetricName
from components.base.statistics.resampling import Resamples, bound_interval, draw_resamples, resample_score
from components.base.statistics.scores import METRICS, gain, score
from components.models.artifact import Kind

Document = dict[str, Any]
Array = NDArray[np.float64]

# A standard error needs fewer resamples than the quantile of a gate.
_RESAMPLES = 300


@dataclass(frozen=True)
class HeldOut:
    """Out-of-fold predictions of every member, fold after fold in time order."""

    probabilities: Array
    """P, shape (n, m)."""
    outcomes: Array
    """y, shape (n,)."""
    predicted_at: pd.Series
    folds: NDArray[np.intp]
    """Number of the fold of each row, from 0, shape (n,)."""

    def select(self, rows: NDArray[np.bool_]) -> "HeldOut":
        """Return some of the rows."""
        times = self.predicted_at[rows].reset_index(drop=True)
        return HeldOut(self.probabilities[rows], self.outcomes[rows], times, self.folds[rows])


@dataclass(frozen=True)
class Forecast:
    """What one kind would have forecast for the compared rows."""

    kind: Kind
    families: tuple[str, ...]
    probabilities: Array


def fit_stacker(held_out: HeldOut) -> Any:
    """Fit the logistic regression that weighs the members' probabilities.

    Source: Wolpert (1992), Stacked generalization, Neural Networks 5(2).
    """
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(held_out.probabilities, held_out.outcomes.astype(int))


def compare_kinds(problem: Problem, families: Sequence[str], held_out: HeldOut) -> Document:
    """Score every kind on the same rows and choose one; the first fold only serves to stack on.

    Source: Breiman, Friedman, Olshen, Stone (1984), Classification and Regression Trees, section 3.4.3 (the rule of one
    standard error); the error is that of the paired difference, by bootstrap over days.
    """
    metric = problem.metrics.primary
    forecasts = list_forecasts(families, held_out)
    rows = held_out.select(held_out.folds > 0)
    resamples = draw_resamples(rows.predicted_at, problem.search.seed, _RESAMPLES)
    scores = [score(metric, rows.outcomes, forecast.probabilities) for forecast in forecasts]
    draws = [resample_score(metric, rows.outcomes, forecast.probabilities, resamples) for forecast in forecasts]
    kinds = _judge(metric, forecasts, scores, draws)
    chosen = next(place for place, kind in enumerate(kinds) if kind["chosen"])
    return {
        "comparison": kinds,
        "reason": _explain(metric, kinds, kinds[chosen]),
        "cross_validated": _describe_score(scores[chosen], draws[chosen], resamples),
    }


def list_forecasts(families: Sequence[str], held_out: HeldOut) -> list[Forecast]:
    """Return the kinds from simple to complex: every member alone, their mean, their stacking."""
    rows = held_out.select(held_out.folds > 0)
    singles = [Forecast("single", (family,), rows.probabilities[:, place]) for place, family in enumerate(families)]
    if len(families) == 1:
        return singles
    return [
        *singles,
        Forecast("voting", tuple(families), rows.probabilities.mean(axis=1)),
        Forecast("stacking", tuple(families), _stack_forward(held_out)),
    ]


def _stack_forward(held_out: HeldOut) -> Array:
    """Forecast each fold by a stacking that was fitted on the folds before it."""
    return np.concatenate(
        [
            fit_stacker(held_out.select(held_out.folds < number)).predict_proba(
                held_out.probabilities[held_out.folds == number]
            )[:, 1]
            for number in range(1, int(held_out.folds.max()) + 1)
        ]
    )


def _judge(
    metric: MetricName, forecasts: Sequence[Forecast], scores: Sequence[float], draws: Sequence[Array]
) -> list[Document]:
    best = max(range(len(scores)), key=lambda place: gain(metric, scores[place], 0.0))
    behind = [gain(metric, scores[best], value) for value in scores]
    errors = [float(np.nanstd(draws[best] - values)) for values in draws]
    kinds = ("single", "voting", "stacking")
    by_simplicity = sorted(range(len(scores)), key=lambda place: (kinds.index(forecasts[place].kind), behind[place]))
    chosen = next(place for place in by_simplicity if behind[place] <= errors[place])
    return [
        {
            "kind": forecast.kind,
            "families": list(forecast.families),
            "score": scores[place],
            "behind_best": behind[place],
            "standard_error": errors[place],
            "chosen": place == chosen,
        }
        for place, forecast in enumerate(forecasts)
    ]


def _explain(metric: MetricName, kinds: Sequence[Document], chosen: Document) -> str:
    label, members = METRICS[metric].label, " and ".join(chosen["families"])
    name = f"{chosen['kind']} ({members})"
    if chosen["behind_best"] == 0:
        return f"{name} has the best {label}, {chosen['score']:.4f}, and nothing simpler is within one standard error."
    best = next(kind for kind in kinds if kind["behind_best"] == 0)
    return (
        f"{name} is the simplest within one standard error: {best['kind']} is ahead by {chosen['behind_best']:.4f} in "
        f"{label}, which is less than the error of that difference, {chosen['standard_error']:.4f}."
    )


def _describe_score(estimate: float, draws: Array, resamples: Resamples) -> Document:
    interval = bound_interval(estimate, draws, resamples)
    return {"score": estimate, "low": interval.low, "high": interval.high, "rows": len(resamples.blocks)}
