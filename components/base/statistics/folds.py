"""Folds in time order: a model is scored on rows that were predicted after everything it was fitted on was known.

In: when each row is predicted and when its label is known. Out: positions of the rows to fit on and of the rows to
score, one pair a fold. Called by select, tune and ensemble, which all compare on these folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.contract.problem import Problem
from components.base.errors import DataError, raise_faults

if TYPE_CHECKING:
    from components.base.task import Task


@dataclass(frozen=True)
class Fold:
    """Positions of rows; every label of `fit` was known before the first row of `score` was predicted."""

    fit: NDArray[np.intp]
    score: NDArray[np.intp]


def split_train(problem: Problem, train: pd.DataFrame) -> list[Fold]:
    """Split the train rows into the folds of the contract."""
    gap = pd.Timedelta(hours=problem.split.gap_hours)
    return split_folds(train["predicted_at"], train["label_at"], problem.split.folds, gap)


def split_folds(predicted_at: pd.Series, label_at: pd.Series, folds: int, gap: pd.Timedelta) -> list[Fold]:
    """Cut the newer half of the rows into runs of equal size in time; fold i scores run i after fitting on all before.

    No fold fits on less than the older half: parameters that suit a tenth of the rows would be too simple for all.
    Rows are fitted on when they were predicted at least `gap` before the first scored row and their label was known by
    then. Rows predicted at one moment stay in one run.

    Raises:
        DataError: when a fold has no row to fit on or to score.

    Source: Bergmeir, Benitez (2012), On the use of cross-validation for time series predictor evaluation, Information
    Sciences 191 (evaluation on a rolling origin).
    """
    times, labels = predicted_at.reset_index(drop=True), label_at.reset_index(drop=True)
    ordered = times.sort_values(ignore_index=True)
    starts = [ordered.iloc[len(ordered) * number // (2 * folds)] for number in range(folds, 2 * folds)]
    ends = [*starts[1:], ordered.iloc[-1] + pd.Timedelta(microseconds=1)]
    split = [
        Fold(
            fit=np.flatnonzero((times <= start - gap) & (times < start) & (labels <= start)),
            score=np.flatnonzero((times >= start) & (times < end)),
        )
        for start, end in zip(starts, ends, strict=True)
    ]
    empty = [number for number, fold in enumerate(split, 1) if not len(fold.fit) or not len(fold.score)]
    if empty:
        raise DataError(
            f"folds: every fold must have rows to fit on and to score, but got none in fold {empty} of {folds} "
            f"(rows={len(times)}, gap={gap}). Give more history, or lower `split.folds`."
        )
    return split


def check_folds(task: "Task", train: pd.DataFrame, folds: list[Fold]) -> list[Fold]:
    """Return the folds if a model can learn and be scored in each, as roles are checked.

    A family that fails on one fold would be lost without anybody having decided it.

    Raises:
        DataError: naming the folds, the times of their rows and what these lack.
    """
    times, outcomes = train["predicted_at"], train[task.problem.target.name].to_numpy(dtype=np.float64)
    faults = [
        f"fold {number} of {len(folds)}: the {len(rows):,} rows to {what}, predicted from "
        f"{times.iloc[rows].min():%Y-%m-%d} to {times.iloc[rows].max():%Y-%m-%d}, {fault} "
        "Give more history, lower `split.folds`, or leave old rows out with `split.train_days`."
        for number, fold in enumerate(folds, 1)
        for what, rows in (("fit on", fold.fit), ("score", fold.score))
        for fault in task.find_outcome_faults(outcomes[rows])
    ]
    raise_faults(DataError, "folds", faults)
    return folds


def sample_evenly(positions: NDArray[np.intp], rows: int) -> NDArray[np.intp]:
    """Return at most `rows` of the positions at equal distances: every season and hour keeps its share."""
    if len(positions) <= rows:
        return positions
    return positions[np.linspace(0, len(positions) - 1, rows).astype(np.intp)]


def sample_tables(tables: Sequence[pd.DataFrame], rows: int) -> pd.DataFrame:
    """Return at most `rows` rows of tables that follow each other, at equal distances, without a copy of the rest."""
    ends = np.cumsum([len(table) for table in tables])
    chosen = sample_evenly(np.arange(ends[-1]), rows)
    parts = np.split(chosen, np.searchsorted(chosen, ends[:-1]))
    starts = [0, *ends[:-1]]
    taken = [table.iloc[part - start] for table, part, start in zip(tables, parts, starts, strict=True)]
    sampled: pd.DataFrame = pd.concat(taken, ignore_index=True)
    return sampled


def sample_fits(folds: Sequence[Fold], rows: int) -> list[Fold]:
    """Thin out the rows to fit on, in every fold by the same share, so that the largest fold keeps `rows` at most.

    Rows to score stay whole: days keep all their flights, so the capacity of a day means what it says.
    """
    share = min(1.0, rows / max(len(fold.fit) for fold in folds))
    return [Fold(_thin(fold.fit, share), fold.score) for fold in folds]


def sample_folds(folds: Sequence[Fold], rows: int) -> list[Fold]:
    """Thin out the rows to fit on and to score, by the same share, so that the last fold keeps `rows` at most."""
    share = min(1.0, rows / (len(folds[-1].fit) + len(folds[-1].score)))
    return [Fold(_thin(fold.fit, share), _thin(fold.score, share)) for fold in folds]


def _thin(positions: NDArray[np.intp], share: float) -> NDArray[np.intp]:
    return sample_evenly(positions, max(1, round(len(positions) * share)))
