"""Combine fitted regressors as one: their mean, or a linear regression with weights of 0 or more over them.

Notation
    m    members
    P    predictions of the members    (n, m)

Called through `RegressionTask` by `combine` and `ensemble`.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.task import Kind

Array = NDArray[np.float64]

# Shown to a wrapper whose parts are all fitted.
_WRAPPER_ROWS = 2


def fit_stacker(predictions: Array, y: Array) -> Any:
    """Fit the linear regression that weighs the members' predictions.

    Source: Breiman (1996), Stacked Regressions, Machine Learning 24 (weights of 0 or more).
    """
    from sklearn.linear_model import LinearRegression

    return LinearRegression(positive=True).fit(predictions, y)


def find_stacker(stacking: Any) -> Any:
    """Return the linear regression that `combine_members` froze into a stacking."""
    return stacking.final_estimator.estimator


def combine_members(kind: Kind, members: dict[str, Any], stacker: Any, X: pd.DataFrame, y: "pd.Series[Any]") -> Any:
    """Wrap fitted members as one regressor without fitting any of them again.

    Stacking is fitted on out-of-fold predictions, which scikit-learn itself cannot make in time order: the finished
    linear regression is frozen into a StackingRegressor that takes it and its members as they are.
    """
    from sklearn.ensemble import StackingRegressor, VotingRegressor
    from sklearn.frozen import FrozenEstimator

    if kind == "single":
        return next(iter(members.values()))
    X, y = X.head(_WRAPPER_ROWS), y.head(_WRAPPER_ROWS)
    if kind == "voting":
        return VotingRegressor([(name, FrozenEstimator(member)) for name, member in members.items()]).fit(X, y)
    stacking = StackingRegressor(list(members.items()), final_estimator=FrozenEstimator(stacker), cv="prefit")
    return stacking.fit(X, y)
