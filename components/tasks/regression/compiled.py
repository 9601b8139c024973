"""Take fitted regressors and their ensembles apart into numpy, and their trees into treelite.

In: a fitted scikit-learn estimator. Out: a function from a `Batch` of feature rows to the output, shape (n, 3). Called
through `RegressionTask.compile` as the predictor loads. `compile_scorer` compares every model with its scikit-learn
pipeline before it serves.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.base.task import Output
from components.serving.predictor.compiled.encoders import CannotCompileError, compile_columns
from components.serving.predictor.compiled.trees import compile_boosting, compile_forest
from components.tasks.regression.interval import ConformalRegressor

Predict = Callable[[Any], NDArray[np.float64]]


def compile_output(estimator: Any) -> Callable[[Any], Output]:
    """Compile a fitted regressor, with or without an interval.

    Raises:
        CannotCompileError: a part has no compiled form.
        ImportError: treelite is needed and is not installed.
    """
    if isinstance(estimator, ConformalRegressor):
        predict = compile_regressor(estimator.core)
        return lambda batch: estimator.surround(predict(batch))
    predict = compile_regressor(estimator)
    return lambda batch: np.repeat(predict(batch)[:, None], 3, axis=1)


def compile_regressor(estimator: Any) -> Predict:
    """Compile a fitted regressor, a pipeline that ends in one, or an ensemble of them: predictions, shape (n,).

    Raises:
        CannotCompileError: a part has no compiled form.
        ImportError: treelite is needed and is not installed.
    """
    build = _REGRESSORS.get(type(estimator).__name__)
    if build is None:
        raise CannotCompileError(f"regressor {type(estimator).__name__} has no compiled form")
    return build(estimator)


def _pipeline(estimator: Any) -> Predict:
    (_, columns), (_, model) = estimator.steps
    encode, predict = compile_columns(columns), compile_regressor(model)
    return lambda batch: predict(encode(batch))


def _linear(estimator: Any) -> Predict:
    weights, intercept = np.ascontiguousarray(estimator.coef_), float(estimator.intercept_)
    return lambda X: X @ weights + intercept


def _forest(estimator: Any) -> Predict:
    predict = compile_forest(estimator)
    return lambda X: predict(X)[:, 0]


def _voting(estimator: Any) -> Predict:
    members = [compile_regressor(member) for member in estimator.estimators_]
    return lambda x: np.average([member(x) for member in members], axis=0)


def _stacking(estimator: Any) -> Predict:
    members = [compile_regressor(member) for member in estimator.estimators_]
    final = compile_regressor(estimator.final_estimator_)
    return lambda x: final(np.column_stack([member(x) for member in members]))


_REGRESSORS: dict[str, Callable[[Any], Predict]] = {
    "Pipeline": _pipeline,
    "FrozenEstimator": lambda estimator: compile_regressor(estimator.estimator),
    "Ridge": _linear,
    "LinearRegression": _linear,
    "HistGradientBoostingRegressor": compile_boosting,
    "RandomForestRegressor": _forest,
    "ExtraTreesRegressor": _forest,
    "VotingRegressor": _voting,
    "StackingRegressor": _stacking,
}
