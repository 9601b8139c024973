"""The candidate families of a binary problem: what each starts from, what is tuned, and its classifier.

In: a family, features and parameters. Out: an unfitted Pipeline from raw feature columns to probabilities. Every
estimator runs on one thread: two cores are better spent on two fits than on one fit that waits for itself.
Called through `BinaryTask` by select, tune and ensemble.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from components.base.contract.binary import Family
from components.base.dataset import Feature
from components.models.pipelines import Encoding, build_pipeline

if TYPE_CHECKING:
    from optuna import Trial
    from sklearn.pipeline import Pipeline

_ENCODINGS: dict[Family, Encoding] = {
    "hist_gradient_boosting": "codes",
    "random_forest": "imputed_codes",
    "extra_trees": "imputed_codes",
}
# What the search starts from, and what `select` compares: sensible on some ten thousand rows and quick.
DEFAULTS: dict[Family, dict[str, Any]] = {
    "logistic": {"C": 0.1},
    "hist_gradient_boosting": {
        "learning_rate": 0.05,
        "max_iter": 200,
        "max_leaf_nodes": 24,
        "min_samples_leaf": 60,
        "l2_regularization": 1.0,
        "max_features": 0.5,
    },
    "random_forest": {"max_features": 0.3, "min_samples_leaf": 15, "max_samples": 0.25},
    "extra_trees": {"max_features": 0.5, "min_samples_leaf": 15, "max_samples": 0.25},
    "mlp": {"width": 24, "alpha": 1e-3, "learning_rate_init": 3e-3},
    "naive_bayes": {"var_smoothing": 1e-2},
}


def build_candidate(
    family: Family, features: Sequence[Feature], parameters: dict[str, Any] | None = None, seed: int = 0
) -> "Pipeline":
    """Build the unfitted Pipeline of a family; `parameters` replace the defaults one by one."""
    chosen = DEFAULTS[family] | (parameters or {})
    encoding = _ENCODINGS.get(family, "indicators")
    return build_pipeline(features, encoding, partial(_build_classifier, family, chosen, seed=seed))


def suggest_parameters(family: Family, trial: "Trial") -> dict[str, Any]:
    """Ask an Optuna trial for the parameters of a family; the names are those of `DEFAULTS`."""
    if family == "logistic":
        return {"C": trial.suggest_float("C", 1e-3, 30.0, log=True)}
    if family == "hist_gradient_boosting":
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.15, log=True),
            "max_iter": trial.suggest_int("max_iter", 100, 300, step=50),
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
    from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier

    if family == "hist_gradient_boosting":
        return HistGradientBoostingClassifier(
            categorical_features=codes or None, early_stopping=False, random_state=seed, **parameters
        )
    forest = RandomForestClassifier if family == "random_forest" else ExtraTreesClassifier
    return forest(n_estimators=60, bootstrap=True, random_state=seed, n_jobs=1, **parameters)
