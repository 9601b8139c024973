"""Calibrate a fitted classifier on validation rows that were not used for fitting.

In: the classifier and two parts of the validation rows. Out: the classifier with calibrated probabilities, and the
record of the choice. Called through `BinaryTask`.
"""

import copy
from typing import Any, Literal

import numpy as np
import pandas as pd

from components.tasks.binary.metrics import row_log_loss

Calibration = Literal["none", "sigmoid", "isotonic"]
_METHODS: tuple[Calibration, ...] = ("none", "sigmoid", "isotonic")


def calibrate(
    core: Any, names: list[str], target: str, first: pd.DataFrame, second: pd.DataFrame
) -> tuple[Any, dict[str, Any]]:
    """Fit each calibration on the first rows and take the one of the lowest log loss on the second.

    Returns the classifier (the core itself when calibrating does not help) and what was found.

    Source: Platt (1999), Probabilistic outputs for support vector machines (sigmoid); Zadrozny, Elkan (2002), KDD
    (isotonic); as in scikit-learn's CalibratedClassifierCV.
    """
    outcomes = second[target].to_numpy(dtype=np.float64)
    fitted = {method: calibrate_by(method, core, first[names], first[target]) for method in _METHODS}
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
    }


def calibrate_by(method: Calibration, core: Any, rows: pd.DataFrame, outcomes: pd.Series) -> Any:
    """Calibrate a fitted classifier by one method; `none` returns the classifier itself."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    if method == "none":
        return core
    return CalibratedClassifierCV(FrozenEstimator(core), method=method).fit(rows, outcomes)


def find_core(estimator: Any) -> Any:
    """Return the classifier under a calibration; without a calibration, the estimator itself."""
    from sklearn.calibration import CalibratedClassifierCV

    return estimator.estimator.estimator if isinstance(estimator, CalibratedClassifierCV) else estimator


def replace_core(estimator: Any, core: Any) -> Any:
    """Return the calibration around another fitted classifier; without a calibration, the classifier itself."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    if not isinstance(estimator, CalibratedClassifierCV):
        return core
    renewed, (fitted,) = copy.copy(estimator), map(copy.copy, estimator.calibrated_classifiers_)
    renewed.estimator = fitted.estimator = FrozenEstimator(core)
    renewed.calibrated_classifiers_ = [fitted]
    return renewed
