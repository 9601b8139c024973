"""Fit the recipe of a model again on newer rows, twice in a release, so that what is judged and served is fresh.

Calibration and policy stay those of the model before, for the outputs of which they were chosen. They mean the same
for the newer model only if its outputs do: so each time the recipe is first fitted on a part of the newer rows, and
compared with the model before on the other part, which neither has seen.

    refit_model      in `ensemble`, before anybody opens test rows: train, then train and validation. What comes out is
                     judged.
    refit_release    the step `refit`, once the release is accepted: all roles, as `release.refit` of the contract says.
                     What comes out is served, the judged model stays beside it.

On its own rows a model is surer of itself than on those to come: the served model is never compared on test rows. Two
models take its place, each fitted without one half of them.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.base import documents
from components.base.contract.problem import Release
from components.base.dataset import ROLES, Prepared, spread_rows
from components.base.gate import Verdict
from components.base.statistics.counts import measure_output_psi
from components.base.task import Decisions, Task
from components.base.text.wording import write_count, write_date, write_percent
from components.models.artifact import Model, save_model
from components.models.calibrate import halve
from components.models.documents import GoldenShift, OutputShift, RefitRecord, ReleaseRefit
from components.models.parallel import quiet_fits, use_one_thread
from components.models.recipe import Recipe, read_recipe

logger = logging.getLogger(__name__)

Shifts = tuple[OutputShift, ...]
REFIT = "refit.json"
# What credit scoring calls a large shift: the policy would be another one.
_MAXIMUM_PSI = 0.25


def refit_model(
    task: Task,
    estimator: Any,
    fit: Callable[..., Any],
    train: pd.DataFrame,
    validation: pd.DataFrame,
    names: list[str],
) -> tuple[Any, RefitRecord]:
    """Return the model fitted on both roles, or the given one when the check says that its outputs would move.

    Args:
        task: The task.
        estimator: Fitted on train rows, calibrated on validation rows.
        fit: Fits the recipe, without calibration, on tables that follow each other.
        train: Rows of the role.
        validation: Rows of the role.
        names: Columns that the model reads.
    """
    first, second = halve(validation)
    newer = task.replace_core(estimator, fit(train, first))
    outcomes = second[task.problem.target.name].to_numpy(dtype=np.float64)
    before, after = (task.predict(one, second[names]) for one in (estimator, newer))
    psi, gain = _measure_psi(before, after), _measure_gain(task, outcomes, before, after)
    measured = (
        f"On {write_count(len(second))} later rows the outputs move by a PSI of {psi:.3f} (limit {_MAXIMUM_PSI:g}) "
        f"when the recipe has seen newer rows, and the mean loss gets {_say_gain(gain)}."
    )
    if not psi <= _MAXIMUM_PSI:
        reason = f"{measured} Calibration and policy would no longer fit, so the model of train rows alone stays."
        return estimator, RefitRecord(rows=len(train), psi=psi, loss_gain=gain, is_refitted=False, reason=reason)
    until = write_date(validation["predicted_at"].max().isoformat())
    reason = f"Fitted again on train and validation rows, to {until}. {measured}"
    record = RefitRecord(rows=len(train) + len(validation), psi=psi, loss_gain=gain, is_refitted=True, reason=reason)
    return task.replace_core(estimator, fit(train, validation)), record


def refit_release(prepared: Prepared, judged: Model, verdict: Verdict) -> tuple[Model, ReleaseRefit]:
    """Return the model that is served: the judged one, or its recipe fitted on all roles when the check allows it.

    Args:
        prepared: Rows of all roles.
        judged: As `evaluate` judged it.
        verdict: Of `evaluate`; only an accepted release is fitted again.

    Raises:
        ModelRefusedError: the judged model does not say how it was made.
    """
    task, release = judged.task, judged.task.problem.release
    if verdict != "promote":
        return judged, _keep(prepared, judged, f"The verdict is {verdict}, so the judged model was not fitted again.")
    if release.refit == "judged":
        return judged, _keep(prepared, judged, "The judged model is served, as the contract says in `release.refit`.")
    recipe = read_recipe(judged)
    tables = [prepared.read(role, [*recipe.columns, "predicted_at"]) for role in ROLES]
    shifts = _check(judged, recipe, *tables)
    measured, is_within = _judge(shifts, release)
    if not is_within:
        words = "Newer rows would change what it answers, and calibration and policy would no longer fit"
        return judged, _keep(prepared, judged, f"The judged model is served. {words}: {measured}", shifts)
    served = _fit(judged, recipe, *tables)
    golden = _compare_golden(judged, served, spread_rows(tables[-1], task.problem.serving.golden_rows))
    rows, until = sum(map(len, tables)), tables[-1]["predicted_at"].max().isoformat()
    reason = (
        f"The recipe is fitted once more on all {write_count(rows)} rows, to {write_date(until)}. {measured} On "
        f"{golden.rows} golden rows, from which the served model has learned, its outputs differ from those of the "
        f"judged one by {golden.mean_difference:.4f} on average, and {golden.flipped} decisions flip."
    )
    return served, ReleaseRefit(is_refitted=True, rows=rows, until=until, shifts=shifts, golden=golden, reason=reason)


def save_release(folder: Path, served: Model, record: ReleaseRefit) -> None:
    """Write the served model, and `refit.json` beside it."""
    save_model(folder, served)
    documents.write(record, folder / REFIT)
    logger.info("refit: %s", record.reason)


def _fit(judged: Model, recipe: Recipe, *tables: pd.DataFrame) -> Model:
    """Fit the recipe on tables that follow each other, under the calibration and the policy of the judged model."""
    return replace(judged, estimator=judged.task.replace_core(judged.estimator, recipe.fit(*tables)))


def _check(judged: Model, recipe: Recipe, train: pd.DataFrame, validation: pd.DataFrame, test: pd.DataFrame) -> Shifts:
    """Compare the judged model on each half of the test rows with one that has learned from the other half."""
    first, second = halve(test)
    return (
        _measure_shift(judged, _fit(judged, recipe, train, validation, first), second),
        _measure_shift(judged, _fit(judged, recipe, train, validation, second), first),
    )


def _keep(prepared: Prepared, judged: Model, reason: str, shifts: Shifts = ()) -> ReleaseRefit:
    """Describe a release that serves its judged model."""
    details = judged.description.details
    fresh = details.refit if details else None
    times = prepared.read("validation" if fresh and fresh.is_refitted else "train", ["predicted_at"])["predicted_at"]
    return ReleaseRefit(
        is_refitted=False,
        rows=fresh.rows if fresh else len(times),
        until=times.max().isoformat(),
        shifts=shifts,
        golden=None,
        reason=reason,
    )


def _measure_shift(judged: Model, newer: Model, rows: pd.DataFrame) -> OutputShift:
    """Compare two models on rows from which neither has learned."""
    task = judged.task
    with quiet_fits():
        use_one_thread()
        before, after = judged.predict(rows), newer.predict(rows)
    times = rows["predicted_at"].reset_index(drop=True)
    decided = [task.operate(judged.policy.apply(output), output, times) for output in (before, after)]
    outcomes = rows[task.problem.target.name].to_numpy(dtype=np.float64)
    return OutputShift(
        rows=len(rows),
        psi=_measure_psi(before, after),
        flipped_ratio=_count_flipped(task, *decided) / len(rows),
        loss_gain=_measure_gain(task, outcomes, before, after),
    )


def _judge(shifts: Shifts, release: Release) -> tuple[str, bool]:
    """Return what both halves say in words, and whether it is within the limits."""
    psi, flipped = max(shift.psi for shift in shifts), max(shift.flipped_ratio for shift in shifts)
    limit = release.maximum_flipped_ratio
    words = (
        f"On test rows that were left out of the fit, the outputs move by a PSI of {psi:.3f} at most (limit "
        f"{_MAXIMUM_PSI:g}), {write_percent(flipped)} of the decisions flip at most (limit {write_percent(limit)}), "
        f"and the mean loss of the later half gets {_say_gain(shifts[0].loss_gain)}."
    )
    return words, psi <= _MAXIMUM_PSI and flipped <= limit


def _compare_golden(judged: Model, served: Model, golden: pd.DataFrame) -> GoldenShift:
    before, after = judged.predict(golden), served.predict(golden)
    return GoldenShift(
        rows=len(golden),
        mean_difference=float(np.abs(after - before).mean()),
        flipped=_count_flipped(judged.task, judged.policy.apply(before), judged.policy.apply(after)),
    )


def _count_flipped(task: Task, before: Decisions, after: Decisions) -> int:
    """Count the decisions that are other ones; decisions that are numbers do not flip, they move with the outputs."""
    return int((before != after).sum()) if task.decision_values else 0


def _measure_psi(before: Any, after: Any) -> float:
    return max(measure_output_psi(before[:, place], after[:, place]) for place in range(before.shape[1]))


def _measure_gain(task: Task, outcomes: Any, before: Any, after: Any) -> float:
    return float(np.mean(task.row_loss(outcomes, before) - task.row_loss(outcomes, after)))


def _say_gain(gain: float) -> str:
    return f"{'better' if gain > 0 else 'no better'} ({gain:+.4f})"
