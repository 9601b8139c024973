"""The candidate families: each one scikit-learn Pipeline from raw feature columns to probabilities, and what to tune.

In: the features of the prepared rows and parameters of the last step. Out: an unfitted Pipeline. Imputing, limiting
outliers, encoding and scaling sit inside it, so they are fitted on training rows only and travel with the model.
Called by select, tune and ensemble. Only stock transformers: skops and the predictor's row compiler must read them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from components.base.contract.types import Family
from components.base.dataset import Feature

if TYPE_CHECKING:
    from optuna import Trial
    from sklearn.pipeline import Pipeline

# HistGradientBoosting takes 255 categories at most; rarer ones share a code.
_MOST_CODES = 200
# One-hot columns of one feature: 100 keep a hundred airports and bound the memory of a column of names.
_MOST_INDICATORS = 100
# Middle 90 percent scaled to one, then limited: an anemometer that shows 1,048 miles per hour counts as 3.
_SCALED_RANGE = (5.0, 95.0)
_LARGEST_SCALED = 3.0

_TREE_FAMILIES = ("hist_gradient_boosting", "random_forest", "extra_trees")

# What the search starts from, and what `select` compares: sensible on some ten thousand rows and quick.
DEFAULTS: dict[Family, dict[str, Any]] = {
    "logistic": {"C": 0.1},
    "hist_gradient_boosting": {
        "learning_rate": 0.08,
        "max_iter": 100,
        "max_leaf_nodes": 24,
        "min_samples_leaf": 60,
        "l2_regularization": 1.0,
        "max_features": 0.7,
    },
    "random_forest": {"max_features": 0.3, "min_samples_leaf": 15, "max_samples": 0.25},
    "extra_trees": {"max_features": 0.5, "min_samples_leaf": 15, "max_samples": 0.25},
    "mlp": {"width": 24, "alpha": 1e-3, "learning_rate_init": 3e-3},
    "naive_bayes": {"var_smoothing": 1e-2},
}


def build_candidate(
    family: Family, features: Sequence[Feature], parameters: dict[str, Any] | None = None, seed: int = 0
) -> "Pipeline":
    """Build the unfitted Pipeline of a family: `columns` (ColumnTransformer), then `model` (classifier).

    `parameters` replace the defaults one by one. Every estimator runs on one thread: two cores are better spent on two
    fits than on one fit that waits for itself.
    """
    from sklearn.pipeline import Pipeline

    numeric = [feature.name for feature in features if feature.kind == "numeric"]
    categorical = [feature.name for feature in features if feature.kind == "categorical"]
    chosen = DEFAULTS[family] | (parameters or {})
    codes = range(len(numeric), len(numeric) + len(categorical))
    columns = _build_columns(family, numeric, categorical)
    return Pipeline([("columns", columns), ("model", _build_classifier(family, chosen, list(codes), seed))])


def suggest_parameters(family: Family, trial: "Trial") -> dict[str, Any]:
    """Ask an Optuna trial for the parameters of a family; the names are those of `DEFAULTS`."""
    if family == "logistic":
        return {"C": trial.suggest_float("C", 1e-3, 30.0, log=True)}
    if family == "hist_gradient_boosting":
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.3, log=True),
            "max_iter": trial.suggest_int("max_iter", 40, 200, step=20),
            "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 6, 48, log=True),
            "min_samples_leaf": trial.suggest_int("min_samples_leaf", 10, 300, log=True),
            "l2_regularization": trial.suggest_float("l2_regularization", 1e-2, 30.0, log=True),
            "max_features": trial.suggest_float("max_features", 0.2, 1.0),
        }
    if family in ("random_forest", "extra_trees"):
        return {
            "max_features": trial.suggest_float("max_features", 0.1, 0.8),
            "min_samples_leaf": trial.suggest_int("min_samples_leaf", 5, 100, log=True),
            "max_samples": trial.suggest_float("max_samples", 0.1, 0.4),
        }
    if family == "mlp":
        return {
            "width": trial.suggest_int("width", 8, 48, log=True),
            "alpha": trial.suggest_float("alpha", 1e-5, 1e-1, log=True),
            "learning_rate_init": trial.suggest_float("learning_rate_init", 5e-4, 1e-2, log=True),
        }
    return {"var_smoothing": trial.suggest_float("var_smoothing", 1e-9, 1.0, log=True)}


def _build_columns(family: Family, numeric: list[str], categorical: list[str]) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    number_steps = {"hist_gradient_boosting": "passthrough", "random_forest": imputer, "extra_trees": imputer}
    if family in _TREE_FAMILIES:
        encoder = OrdinalEncoder(
            handle_unknown="use_encoded_value",
            unknown_value=-1,
            encoded_missing_value=-1,
            max_categories=_MOST_CODES,
        )
    else:
        encoder = OneHotEncoder(
            handle_unknown="infrequent_if_exist", max_categories=_MOST_INDICATORS, sparse_output=False
        )
    transformers = [
        ("numeric", number_steps.get(family) or _build_scaling(imputer), numeric),
        ("categorical", encoder, categorical),
    ]
    return ColumnTransformer([entry for entry in transformers if entry[2]])


def _build_scaling(imputer: Any) -> Any:
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer, RobustScaler

    limits = {"a_min": -_LARGEST_SCALED, "a_max": _LARGEST_SCALED}
    return Pipeline(
        [
            ("impute", imputer),
            ("scale", RobustScaler(quantile_range=_SCALED_RANGE)),
            ("clip", FunctionTransformer(np.clip, kw_args=limits)),
        ]
    )


def _build_classifier(family: Family, parameters: dict[str, Any], codes: list[int], seed: int) -> Any:
    if family == "logistic":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=200, **parameters)
    if family == "mlp":
        from sklearn.neural_network import MLPClassifier

        width = (parameters["width"],)
        rest = {name: value for name, value in parameters.items() if name != "width"}
        return MLPClassifier(width, batch_size=512, max_iter=8, random_state=seed, **rest)
    if family == "naive_bayes":
        from sklearn.naive_bayes import GaussianNB

        return GaussianNB(**parameters)
    return _build_trees(family, parameters, codes, seed)


def _build_trees(family: Family, parameters: dict[str, Any], codes: list[int], seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier

    if family == "hist_gradient_boosting":
        return HistGradientBoostingClassifier(
            categorical_features=codes or None, early_stopping=False, random_state=seed, **parameters
        )
    forest = RandomForestClassifier if family == "random_forest" else ExtraTreesClassifier
    return forest(n_estimators=60, bootstrap=True, random_state=seed, n_jobs=1, **parameters)
