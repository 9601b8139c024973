"""LightGBM and CatBoost on the prepared rows, as a program of an environment that lacks our packages.

`python models_peers.py PREPARED TEST METRIC` reads both folders. Each model is fitted on train rows until validation
rows, which are newer, show no gain for 50 rounds; then on both, for as many rounds. Prints as JSON the metric on test
rows and the CPU seconds of both fits, by name.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import pandas as pd
from sklearn.metrics import average_precision_score, mean_absolute_error

ROUNDS, PATIENCE, SEED = 1000, 50, 7


@dataclass(frozen=True)
class Kind:
    """The models of one kind of problem, and how they are scored."""

    lightgbm: Callable[..., Any]
    catboost: Callable[..., Any]
    predict: Callable[[Any, pd.DataFrame], Any]
    score: Callable[[Any, Any], float]


KINDS = {
    "average_precision": Kind(
        lightgbm.LGBMClassifier,
        catboost.CatBoostClassifier,
        lambda model, rows: model.predict_proba(rows)[:, 1],
        average_precision_score,
    ),
    "mean_absolute_error": Kind(
        lambda **options: lightgbm.LGBMRegressor(objective="l1", **options),
        lambda **options: catboost.CatBoostRegressor(loss_function="MAE", **options),
        lambda model, rows: model.predict(rows),
        mean_absolute_error,
    ),
}


def main() -> None:
    """Fit, score and print."""
    prepared, test = map(Path, sys.argv[1:3])
    kind = KINDS[sys.argv[3]]
    described = json.loads((prepared / "prepared.json").read_text())
    roles = [pd.read_parquet(prepared / "train.parquet"), pd.read_parquet(prepared / "validation.parquet")]
    target, features = described["target"], described["features"]
    tested = pd.read_parquet(test / "test.parquet")
    found = {}
    for name, fit in {"LightGBM": fit_lightgbm, "CatBoost": fit_catboost}.items():
        started = time.process_time()
        scores = fit(kind, [shape(rows, features) for rows in (*roles, tested)], [rows[target] for rows in roles])
        seconds = time.process_time() - started
        found[name] = {"score": float(kind.score(tested[target], scores)), "cpu_seconds": seconds}
    print(json.dumps(found))


def shape(rows: pd.DataFrame, features: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the features, categories as text."""
    names = [feature["name"] for feature in features]
    texts = [feature["name"] for feature in features if feature["kind"] == "categorical"]
    return rows[names].assign(**{name: rows[name].fillna("missing").astype(str) for name in texts})


def fit_lightgbm(kind: Kind, rows: list[pd.DataFrame], outcomes: list[pd.Series]) -> Any:
    """Fit with sampled columns and rows and a low learning rate, and score the last of the tables."""
    texts = rows[0].select_dtypes(exclude="number").columns
    known = {name: pd.CategoricalDtype(sorted(set(rows[0][name]))) for name in texts}
    train, validation, test = (table.astype(known) for table in rows)

    def build(rounds: int) -> Any:
        return kind.lightgbm(
            n_estimators=rounds, learning_rate=0.03, min_child_samples=60, reg_lambda=1.0,
            colsample_bytree=0.5, subsample=0.8, subsample_freq=1,
            n_jobs=1, random_state=SEED, deterministic=True, force_row_wise=True, verbose=-1,
        )  # fmt: skip

    stop = [lightgbm.early_stopping(PATIENCE, verbose=False)]
    first = build(ROUNDS).fit(train, outcomes[0], eval_X=validation, eval_y=outcomes[1], callbacks=stop)
    return kind.predict(refit(build(first.best_iteration_), [train, validation], outcomes), test)


def fit_catboost(kind: Kind, rows: list[pd.DataFrame], outcomes: list[pd.Series]) -> Any:
    """Fit with its own treatment of categories, and score the last of the tables."""
    train, validation, test = rows
    texts = list(train.select_dtypes(exclude="number").columns)

    def build(rounds: int) -> Any:
        return kind.catboost(
            iterations=rounds, learning_rate=0.06, depth=6, cat_features=texts,
            thread_count=1, random_seed=SEED, verbose=False, allow_writing_files=False,
        )  # fmt: skip

    first = build(ROUNDS).fit(train, outcomes[0], eval_set=(validation, outcomes[1]), early_stopping_rounds=PATIENCE)
    return kind.predict(refit(build(first.get_best_iteration() + 1), [train, validation], outcomes), test)


def refit(model: Any, rows: list[pd.DataFrame], outcomes: list[pd.Series]) -> Any:
    """Fit a model on train and validation rows."""
    return model.fit(pd.concat(rows, ignore_index=True), pd.concat(outcomes, ignore_index=True))


if __name__ == "__main__":
    main()
