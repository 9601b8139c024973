"""The endpoint over a real Feast online store: what it looks up, and that it says so when the store is gone."""

import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from components.base.prepared import Feature
from components.base.problem import load_problem, write_problem
from components.base.settings import load_settings
from components.features.feature_store import apply, declared_views, open_feature_store
from components.models.artifact import Model, save_model
from components.models.candidates import build_candidate

pytestmark = [
    # Feast's own, at import and when it opens SQLite.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

ROOT = Path(__file__).parents[2]
PROBLEM = load_problem(ROOT / "pipelines/problems/flight-delays.yaml")
FLIGHT = {
    "carrier": "UA",
    "flight": 1545,
    "origin": "EWR",
    "dest": "IAH",
    "tailnum": "N14228",
    "scheduled_at": "2013-07-01T09:15:00Z",
    "distance": 1400,
}
PREDICT = "/v1/models/flight-delays:predict"


@dataclass(frozen=True)
class Endpoint:
    """A predictor over a filled store."""

    url: str
    model: Model
    online_store: Path
    values: dict[str, object]
    """What the store holds for the flight's entities."""


def features() -> tuple[Feature, ...]:
    request = [Feature("distance", "numeric", "request", "d"), Feature("carrier", "categorical", "request", "c")]
    return (*request, *(feature for view in declared_views(PROBLEM) for feature in view.features))


def fill(store) -> dict[str, object]:
    """Write one entity a view, known a few minutes ago, and return its values."""
    apply(store, PROBLEM)
    keys = {"carrier": "UA", "origin": "EWR", "tailnum": "N14228", "route": "EWR-IAH"}
    known_at = datetime.now(UTC) - timedelta(minutes=5)
    values: dict[str, object] = {}
    for view in declared_views(PROBLEM):
        held = {
            f.name: float(len(values) + i) if f.kind == "numeric" else "BOEING" for i, f in enumerate(view.features)
        }
        row = {**{key: keys[key] for key in view.keys}, **held}
        times = {"event_timestamp": known_at, "created_timestamp": known_at}
        store.write_to_online_store(view.name, pd.DataFrame([{**row, **times}]))
        values |= held
    return values


def fit(folder: Path) -> Model:
    rng = np.random.default_rng(1)
    table = pd.DataFrame({f.name: rng.normal(10, 5, 400) for f in features() if f.kind == "numeric"})
    for feature in features():
        if feature.kind == "categorical":
            table[feature.name] = rng.choice(["UA", "B6", "BOEING", "AIRBUS"], 400).astype(object)
    y = (table["distance"] + rng.normal(0, 3, 400) > 10).astype(int)
    pipeline = build_candidate("hist_gradient_boosting", features(), {"max_iter": 10}).fit(table, y)
    model = Model(pipeline, 0.5, features(), "late", "hist_gradient_boosting", "single", "none")
    save_model(folder, model)
    write_problem(PROBLEM, folder / "problem.json")
    table.to_parquet(folder / "golden.parquet")
    return model


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory) -> Iterator[Endpoint]:
    folder = tmp_path_factory.mktemp("features")
    places = {"TIDEMILL_HOME": str(folder)}
    settings = load_settings(places)
    values = fill(open_feature_store(settings))
    model = fit(folder / "model")
    command = [
        sys.executable,
        "-m",
        "components.release.predictor",
        "--model-dir",
        str(folder / "model"),
        "--port",
        "0",
    ]
    log = folder / "log.txt"
    with log.open("wb") as stream:
        environ = {**os.environ, **places, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, cwd=ROOT, stderr=stream, stdout=stream, env=environ)
    try:
        yield Endpoint(wait_for_address(process, log), model, settings.online_store, values)
    finally:
        process.terminate()
        process.wait(20)


def wait_for_address(process: subprocess.Popen, log: Path) -> str:
    for _ in range(600):
        found = re.search(r"\(compiled\) listens on (http://127\.0\.0\.1:\d+)", log.read_text())
        if found:
            return found[1]
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def predict(endpoint: Endpoint, **changed) -> dict:
    answer = httpx.post(endpoint.url + PREDICT, json={"instances": [{**FLIGHT, **changed}]}, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"][0]


def test_known_entities_are_looked_up(endpoint):
    answer = predict(endpoint)
    row = {"distance": 1400.0, "carrier": "UA", **endpoint.values}
    assert answer["missing_features"] == []
    assert answer["probability"] == pytest.approx(endpoint.model.predict(pd.DataFrame([row]))[0], abs=1e-12)


def test_features_of_an_unknown_aircraft_are_missing_and_named(endpoint):
    answer = predict(endpoint, tailnum="N99999")
    of_aircraft = {f.name for view in declared_views(PROBLEM) if view.keys == ("tailnum",) for f in view.features}
    assert set(answer["missing_features"]) == of_aircraft
    row = {"distance": 1400.0, "carrier": "UA", **endpoint.values}
    row |= {f.name: math.nan if f.kind == "numeric" else None for f in features() if f.name in of_aircraft}
    assert answer["probability"] == pytest.approx(endpoint.model.predict(pd.DataFrame([row]))[0], abs=1e-12)


def test_endpoint_without_its_online_store_is_not_ready_and_says_so(endpoint):
    away = endpoint.online_store.with_suffix(".away")
    endpoint.online_store.rename(away)
    try:
        for path in ("/v2/health/ready", "/v2/models/flight-delays/ready", "/v1/models/flight-delays"):
            answer = httpx.get(endpoint.url + path)
            assert (answer.status_code, list(answer.json())) == (503, ["error"])
        answer = httpx.post(endpoint.url + PREDICT, json={"instances": [FLIGHT]})
        assert answer.status_code == 503
        assert "Try again." in answer.json()["error"]
        assert httpx.get(endpoint.url + "/v2/health/live").status_code == 200
    finally:
        away.rename(endpoint.online_store)
    assert httpx.get(endpoint.url + "/v2/health/ready").status_code == 200
    assert predict(endpoint)["missing_features"] == []
