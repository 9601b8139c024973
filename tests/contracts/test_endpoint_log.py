"""The prediction log over the real predictor and a real object store: what is in it, and what it survives."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from components.base.adapters.s3 import ObjectStore, open_store
from components.base.adapters.seaweedfs import SeaweedFS
from components.base.settings import Settings, load_settings
from components.features.feast.feature_store import declared_views
from components.serving.predictor.requests import RequestSchema
from components.serving.predictor.tensors import write_v2
from tests.contracts.feature_world import PROBLEM, FeatureWorld, build_feature_world, features
from tests.contracts.prediction_objects import drop_replays, read_log
from tests.contracts.running_predictor import FLIGHT, V1, V2, RunningPredictor, command, start, wait_until

pytestmark = [
    # Feast's own, at import and when it opens SQLite.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

QUICK = {"prediction_log_segment_seconds": 0.3}
# Nothing is uploaded before the end.
SLOW = {"prediction_log_segment_seconds": 3600}
HEADERS = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> FeatureWorld:
    home = tmp_path_factory.mktemp("features")
    return build_feature_world(home / "model", load_settings({"TIDEMILL_HOME": str(home)}))


@pytest.fixture
def run(world, store_settings, tmp_path) -> Iterator[Callable[..., RunningPredictor]]:
    """Start predictors over the test's own bucket and spool."""
    started: list[RunningPredictor] = []

    def begin(log: Mapping[str, Any] = QUICK, settings: Settings | None = None, *options: str) -> RunningPredictor:
        placed = place(settings or store_settings, world, log)
        environ = placed.child_environment()
        log_path = tmp_path / f"predictor-{len(started)}.log"
        started.append(start(command(world.folder, "--model-version", "7", *options), log_path, environ))
        return started[-1]

    yield begin
    for predictor in started:
        predictor.stop()


@dataclass(frozen=True)
class Logging(RunningPredictor):
    """A predictor with the store that it logs to, shared by tests that break nothing."""

    store: ObjectStore

    def read(self, *request_ids: str) -> pd.DataFrame:
        rows = read_log(self.store)
        return rows[rows["request_id"].isin(request_ids)].reset_index(drop=True)


@pytest.fixture(scope="module")
def shared(world, seaweedfs, tmp_path_factory) -> Iterator[Logging]:
    home = tmp_path_factory.mktemp("shared")
    settings = load_settings({"TIDEMILL_HOME": str(home), "TIDEMILL_BUCKET": "test-shared-log"})
    placed = place(settings.with_store(seaweedfs.endpoint), world, QUICK)
    open_store(placed).ensure_bucket()
    words = command(world.folder, "--model-version", "7")
    running = start(words, home / "log.txt", placed.child_environment())
    try:
        yield Logging(running.url, running.process, running.log, open_store(placed))
    finally:
        running.stop()


def place(settings: Settings, world: FeatureWorld, log: Mapping[str, Any]) -> Settings:
    """Return the settings with the world's features."""
    registry = str(world.online_store.with_name("registry.db"))
    return settings.model_copy(update={"registry": registry, "online_store": str(world.online_store), **log})


def wait_stored(predictor: RunningPredictor, rows: int) -> None:
    wait_until(lambda: predictor.logged("stored") >= rows, what=f"{rows} stored rows")


async def load(predictor: RunningPredictor, requests: int, prefix: str, at_a_time: int = 8) -> list[int]:
    """Send numbered requests of two rows; return their status, 0 when there was no answer."""
    numbers = iter(range(requests))
    statuses: list[int] = []

    async def client() -> None:
        async with httpx.AsyncClient(base_url=predictor.url, timeout=20) as session:
            for i in numbers:
                body = {"instances": [FLIGHT, {**FLIGHT, "flight": i % 9000 + 1}]}
                try:
                    answer = await session.post(V1, json=body, headers={"idempotency-key": f"{prefix}-{i}"})
                    statuses.append(answer.status_code)
                except httpx.HTTPError:
                    statuses.append(0)
                    return

    await asyncio.gather(*(client() for _ in range(at_a_time)))
    return statuses


def keys(rows: pd.DataFrame) -> set[tuple[str, int]]:
    return set(zip(rows["request_id"], rows["row"], strict=True))


def test_the_rows_of_a_smoke_test_are_answered_and_neither_logged_nor_counted(shared):
    header = {"x-prediction-log": "off"}
    rows = 'tidemill_predictor_rows_total{model_version="7",problem="flight-delays"}'
    shared.predict(FLIGHT)
    before = shared.metric(rows)
    assert before >= 1
    answer = httpx.post(f"{shared.url}{V1}", json={"instances": [FLIGHT]}, headers=header, timeout=20)
    assert answer.status_code == 200
    assert shared.metric(rows) == before
    assert shared.read(answer.headers["idempotency-key"]).empty
    ready = httpx.get(f"{shared.url}/v2/models/flight-delays/ready", timeout=20)
    assert ready.headers["x-model-version"] == "7"


def test_a_row_holds_the_request_the_features_and_the_answer(shared, world):
    sent = datetime.now(UTC)
    (answer,) = shared.predict({**FLIGHT, "tailnum": "N99999"}, request_id="request-1")
    wait_until(lambda: len(shared.read("request-1")))
    (row,) = shared.read("request-1").to_dict("records")
    of_aircraft = {view.name: view for view in declared_views(PROBLEM) if view.keys == ("tailnum",)}
    unknown = {feature.name for view in of_aircraft.values() for feature in view.features}
    for name, value in (world.values | {"distance": 1400.0, "carrier": "UA"}).items():
        served = row[f"feature__{name}"]
        assert pd.isna(served) if name in unknown else served == value, name
    assert {name for name in row if name.startswith("feature__")} == {f"feature__{f.name}" for f in features()}
    for view in declared_views(PROBLEM):
        age = row[f"age_seconds__{view.name}"]
        expected = (row["event_time"] - world.known_at).total_seconds()
        assert pd.isna(age) if view.name in of_aircraft else age == pytest.approx(expected, abs=1e-3), view.name
    assert {name: row[name] for name in ("carrier", "flight", "origin", "dest", "tailnum", "distance")} == {
        "carrier": "UA",
        "flight": 1545,
        "origin": "EWR",
        "dest": "IAH",
        "tailnum": "N99999",
        "distance": 1400.0,
    }
    assert row["scheduled_at"] == pd.Timestamp("2013-07-01T09:15:00Z")
    assert (row["request_id"], row["row"], row["model_version"]) == ("request-1", 0, "7")
    assert (row["output__probability"], row["decision"]) == (answer["probability"], answer["decision"])
    assert row["sampling_ratio"] == 1.0
    assert sent - timedelta(seconds=5) < row["event_time"] <= row["logged_at"] < datetime.now(UTC)
    assert row["label_due_at"] == row["event_time"] + timedelta(hours=PROBLEM.monitoring.label_delay_hours)


def test_both_protocols_are_logged_alike_and_a_replay_counts_once(shared):
    schema = RequestSchema.of(PROBLEM)
    flights = [FLIGHT, {**FLIGHT, "flight": 2}]
    typed = schema.parse_v1(httpx.Request("POST", "http://a", json={"instances": flights}).content)
    for _ in range(2):
        shared.predict(*flights, request_id="one")
    shared.post(V2, json=write_v2(schema, typed), headers={"idempotency-key": "two"})
    wait_until(lambda: len(shared.read("one", "two")) == 6)
    rows = shared.read("one", "two")
    once = drop_replays(rows)
    assert keys(once) == {("one", 0), ("one", 1), ("two", 0), ("two", 1)}
    told = [name for name in once.columns if name not in ("request_id", "logged_at", "event_time", "label_due_at")]
    told = [name for name in told if not name.startswith("age_")]
    first, second = (
        once[once["request_id"] == name][told].sort_values("row", ignore_index=True) for name in ("one", "two")
    )
    pd.testing.assert_frame_equal(first, second)


def test_each_request_of_a_trace_is_a_prediction_of_its_own(shared):
    keys_made = {
        shared.post(V1, json={"instances": [FLIGHT]}, headers={"x-request-id": "trace"}).headers["idempotency-key"]
        for _ in range(3)
    }
    wait_until(lambda: len(shared.read(*keys_made)) == 3)
    assert keys(shared.read(*keys_made)) == {(key, 0) for key in keys_made}
    assert shared.read("trace").empty


def test_a_row_is_logged_under_its_own_id_where_it_has_one(shared):
    """Sent again in another place of another request of the other protocol, it is still the same prediction."""
    other = {**FLIGHT, "flight": 2}
    shared.predict({**FLIGHT, "instance_id": "loan-1"}, {**other, "instance_id": None}, request_id="request")
    typed = RequestSchema.of(PROBLEM).parse_v1(json.dumps({"instances": [other, FLIGHT]}).encode())
    body = write_v2(RequestSchema.of(PROBLEM), typed)
    names = {"name": "instance_id", "datatype": "BYTES", "shape": [2], "data": ["loan-2", "loan-1"]}
    answer = shared.post(V2, json={"inputs": [*body["inputs"], names]})
    assert answer.status_code == 200, answer.text
    wait_until(lambda: len(shared.read("loan-1", "loan-2", "request")) == 4)
    rows = shared.read("loan-1", "loan-2", "request")
    assert keys(drop_replays(rows)) == {("loan-1", 0), ("loan-2", 0), ("request", 1)}
    assert set(rows[rows["request_id"] == "loan-1"]["flight"]) == {FLIGHT["flight"]}


def test_only_predictions_that_were_answered_are_logged_and_counted(shared):
    counted = (
        'tidemill_predictor_lookup_seconds_count{problem="flight-delays"}',
        'tidemill_predictor_rows_total{model_version="7",problem="flight-delays"}',
    )
    before = [shared.metric(series) for series in counted]
    spooled = shared.logged("spooled")
    for path in ("/v2/health/ready", "/v2/models/flight-delays/ready", "/v1/models/flight-delays", "/metrics"):
        assert httpx.get(shared.url + path).status_code == 200
    assert shared.post(V1, json={"instances": [{}]}).status_code == 400
    shared.predict(FLIGHT, request_id="answered")
    wait_until(lambda: len(shared.read("answered")))
    assert shared.logged("spooled") == spooled + 1
    assert [shared.metric(series) for series in counted] == [value + 1 for value in before]


def test_a_trial_logs_nothing(run, store):
    predictor = run(QUICK, None, "--no-log")
    predictor.predict(FLIGHT)
    predictor.stop()
    assert read_log(store).empty
    assert "predictions are not logged" in predictor.log.read_text()


def test_sigterm_stores_what_was_answered(run, store, store_settings):
    predictor = run(SLOW)
    statuses = asyncio.run(load(predictor, 200, "a"))
    predictor.stop()
    assert predictor.process.returncode == 0
    assert statuses == [200] * 200
    assert keys(read_log(store)) == {(f"a-{i}", row) for i in range(200) for row in (0, 1)}
    assert list((store_settings.prediction_log_spool / "flight-delays").iterdir()) == []


def test_a_killed_predictor_with_a_synced_log_loses_nothing_that_it_had_answered(run, store):
    predictor = run({**SLOW, "prediction_log": "synced"})
    answered: list[str] = []

    async def ask(client: int) -> None:
        async with httpx.AsyncClient(base_url=predictor.url, timeout=20) as session:
            for i in range(100_000):
                try:
                    answer = await session.post(
                        V1, json={"instances": [FLIGHT]}, headers={"idempotency-key": f"{client}-{i}"}
                    )
                except httpx.HTTPError:
                    return
                assert answer.status_code == 200
                answered.append(f"{client}-{i}")
                if len(answered) == 300:
                    predictor.process.kill()

    async def ask_all() -> None:
        await asyncio.gather(*(ask(client) for client in range(8)))

    asyncio.run(ask_all())
    predictor.process.wait()
    after = run(QUICK)
    wait_stored(after, len(answered))
    assert len(answered) >= 300
    assert {(key, 0) for key in answered} <= keys(read_log(store))


def test_a_killed_predictor_loses_nothing_that_it_had_counted_as_spooled(run, store):
    predictor = run({**SLOW, "prediction_log_segment_bytes": 100_000})

    async def load_and_kill() -> float:
        loading = asyncio.create_task(load(predictor, 100_000, "a"))
        spooled = 0.0
        async with httpx.AsyncClient(timeout=20) as client:
            while spooled < 500:
                text = (await client.get(predictor.url + "/metrics")).text
                (value,) = re.findall(r'prediction_log_rows_total\{outcome="spooled",.*\} (\S+)', text)
                spooled = float(value)
        predictor.process.kill()
        await loading
        return spooled

    spooled = asyncio.run(load_and_kill())
    predictor.process.wait()
    after = run(SLOW)
    wait_until(lambda: after.metric('tidemill_prediction_log_spool_bytes{problem="flight-delays"}') == 0)
    rows = read_log(store)
    assert len(rows) >= spooled
    assert len(drop_replays(rows)) == len(rows)
    assert after.logged("dropped") <= 1


def test_a_dead_object_store_costs_no_answer_and_no_row(run, world, tmp_path):
    settings = load_settings({"TIDEMILL_HOME": str(tmp_path / "own")})
    with SeaweedFS(settings) as server:
        placed = settings.with_store(server.endpoint)
        open_store(placed).ensure_bucket()
        predictor = run(QUICK, placed)
        before = asyncio.run(load(predictor, 100, "before"))
        wait_stored(predictor, 200)
    statuses = asyncio.run(load(predictor, 600, "dead"))
    wait_until(lambda: predictor.logged("spooled") == 1400)
    assert set(before + statuses) == {200}
    assert predictor.logged("dropped") == 0
    wait_until(lambda: "rows stay in the spool" in predictor.log.read_text())
    with SeaweedFS(settings) as server:
        assert server.endpoint == placed.s3
        wait_stored(predictor, 1400)
        rows = read_log(open_store(placed))
        predictor.stop()
    assert len(rows) == 1400
    expected = {
        (f"{name}-{i}", row) for name, n in (("before", 100), ("dead", 600)) for i in range(n) for row in (0, 1)
    }
    assert keys(rows) == expected
    assert "rows reach the object store again" in predictor.log.read_text()


def test_a_dead_online_store_refuses_and_logs_nothing(run, world, store):
    predictor = run()
    away = world.online_store.with_suffix(".away")
    world.online_store.rename(away)
    try:
        assert set(asyncio.run(load(predictor, 100, "dead"))) == {503}
    finally:
        away.rename(world.online_store)
    assert set(asyncio.run(load(predictor, 50, "back"))) == {200}
    wait_stored(predictor, 100)
    assert set(read_log(store)["request_id"]) == {f"back-{i}" for i in range(50)}
    assert predictor.logged("dropped") == 0


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """Mount a disk of that size; needs the right to mount."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only a user who may mount can fill a disk: run as root to see this test")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_drops_rows_counts_them_and_answers(run, store, tmp_path):
    with small_disk(tmp_path / "disk", 2 * 2**20) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(b"\0" * (2 * 2**20 - 200_000))
        predictor = run({**SLOW, "prediction_log_spool": disk / "spool"})
        statuses = asyncio.run(load(predictor, 500, "full"))
        wait_until(lambda: predictor.logged("spooled") + predictor.logged("dropped") == 1000)
        dropped = predictor.logged("dropped")
        assert set(statuses) == {200}
        assert 0 < dropped < 1000
        ballast.unlink()
        assert set(asyncio.run(load(predictor, 50, "room"))) == {200}
        wait_until(lambda: predictor.logged("spooled") == 1100 - dropped)
        predictor.stop()
    rows = read_log(store)
    assert len(rows) == len(drop_replays(rows)) == 1100 - dropped
    assert {f"room-{i}" for i in range(50)} <= set(rows["request_id"])
    assert predictor.log.read_text().count("Rows are dropped.") <= 3


def test_without_an_object_store_rows_stay_in_the_spool_and_that_is_said(world, tmp_path):
    environ = {
        "TIDEMILL_HOME": str(tmp_path),
        "TIDEMILL_REGISTRY": str(world.online_store.with_name("registry.db")),
        "TIDEMILL_ONLINE_STORE": str(world.online_store),
    }
    predictor = start(command(world.folder), tmp_path / "log.txt", environ)
    predictor.predict(FLIGHT)
    predictor.stop()
    (segment,) = tmp_path.glob("spool/flight-delays/*/*.jsonl")
    assert segment.read_bytes().count(b"\n") == 2
    assert predictor.log.read_text().count("no object store is set") == 1
