"""The candidate families of a regression: what each starts from, what is tuned, and its regressor.

In: a family, features and parameters. Out: an unfitted Pipeline from raw feature columns to predictions. Every
estimator runs on one thread: two cores are better spent on two fits than on one fit that waits for itself. Robust to a
few wild outcomes is the boosting, whose loss is searched too: squared errors give the mean, absolute ones the median.
Called through `RegressionTask` by select, tune and ensemble.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from components.base.contract.regression import Family
from components.base.dataset import Feature
from components.models.pipelines import Encoding, build_pipeline

if TYPE_CHECKING:
    from optuna import Trial
    from sklearn.pipeline import Pipeline

_ENCODINGS: dict[Family, Encoding] = {
    "ridge": "indicators",
    "hist_gradient_boosting": "codes",
    "random_forest": "imputed_codes",
    "extra_trees": "imputed_codes",
}
# What the search starts from, and what `select` compares: sensible on some ten thousand rows and quick.
DEFAULTS: dict[Family, dict[str, Any]] = {
    "ridge": {"alpha": 10.0},
    "hist_gradient_boosting": {
        "loss": "absolute_error",
        "learning_rate": 0.08,
        "max_iter": 200,
        "max_leaf_nodes": 24,
        "min_samples_leaf": 60,
        "l2_regularization": 1.0,
        "max_features": 0.5,
    },
    "random_forest": {"max_features": 0.3, "min_samples_leaf": 15, "max_samples": 0.25},
    "extra_trees": {"max_features": 0.5, "min_samples_leaf": 15, "max_samples": 0.25},
}


def build_candidate(
    family: Family, features: Sequence[Feature], parameters: dict[str, Any] | None = None, seed: int = 0
) -> "Pipeline":
    """Build the unfitted Pipeline of a family; `parameters` replace the defaults one by one."""
    chosen = DEFAULTS[family] | (parameters or {})
    return build_pipeline(features, _ENCODINGS[family], partial(_build_regressor, family, chosen, seed=seed))


def suggest_parameters(family: Family, trial: "Trial") -> dict[str, Any]:
    """Ask an Optuna trial for the parameters of a family; the names are those of `DEFAULTS`."""
    if family == "ridge":
        return {"alpha": trial.suggest_float("alpha", 1e-2, 1e4, log=True)}
    if family == "hist_gradient_boosting":
        return {
            "loss": trial.suggest_categorical("loss", ["absolute_error", "squared_error"]),
            "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
            "max_iter": trial.suggest_int("max_iter", 100, 300, step=50),
            "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 6, 48, log=True),
            "min_samples_leaf": trial.suggest_int("min_samples_leaf", 10, 300, log=True),
            "l2_regularization": trial.suggest_float("l2_regularization", 1e-2, 30.0, log=True),
            "max_features": trial.suggest_float("max_features", 0.2, 1.0),
        }
    return {
        "max_features": trial.suggest_float("max_features", 0.1, 0.8),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 5, 100, log=True),
        "max_samples": trial.suggest_float("max_samples", 0.1, 0.4),
    }


def _build_regressor(family: Family, parameters: dict[str, Any], codes: list[int], seed: int) -> Any:
    if family == "ridge":
        from sklearn.linear_model import Ridge

        return Ridge(**parameters)
    from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor, RandomForestRegressor

    if family == "hist_gradient_boosting":
        return HistGradientBoostingRegressor(
            categorical_features=codes or None, early_stopping=False, random_state=seed, **parameters
        )
    forest = RandomForestRegressor if family == "random_forest" else ExtraTreesRegressor
    return forest(n_estimators=60, bootstrap=True, random_state=seed, n_jobs=1, **parameters)
