"""The endpoint over a real Feast online store: what it looks up, and that it says so when the store is gone."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pandas as pd
import pytest

from components.base.settings import load_settings
from components.features.feast.feature_store import declared_views
from tests.contracts.feature_world import PROBLEM, FeatureWorld, build_feature_world, features
from tests.contracts.running_predictor import FLIGHT, V1, RunningPredictor, command, start

pytestmark = [
    # Feast's own, at import and when it opens SQLite.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@dataclass(frozen=True)
class Endpoint(RunningPredictor):
    """A predictor over a filled store."""

    world: FeatureWorld


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory) -> Iterator[Endpoint]:
    folder = tmp_path_factory.mktemp("features")
    places = {"TIDEMILL_HOME": str(folder)}
    world = build_feature_world(folder / "model", load_settings(places))
    running = start(command(world.folder), folder / "log.txt", places)
    try:
        yield Endpoint(running.url, running.process, running.log, world)
    finally:
        running.stop()


def predict(endpoint: Endpoint, **changed) -> dict:
    return endpoint.predict({**FLIGHT, **changed})[0]


def test_known_entities_are_looked_up(endpoint):
    answer = predict(endpoint)
    row = {"distance": 1400.0, "carrier": "UA", **endpoint.world.values}
    assert answer["missing_features"] == []
    assert answer["probability"] == pytest.approx(endpoint.world.model.predict(pd.DataFrame([row])).item(), abs=1e-12)


def test_features_of_an_unknown_aircraft_are_missing_and_named(endpoint):
    answer = predict(endpoint, tailnum="N99999")
    of_aircraft = {f.name for view in declared_views(PROBLEM) if view.keys == ("tailnum",) for f in view.features}
    assert set(answer["missing_features"]) == of_aircraft
    row = {"distance": 1400.0, "carrier": "UA", **endpoint.world.values}
    row |= {f.name: math.nan if f.kind == "numeric" else None for f in features() if f.name in of_aircraft}
    assert answer["probability"] == pytest.approx(endpoint.world.model.predict(pd.DataFrame([row])).item(), abs=1e-12)


def test_endpoint_without_its_online_store_is_not_ready_and_says_so(endpoint):
    away = endpoint.world.online_store.with_suffix(".away")
    endpoint.world.online_store.rename(away)
    try:
        for path in ("/v2/health/ready", "/v2/models/flight-delays/ready", "/v1/models/flight-delays"):
            answer = httpx.get(endpoint.url + path)
            assert (answer.status_code, list(answer.json())) == (503, ["error"])
        answer = httpx.post(endpoint.url + V1, json={"instances": [FLIGHT]})
        assert answer.status_code == 503
        assert "Try again." in answer.json()["error"]
        assert httpx.get(endpoint.url + "/v2/health/live").status_code == 200
    finally:
        away.rename(endpoint.world.online_store)
    assert httpx.get(endpoint.url + "/v2/health/ready").status_code == 200
    assert predict(endpoint)["missing_features"] == []
