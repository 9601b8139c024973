"""Every model that the platform can release compiles, after its way through skops: family, kind and calibration."""

import functools
import warnings
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from components.base.contract.binary import Family
from components.base.contract.load import load_problem
from components.base.dataset import Feature
from components.models.artifact import load_model, save_model
from components.serving.predictor.compiled.pipeline import MAXIMUM_DIFFERENCE, compile_scorer
from components.tasks import open_task
from tests.unit.made_models import make_model

TASK = open_task(load_problem("pipelines/problems/flight-delays.yaml"))
FEATURES = (
    Feature("origin", "categorical", "request", "origin"),
    Feature("distance", "numeric", "request", "distance"),
    Feature("dest", "categorical", "request", "dest"),
    Feature("wind", "numeric", "origin_weather", "wind"),
    Feature("seats", "numeric", "plane_profile", "nearly always missing"),
)
SMALL = {"hist_gradient_boosting": {"max_iter": 15}}


def make_rows(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"origin": rng.choice(["EWR", "JFK", "LGA"], n), "distance": rng.normal(900, 300, n)})
    # More destinations than one-hot columns, so that rare ones share one.
    table["dest"] = [f"D{i}" for i in rng.geometric(0.02, n)]
    table["dest"] = table["dest"].astype(object).where(rng.random(n) > 0.1, None)
    table["wind"] = np.where(rng.random(n) < 0.2, np.nan, rng.normal(10, 4, n))
    table["seats"] = np.where(rng.random(n) < 0.99, np.nan, 150.0)
    y = (table["wind"].fillna(10) + 3 * (table["origin"] == "JFK") + rng.normal(0, 3, n) > 11).astype(int)
    return table, y.to_numpy()


@functools.cache
def fit_member(family: Family) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TASK.build_candidate(family, FEATURES, SMALL.get(family)).fit(*make_rows(700, 1))


def build(kind: str, families: tuple[Family, ...]) -> object:
    X, y = make_rows(700, 1)
    members = [(family, fit_member(family)) for family in families]
    if kind == "single":
        return members[0][1]
    if kind == "voting":
        frozen = [(name, FrozenEstimator(member)) for name, member in members]
        return VotingClassifier(frozen, voting="soft").fit(X, y)
    P = np.column_stack([member.predict_proba(X)[:, 1] for _, member in members])
    final = FrozenEstimator(LogisticRegression().fit(P, y))
    return StackingClassifier(members, final_estimator=final, cv="prefit", stack_method="predict_proba").fit(X, y)


CASES = [
    *(("single", (family,), "sigmoid") for family in get_args(Family)),
    ("single", ("hist_gradient_boosting",), "none"),
    ("single", ("hist_gradient_boosting",), "isotonic"),
    ("voting", ("logistic", "hist_gradient_boosting"), "isotonic"),
    ("stacking", ("hist_gradient_boosting", "mlp"), "none"),
    ("stacking", ("hist_gradient_boosting", "mlp"), "sigmoid"),
]


@pytest.mark.parametrize(("kind", "families", "method"), CASES)
def test_released_model_compiles_with_the_same_probabilities(kind, families, method, tmp_path: Path):
    estimator = build(kind, families)
    if method != "none":
        estimator = CalibratedClassifierCV(FrozenEstimator(estimator), method=method).fit(*make_rows(400, 2))
    save_model(
        tmp_path, make_model(TASK, estimator, FEATURES, 0.4, family="+".join(families), kind=kind, calibration=method)
    )
    model = load_model(TASK, tmp_path)
    sample = make_rows(100, 3)[0]
    scorer = compile_scorer(model, sample)
    assert scorer.is_compiled, scorer.reason
    rows = make_rows(100, 4)[0]
    theirs = model.predict(rows)
    assert np.abs(scorer.score(rows.to_dict("records")) - theirs).max() <= MAXIMUM_DIFFERENCE
