"""Calibrate a fitted classifier and choose its threshold, on validation rows that fitted nothing else.

In: the classifier and the validation rows. Out: the calibrated classifier, the threshold and how both were chosen.
Called by `ensemble`, and by `evaluate` for the thresholds of the baselines.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.contract.problem import Problem
from components.base.statistics.decisions import break_even, choose_threshold, trace_thresholds
from components.base.statistics.scores import row_log_loss
from components.models.artifact import Calibration

Document = dict[str, Any]
Array = NDArray[np.float64]

_METHODS: tuple[Calibration, ...] = ("none", "sigmoid", "isotonic")


def calibrate(core: Any, names: list[str], target: str, validation: pd.DataFrame) -> tuple[Any, Document]:
    """Fit each calibration on the first half of the rows and take the one of the lowest log loss on the second half.

    Returns the classifier (the core itself when calibrating does not help) and what was found.

    Source: Platt (1999), Probabilistic outputs for support vector machines (sigmoid); Zadrozny, Elkan (2002), KDD
    (isotonic); as in scikit-learn's CalibratedClassifierCV.
    """
    first, second = halve(validation)
    outcomes = second[target].to_numpy(dtype=np.float64)
    fitted = {method: _fit_calibration(method, core, first[names], first[target]) for method in _METHODS}
    losses = {
        method: float(row_log_loss(outcomes, estimator.predict_proba(second[names])[:, 1]).mean())
        for method, estimator in fitted.items()
    }
    best = min(_METHODS, key=lambda method: losses[method])
    return fitted[best], {
        "method": best,
        "log_loss": losses,
        "checked_rows": len(second),
        "reason": f"{best} has the lowest log loss, {losses[best]:.4f}, on {len(second)} later rows.",
        **_describe_rows(first),
    }


def find_threshold(problem: Problem, estimator: Any, names: list[str], validation: pd.DataFrame) -> Document:
    """Choose the threshold by value under the capacity on the second half of the validation rows."""
    _, second = halve(validation)
    outcomes = second[problem.target.name].to_numpy(dtype=np.float64)
    probabilities: Array = estimator.predict_proba(second[names])[:, 1]
    times = second["predicted_at"].reset_index(drop=True)
    curve = trace_thresholds(outcomes, probabilities, times, problem.business)
    chosen = choose_threshold(outcomes, probabilities, times, problem.business)
    return {
        "chosen": asdict(chosen),
        "break_even": break_even(problem.business),
        "curve": [asdict(point) for point in curve],
        **_describe_rows(second),
    }


def halve(validation: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split the rows in time; rows predicted at one moment stay together."""
    times = validation["predicted_at"]
    middle = times.sort_values(ignore_index=True).iloc[len(times) // 2]
    return validation[times < middle], validation[times >= middle]


def _fit_calibration(method: Calibration, core: Any, rows: pd.DataFrame, outcomes: pd.Series) -> Any:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    if method == "none":
        return core
    return CalibratedClassifierCV(FrozenEstimator(core), method=method).fit(rows, outcomes)


def _describe_rows(rows: pd.DataFrame) -> Document:
    times = rows["predicted_at"]
    return {"rows": len(rows), "from": times.min().isoformat(), "until": times.max().isoformat()}
