"""What the endpoint's benchmark serves: one fitted model, a filled Feast online store, requests with known answers.

The values are drawn at random with a fixed seed; names, types and number of features are those of `flight-delays`.
Times do not depend on whether a model is a good one.
"""

import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from components.base.contract.load import load_problem, write_problem
from components.base.contract.problem import Problem
from components.base.dataset import Feature
from components.base.settings import load_settings
from components.base.task import Task
from components.features.feast.feature_store import apply, declared_views, open_feature_store
from components.features.online.reader import OnlineFeatures, OnlineView
from components.features.online.store import open_online_features
from components.features.request import feature_kind
from components.models.artifact import Model, save_model
from components.serving.predictor.model import load_served
from components.serving.predictor.requests import RequestSchema, Row, plain_value
from components.tasks import open_task
from tests.unit.made_models import make_model

CONTRACT = Path("pipelines/problems/flight-delays.yaml")
_CARRIERS = [f"{a}{b}" for a in "ABCD" for b in "1234"]
_ORIGINS = ["EWR", "JFK", "LGA"]
_DESTINATIONS = [f"D{i:02d}" for i in range(100)]
_TAILS = [f"N{i:05d}" for i in range(2000)]
_ENTITIES = {
    "carrier": _CARRIERS,
    "origin": _ORIGINS,
    "tailnum": _TAILS,
    "route": [f"{origin}-{dest}" for origin in _ORIGINS for dest in _DESTINATIONS],
}


@dataclass(frozen=True)
class World:
    """Files and requests of one benchmark."""

    problem: Problem
    schema: RequestSchema
    model_folder: Path
    estimator: Path
    """The scikit-learn pipeline as joblib writes it, for the peers."""
    environ: dict[str, str]
    requests: list[Row]
    """What our endpoint is asked: request columns, the rest it looks up."""
    features: pd.DataFrame
    """What the peers are asked: the same rows with every feature in place."""
    probabilities: np.ndarray


def build_world(folder: Path, family: str, parameters: dict[str, Any]) -> World:
    """Fill an online store and fit a calibrated pipeline of the family."""
    problem = load_problem(CONTRACT)
    places = {"TIDEMILL_HOME": str(folder / "home")}
    lookup = _fill_online_store(problem, places)
    model_folder = folder / "model"
    task = open_task(problem)
    model = _fit(task, _features(problem), family, parameters)
    save_model(model_folder, model)
    write_problem(problem, model_folder / "problem.json")
    requests = _requests(problem, 400)
    served = load_served(model_folder, task, lookup)
    features = pd.DataFrame(served.assemble(requests))
    features.to_parquet(model_folder / "golden.parquet")
    joblib.dump(model.estimator, folder / "model.joblib")
    return World(
        problem=problem,
        schema=served.schema,
        model_folder=model_folder,
        estimator=folder / "model.joblib",
        environ=_environment(places),
        requests=requests,
        features=features,
        probabilities=model.predict(features)[:, 0],
    )


def _environment(places: dict[str, str]) -> dict[str, str]:
    # `mlflow models serve` starts uvicorn by name.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **places, "PATH": path, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}


def _fill_online_store(problem: Problem, places: dict[str, str]) -> OnlineFeatures:
    settings = load_settings(places)
    store = open_feature_store(settings)
    apply(store, problem)
    rng = np.random.default_rng(2)
    for view in declared_views(problem):
        store.write_to_online_store(view.name, _view_rows(view, rng))
    return open_online_features(problem, settings)


def _view_rows(view: OnlineView, rng: np.random.Generator) -> pd.DataFrame:
    (key,) = view.keys
    entities = _ENTITIES[key]
    rows = pd.DataFrame({key: entities})
    for feature in view.features:
        rows[feature.name] = _draw(feature, len(entities), rng)
    # A little old, so that clocks and time zones do not matter, and younger than every view's time to live.
    known_at = datetime.now(UTC) - timedelta(minutes=5)
    return rows.assign(event_timestamp=known_at, created_timestamp=known_at)


def _features(problem: Problem) -> tuple[Feature, ...]:
    request = [
        Feature(name, feature_kind(problem, name), "request", name)
        for name, feature in problem.features.request.items()
        if feature.used_by_model
    ]
    return (*request, *(feature for view in declared_views(problem) for feature in view.features))


def _fit(task: Task, features: tuple[Feature, ...], family: str, parameters: dict[str, Any]) -> Model:
    rng = np.random.default_rng(3)
    table = pd.DataFrame({feature.name: _draw(feature, 12_000, rng) for feature in features})
    numbers = [feature.name for feature in features if feature.kind == "numeric"]
    odds = table[numbers].to_numpy() @ rng.normal(0, 0.02, len(numbers))
    y = (odds - np.median(odds) + rng.normal(0, 1, len(table)) > 0.8).astype(int)
    pipeline = task.build_candidate(family, features, parameters).fit(table[:9000], y[:9000])
    calibrated = CalibratedClassifierCV(FrozenEstimator(pipeline), method="sigmoid").fit(table[9000:], y[9000:])
    return make_model(task, calibrated, features, 0.3, family=family, calibration="sigmoid")


def _draw(feature: Feature, n: int, rng: np.random.Generator) -> Any:
    if feature.kind == "numeric":
        return rng.normal(20, 10, n).round(2)
    values = {"carrier": _CARRIERS, "origin": _ORIGINS, "dest": _DESTINATIONS}.get(feature.name)
    return rng.choice(values or [f"{feature.name} {i}" for i in range(8)], n).astype(object)


def _requests(problem: Problem, n: int) -> list[Row]:
    rng = np.random.default_rng(4)
    start = datetime(2013, 7, 1, tzinfo=UTC)
    rows = [
        {
            "carrier": rng.choice(_CARRIERS),
            "flight": int(rng.integers(1, 9000)),
            "origin": rng.choice(_ORIGINS),
            "dest": rng.choice(_DESTINATIONS),
            "tailnum": rng.choice(_TAILS),
            "scheduled_at": start + timedelta(minutes=int(rng.integers(0, 40_000))),
            "distance": float(rng.integers(100, 2500)),
        }
        for _ in range(n)
    ]
    fields = RequestSchema.of(problem).fields
    return [{field.name: field.read(plain_value(row[field.name])) for field in fields} for row in rows]
