"""Calibrate a fitted model and choose its policy, on validation rows that were not used for fitting.

In: the task, the model and the validation rows. Out: the calibrated model, the policy and how both were chosen.
Called by `ensemble`, and by `evaluate` for the policies of the baselines.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from components.base.task import PolicyChoice, Task


def calibrate_model(task: Task, core: Any, names: list[str], validation: pd.DataFrame) -> tuple[Any, dict[str, Any]]:
    """Calibrate on the first half of the rows what is checked on the second."""
    first, second = halve(validation)
    estimator, record = task.calibrate(core, names, first, second)
    return estimator, record | _describe_rows(first)


def fit_policy(task: Task, estimator: Any, names: list[str], validation: pd.DataFrame) -> PolicyChoice:
    """Choose the policy on the second half of the validation rows."""
    _, second = halve(validation)
    outcomes = second[task.problem.target.name].to_numpy(dtype=np.float64)
    times = second["predicted_at"].reset_index(drop=True)
    choice = task.fit_policy(outcomes, task.predict(estimator, second[names]), times)
    return replace(choice, details=choice.details | _describe_rows(second))


def halve(validation: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split the rows in time; rows predicted at the same time stay together."""
    times = validation["predicted_at"]
    middle = times.sort_values(ignore_index=True).iloc[len(times) // 2]
    return validation[times < middle], validation[times >= middle]


def _describe_rows(rows: pd.DataFrame) -> dict[str, Any]:
    times = rows["predicted_at"]
    return {"rows": len(rows), "start": times.min().isoformat(), "end": times.max().isoformat()}
