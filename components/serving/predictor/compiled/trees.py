"""Take fitted forests and boosted trees of scikit-learn into treelite, which predicts without its checks.

In: a fitted estimator. Out: a function from X (n, columns), NaN where missing, to what the trees say. Called by the
tasks' `compile`. One private attribute is read: the encoder inside HistGradientBoosting.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.serving.predictor.compiled.encoders import Matrix

Vector = NDArray[np.float64]


def compile_boosting(estimator: Any) -> Callable[[Matrix], Vector]:
    """Compile a HistGradientBoosting of one output: the sum of its trees, shape (n,), before any link function.

    Raises:
        ImportError: treelite is not installed.
    """
    encode = _category_encoder(estimator)
    if encode is None:
        predict = _trees(estimator, pred_margin=True)
        return lambda X: predict(X)[:, 0, 0]
    # treelite maps categories itself, but sends unknown and negative ones down the wrong branch: it gets the trees as
    # they are behind scikit-learn's own encoder.
    bare = copy.copy(estimator)
    bare._preprocessor = None
    predict = _trees(bare, pred_margin=True)
    return lambda X: predict(encode(X))[:, 0, 0]


def compile_forest(estimator: Any) -> Callable[[Matrix], Matrix]:
    """Compile a random forest or extra trees: the mean of its trees, shape (n, classes), or (n, 1) of a regressor.

    Raises:
        ImportError: treelite is not installed.
    """
    predict = _trees(estimator, pred_margin=False)
    # A forest compares its thresholds with numbers of 32 bits.
    return lambda X: predict(X.astype(np.float32).astype(np.float64))[:, 0, :]


def _category_encoder(estimator: Any) -> Callable[[Matrix], Matrix] | None:
    """Return what HistGradientBoosting does before its trees: categories first, as codes, NaN for unknown ones."""
    if estimator.is_categorical_ is None:
        return None
    is_category = np.asarray(estimator.is_categorical_)
    order = np.concatenate([np.flatnonzero(is_category), np.flatnonzero(~is_category)])
    fitted = estimator._preprocessor.named_transformers_["encoder"].categories_
    known = [np.asarray(values, dtype=np.float64) for values in fitted]
    known = [values[~np.isnan(values)] for values in known]

    def encode(X: Matrix) -> Matrix:
        encoded = X[:, order]
        for i, values in enumerate(known):
            codes = np.searchsorted(values, encoded[:, i])
            is_known = values.take(codes, mode="clip") == encoded[:, i]
            encoded[:, i] = np.where(is_known, codes, np.nan)
        return encoded

    return encode


def _trees(estimator: Any, pred_margin: bool) -> Callable[[Matrix], NDArray[np.float64]]:
    import treelite
    from treelite import gtil

    trees = treelite.sklearn.import_model(estimator)

    def predict(X: Matrix) -> NDArray[np.float64]:
        answer: NDArray[np.float64] = gtil.predict(trees, np.ascontiguousarray(X), nthread=1, pred_margin=pred_margin)
        return answer

    return predict
