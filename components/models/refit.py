"""Fit the recipe of a release again on train and validation rows, so that what is judged and served is fresh.

In: the calibrated model of train rows, its recipe, both roles. Out: the model fitted on both, and the record of the
check before it. Called by `ensemble`, before anybody opens test rows.

Calibration and policy were chosen for outputs of a model that had not seen validation rows, and they stay. They mean
the same for the new model only if its outputs do: so the recipe, fitted on train and the first half of validation, is
compared with the model of train alone on the second half, which neither has seen.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from components.base.statistics.counts import measure_output_psi
from components.base.task import Task
from components.base.text.wording import write_count, write_date
from components.models.calibrate import halve
from components.models.documents import RefitRecord

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
    psi = max(measure_output_psi(before[:, place], after[:, place]) for place in range(before.shape[1]))
    gain = float(np.mean(task.row_loss(outcomes, before) - task.row_loss(outcomes, after)))
    measured = (
        f"On {write_count(len(second))} later rows the outputs move by a PSI of {psi:.3f} (limit {_MAXIMUM_PSI:g}) "
        f"when the recipe has seen newer rows, and the mean loss gets {'better' if gain > 0 else 'no better'} "
        f"({gain:+.4f})."
    )
    if not psi <= _MAXIMUM_PSI:
        reason = f"{measured} Calibration and policy would no longer fit, so the model of train rows alone stays."
        return estimator, RefitRecord(rows=len(train), psi=psi, loss_gain=gain, is_refitted=False, reason=reason)
    until = write_date(validation["predicted_at"].max().isoformat())
    reason = f"Fitted again on train and validation rows, to {until}. {measured}"
    record = RefitRecord(rows=len(train) + len(validation), psi=psi, loss_gain=gain, is_refitted=True, reason=reason)
    return task.replace_core(estimator, fit(train, validation)), record
