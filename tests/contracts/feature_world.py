"""A model over a real Feast online store that holds one flight's entities.

The endpoint's contract tests that need the real lookup share it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from components.base.contract.load import load_problem, write_problem
from components.base.dataset import Feature
from components.base.settings import Settings
from components.features.feast.feature_store import apply, declared_views, open_feature_store
from components.models.artifact import Model, save_model
from components.tasks import open_task
from tests.contracts.running_predictor import ROOT
from tests.unit.made_models import make_model

PROBLEM = load_problem(ROOT / "pipelines/problems/flight-delays.yaml")
TASK = open_task(PROBLEM)
KEYS = {"carrier": "UA", "origin": "EWR", "tailnum": "N14228", "route": "EWR-IAH"}
THRESHOLD = 0.5


@dataclass(frozen=True)
class FeatureWorld:
    """What a predictor needs, and what it should answer."""

    folder: Path
    """The model's."""
    model: Model
    online_store: Path
    values: dict[str, object]
    """What the store holds for the flight's entities."""
    known_at: datetime
    """When all of it was known."""


def build_feature_world(folder: Path, settings: Settings) -> FeatureWorld:
    """Fill the online store of the settings and write a model folder."""
    # Whole seconds: SQLite as Feast fills it keeps no more in every version.
    known_at = (datetime.now(UTC) - timedelta(minutes=5)).replace(microsecond=0)
    values = _fill(settings, known_at)
    return FeatureWorld(folder, _fit(folder), Path(settings.online_store), values, known_at)


def features() -> tuple[Feature, ...]:
    request = [Feature("distance", "numeric", "request", "d"), Feature("carrier", "categorical", "request", "c")]
    return (*request, *(feature for view in declared_views(PROBLEM) for feature in view.features))


def _fill(settings: Settings, known_at: datetime) -> dict[str, object]:
    """Write one entity a view, and return its values."""
    store = open_feature_store(settings)
    apply(store, PROBLEM)
    values: dict[str, object] = {}
    for view in declared_views(PROBLEM):
        held = {
            f.name: float(len(values) + i) if f.kind == "numeric" else "BOEING" for i, f in enumerate(view.features)
        }
        row = {**{key: KEYS[key] for key in view.keys}, **held}
        times = {"event_timestamp": known_at, "created_timestamp": known_at}
        store.write_to_online_store(view.name, pd.DataFrame([{**row, **times}]))
        values |= held
    return values


def _fit(folder: Path) -> Model:
    rng = np.random.default_rng(1)
    table = pd.DataFrame({f.name: rng.normal(10, 5, 400) for f in features() if f.kind == "numeric"})
    for feature in features():
        if feature.kind == "categorical":
            table[feature.name] = rng.choice(["UA", "B6", "BOEING", "AIRBUS"], 400).astype(object)
    y = (table["distance"] + rng.normal(0, 3, 400) > 10).astype(int)
    pipeline = TASK.build_candidate("hist_gradient_boosting", features(), {"max_iter": 10}).fit(table, y)
    model = make_model(TASK, pipeline, features(), THRESHOLD, family="hist_gradient_boosting")
    save_model(folder, model)
    write_problem(PROBLEM, folder / "problem.json")
    table.to_parquet(folder / "golden.parquet")
    return model
