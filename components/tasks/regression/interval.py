"""Give the predictions of a fitted regressor an interval whose coverage is that of past rows: split conformal.

Notation
    p    prediction of each row                          (n,)
    r    residual, the outcome less the prediction       (n,)
    a    1 - coverage

In: the regressor and two parts of the validation rows. Out: `ConformalRegressor`, and the record of the choice between
one interval for all rows and one by the size of the prediction. Called through `RegressionTask`.

Source: Lei, G'Sell, Rinaldo, Tibshirani, Wasserman (2018), Distribution-Free Predictive Inference for Regression, JASA
113(523), algorithm 2 (split conformal); Vovk, Gammerman, Shafer (2005), Algorithmic Learning in a Random World, section
4.5 (by groups). Each tail gets a/2, so that a skewed outcome has a skewed interval (Romano, Patterson, Candès 2019,
Conformalized Quantile Regression, theorem 2).
"""

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from components.tasks.regression.metrics import is_covered, row_interval_score

Array = NDArray[np.float64]
Method = Literal["constant", "by_prediction"]
# Fewer residuals in a group make its tails a lottery.
_FEWEST_ROWS = 200
_MOST_GROUPS = 10
_WORDS: dict[Method, str] = {
    "constant": "an interval of one width",
    "by_prediction": "an interval by the size of the prediction",
}


class ConformalRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted regressor with an interval round each prediction."""

    def __init__(self, core: Any, coverage: float, groups: int) -> None:
        """Wrap a fitted regressor; predictions are put into so many groups of equal size."""
        self.core = core
        self.coverage = coverage
        self.groups = groups

    def fit(self, X: pd.DataFrame, y: ArrayLike) -> "ConformalRegressor":
        """Take the residuals' tails in each group of predictions; the core stays as it is."""
        p = np.asarray(self.core.predict(X), dtype=np.float64)
        residuals = np.asarray(y, dtype=np.float64) - p
        self.edges_ = np.unique(np.quantile(p, np.linspace(0, 1, self.groups + 1)[1:-1]))
        places = np.searchsorted(self.edges_, p, side="right")
        tails = [_find_tails(residuals[places == group], self.coverage) for group in range(len(self.edges_) + 1)]
        self.low_, self.high_ = np.array(tails, dtype=np.float64).T
        return self

    def predict(self, X: Any) -> Array:
        """Return the core's predictions, shape (n,)."""
        predictions: Array = np.asarray(self.core.predict(X), dtype=np.float64)
        return predictions

    def predict_interval(self, X: Any) -> Array:
        """Return prediction, low and high end of each row, shape (n, 3)."""
        return self.surround(self.predict(X))

    def surround(self, p: Array) -> Array:
        """Put the interval round predictions, shape (n, 3)."""
        places = np.searchsorted(self.edges_, p, side="right")
        return np.column_stack([p, p + self.low_[places], p + self.high_[places]])


def _find_tails(residuals: Array, coverage: float) -> tuple[float, float]:
    """Return the lower and the upper tail of the residuals, corrected for their number; the prediction lies inside."""
    ordered, rest = np.sort(residuals), (1 - coverage) / 2
    n = len(ordered)
    upper = min(n, int(np.ceil((n + 1) * (1 - rest)))) - 1
    lower = max(1, int(np.floor((n + 1) * rest))) - 1
    return min(0.0, float(ordered[lower])), max(0.0, float(ordered[upper]))


def calibrate(
    core: Any, names: list[str], target: str, coverage: float, first: pd.DataFrame, second: pd.DataFrame
) -> tuple[ConformalRegressor, dict[str, Any]]:
    """Fit both intervals on the first rows and take the one of the lower interval score on the second.

    Returns the regressor with its interval and what was found.
    """
    groups: dict[Method, int] = {"constant": 1, "by_prediction": max(1, min(_MOST_GROUPS, len(first) // _FEWEST_ROWS))}
    outcomes = second[target].to_numpy(dtype=np.float64)
    fitted = {
        method: ConformalRegressor(core, coverage, count).fit(first[names], first[target])
        for method, count in groups.items()
    }
    outputs = {method: one.predict_interval(second[names]) for method, one in fitted.items()}
    scores = {method: float(row_interval_score(outcomes, of, coverage).mean()) for method, of in outputs.items()}
    best = min(groups, key=lambda method: scores[method])
    covered = float(is_covered(outcomes, outputs[best]).mean())
    return fitted[best], {
        "method": best,
        "interval_score": scores,
        "coverage": covered,
        "checked_rows": len(second),
        "reason": (
            f"{_WORDS[best]} has the lower interval score, {scores[best]:.4g}, on {len(second)} later rows, of whose "
            f"outcomes it holds {covered:.1%} where {coverage:.0%} are wanted"
        ),
    }


def find_core(estimator: Any) -> Any:
    """Return the regressor under an interval; without one, the estimator itself."""
    return estimator.core if isinstance(estimator, ConformalRegressor) else estimator


def replace_core(estimator: Any, core: Any) -> Any:
    """Return the interval round another fitted regressor; without an interval, the regressor itself."""
    if not isinstance(estimator, ConformalRegressor):
        return core
    renewed = ConformalRegressor(core, estimator.coverage, estimator.groups)
    renewed.edges_, renewed.low_, renewed.high_ = estimator.edges_, estimator.low_, estimator.high_
    return renewed
