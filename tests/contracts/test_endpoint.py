"""The contract of the endpoint, over a real process: right answers, and the right words for wrong requests."""

import asyncio
import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import jsonschema
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from components.base.contract.load import load_problem
from components.base.dataset import Feature
from components.models.artifact import Model, save_model
from components.serving.predictor.requests import RequestSchema, write_v1
from components.serving.predictor.tensors import write_v2
from components.tasks import open_task
from tests.contracts.running_predictor import FLIGHT, ROOT, V1, V2, RunningPredictor, memory_command, start
from tests.unit.made_models import make_model

NUMBERS = ("distance", "scheduled_hour", "carrier_late_ratio", "plane_age")
PROBLEM = load_problem(ROOT / "pipelines/problems/flight-delays.yaml")
TASK = open_task(PROBLEM)
SCHEMA = RequestSchema.of(PROBLEM)


@dataclass(frozen=True)
class Server(RunningPredictor):
    """A running endpoint with its model."""

    model: Model


def train(folder: Path) -> Model:
    rng = np.random.default_rng(1)
    table = pd.DataFrame({name: rng.normal(10, 5, 600) for name in NUMBERS})
    table["plane_age"] = np.where(rng.random(600) < 0.2, np.nan, table["plane_age"])
    table["carrier"] = rng.choice(["UA", "B6", "AA"], 600).astype(object)
    y = (table["scheduled_hour"] + rng.normal(0, 4, 600) > 12).astype(int)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    columns = ColumnTransformer([("numeric", "passthrough", list(NUMBERS)), ("categorical", encoder, ["carrier"])])
    classifier = HistGradientBoostingClassifier(max_iter=20, categorical_features=[4], random_state=1)
    features = (
        *(Feature(n, "numeric", "request", n) for n in NUMBERS),
        Feature("carrier", "categorical", "request", "c"),
    )
    pipeline = Pipeline([("columns", columns), ("model", classifier)]).fit(table, y)
    model = make_model(TASK, pipeline, features, 0.4, family="hist_gradient_boosting")
    save_model(folder, model)
    table.to_parquet(folder / "golden.parquet")
    return model


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("endpoint")
    model = train(folder)
    running = start(memory_command(folder), folder / "log.txt")
    try:
        yield Server(running.url, running.process, running.log, model)
    finally:
        running.stop()


def expected_probability(server: Server, hour: float, age: float, ratio: float) -> float:
    row = {"distance": 1400.0, "scheduled_hour": hour, "carrier_late_ratio": ratio, "plane_age": age, "carrier": "UA"}
    return server.model.predict(pd.DataFrame([row])).item()


def test_v1_answers_probability_decision_version_and_missing_features(server):
    (answer,) = server.predict(FLIGHT)
    # 09:15 UTC is 05:15 in New York in summer.
    expected = expected_probability(server, 5.25, 14.0, 0.2)
    assert answer["probability"] == pytest.approx(expected, abs=1e-12)
    assert answer == {
        "probability": answer["probability"],
        "decision": expected >= 0.4,
        "model_version": "7",
        "missing_features": [],
    }


def test_v2_answers_the_same_as_v1(server):
    rows = [FLIGHT, {**FLIGHT, "tailnum": None, "scheduled_at": "2013-07-01T23:05:00Z"}]
    one = server.predict(*rows)
    answer = server.post(V2, json={**write_v2(SCHEMA, rows), "id": "a-1"}).json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("flight-delays", "7", "a-1")
    assert answer["parameters"] == {"model_version": "7"}
    outputs = {output["name"]: output for output in answer["outputs"]}
    assert outputs["probability"]["data"] == [row["probability"] for row in one]
    assert outputs["decision"] == {
        "name": "decision",
        "datatype": "BOOL",
        "shape": [2],
        "data": [row["decision"] for row in one],
    }
    assert [json.loads(names) for names in outputs["missing_features"]["data"]] == [[], ["plane_age"]]


def test_v2_answers_the_outputs_that_are_asked_for(server):
    answer = server.post(V2, json={**write_v2(SCHEMA, [FLIGHT]), "outputs": [{"name": "decision"}]})
    assert [output["name"] for output in answer.json()["outputs"]] == ["decision"]


def test_v2_metadata_describes_inputs_and_outputs(server):
    metadata = httpx.get(server.url + "/v2/models/flight-delays").json()
    assert {"name": "flight", "datatype": "INT64", "shape": [-1]} in metadata["inputs"]
    assert {"name": "scheduled_at", "datatype": "BYTES", "shape": [-1]} in metadata["inputs"]
    assert metadata["outputs"] == [
        {"name": "probability", "datatype": "FP64", "shape": [-1]},
        {"name": "decision", "datatype": "BOOL", "shape": [-1]},
        {"name": "missing_features", "datatype": "BYTES", "shape": [-1]},
    ]


def test_unknown_entities_are_served_and_named(server):
    (answer,) = server.predict({**FLIGHT, "carrier": "ZZ", "tailnum": "N00000"})
    assert answer["missing_features"] == ["carrier_late_ratio", "plane_age"]
    assert 0 < answer["probability"] < 1


def test_many_rows_are_answered_in_order(server):
    rows = [{**FLIGHT, "scheduled_at": datetime(2013, 7, 1, hour, tzinfo=UTC)} for hour in range(24)]
    many = server.post(V1, json=write_v1(rows)).json()["predictions"]
    single = [server.predict(write_v1([row])["instances"][0])[0] for row in rows]
    assert many == single


@pytest.mark.parametrize("path", ["/", "/v1/models", "/v1/models/flight-delays", "/v2", "/v2/health/live"])
def test_kserve_paths_still_answer(server, path):
    assert httpx.get(server.url + path).status_code == 200


@pytest.mark.parametrize("path", ["/v2/health/ready", "/v2/models/flight-delays/ready"])
def test_ready_answers_200_while_predictions_go_through(server, path):
    assert httpx.get(server.url + path).json() == {"name": "flight-delays", "ready": True}


WRONG = {
    "bad JSON": (
        V1,
        {"content": b'{"instances": [', "headers": {"content-type": "application/json"}},
        400,
        "must be JSON",
    ),
    "empty body": (V1, {"content": b"", "headers": {"content-type": "application/json"}}, 400, "must be JSON"),
    "list": (V1, {"json": [1, 2]}, 400, "the body must be a JSON object, but got a list of 2"),
    "number": (V1, {"json": 5}, 400, "the body must be a JSON object, but got 5"),
    "no instances": (V1, {"json": {}}, 400, "`instances` must be a list of at least one row, but got nothing. Send {"),
    "renamed": (V1, {"json": {"instance": [FLIGHT]}}, 400, "Did you mean 'instances'?"),
    "empty instances": (V1, {"json": {"instances": []}}, 400, "but got an empty list"),
    "scalar instances": (V1, {"json": {"instances": 5}}, 400, "`instances` must be a list"),
    "row is a list": (V1, {"json": {"instances": [[1]]}}, 400, "instances[0] must be an object with carrier"),
    "missing": (
        V1,
        {"json": {"instances": [{k: v for k, v in FLIGHT.items() if k != "dest"}]}},
        400,
        "instances[0] must have `dest`, but it is missing",
    ),
    "misspelt": (
        V1,
        {"json": {"instances": [{**FLIGHT, "orgin": "EWR"}]}},
        400,
        'must not have "orgin"; it takes carrier, flight, origin, dest, tailnum, scheduled_at, distance, instance_id. '
        "Did you mean 'origin'?",
    ),
    "text for number": (
        V1,
        {"json": {"instances": [{**FLIGHT, "distance": "far"}]}},
        400,
        'finite number, but got "far"',
    ),
    "number for text": (
        V1,
        {"json": {"instances": [{**FLIGHT, "carrier": 7}]}},
        400,
        "carrier must be text, but got 7",
    ),
    "true for number": (V1, {"json": {"instances": [{**FLIGHT, "flight": True}]}}, 400, "whole number, but got true"),
    "no time": (V1, {"json": {"instances": [{**FLIGHT, "scheduled_at": "noon"}]}}, 400, 'a time like "2013-'),
    "range": (V1, {"json": {"instances": [{**FLIGHT, "distance": -5}]}}, 400, "must be at least 10, but got -5"),
    "null": (V1, {"json": {"instances": [{**FLIGHT, "origin": None}]}}, 400, "origin must be text, but got null"),
    "nested": (V1, {"json": {"instances": [{**FLIGHT, "origin": {"a": 1}}]}}, 400, "but got an object of 1"),
    "NaN": (
        V1,
        {"content": b'{"instances": [{"distance": NaN}]}', "headers": {"content-type": "application/json"}},
        400,
        "Write a missing number as null.",
    ),
    "infinite": (
        V1,
        {
            "content": json.dumps({"instances": [FLIGHT]}).replace("1400", "1e999"),
            "headers": {"content-type": "application/json"},
        },
        400,
        "",
    ),
    "deep": (V1, {"content": b"[" * 100_000, "headers": {"content-type": "application/json"}}, 400, "must be JSON"),
    "10 MB": (
        V1,
        {"content": b" " * 10_000_000, "headers": {"content-type": "application/json"}},
        413,
        "at most 1048576 bytes",
    ),
    "too many rows": (V1, {"json": {"instances": [{}] * 1001}}, 413, "at most 1000 rows, but got 1001"),
    "unknown model": ("/v1/models/flight-delay:predict", {"json": {}}, 404, "Did you mean 'flight-delays'?"),
    "unknown V2 model": ("/v2/models/other/infer", {"json": {}}, 404, "'flight-delays' is"),
    "form": (V1, {"data": {"a": "b"}}, 415, "content-type must be application/json"),
    "text": (V2, {"content": b"{}", "headers": {"content-type": "text/plain"}}, 415, "application/json"),
    "compressed": (V1, {"json": {}, "headers": {"content-encoding": "gzip"}}, 415, "must not be compressed"),
    "binary tensors": (V2, {"json": {}, "headers": {"inference-header-content-length": "2"}}, 415, "binary tensors"),
    "no inputs": (V2, {"json": {}}, 400, "`inputs` must be a list of tensors, but got nothing. Send {"),
    "explain": ("/v1/models/flight-delays:explain", {"json": {}}, 405, "This server answers POST"),
    "unload": ("/v2/repository/models/flight-delays/unload", {}, 403, "not loaded or unloaded by request"),
    "load": ("/v2/repository/models/flight-delays/load", {}, 403, "Deploy another version"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_request_is_refused_with_words(server, case):
    path, arguments, status, words = WRONG[case]
    answer = server.post(path, **arguments)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert words in answer.json()["error"]
    assert "Traceback" not in answer.text


def tensor(name: str, /, **changed) -> dict:
    """Return a right V2 request in which one tensor is changed."""
    request = write_v2(SCHEMA, [FLIGHT, FLIGHT])
    request["inputs"] = [t | (changed if t["name"] == name else {}) for t in request["inputs"]]
    return request


WRONG_TENSORS = {
    "shape": (tensor("flight", shape=[3]), "inputs `flight`: shape must be [2] for 2 values, but got [3]"),
    "negative shape": (tensor("flight", shape=[-1]), "but got [-1]"),
    "no shape": (tensor("flight", shape=None), "but got nothing"),
    "datatype": (tensor("carrier", datatype="FP64"), 'datatype must be one of BYTES, but got "FP64"'),
    "unknown datatype": (tensor("distance", datatype="DOUBLE"), "must be one of FP64, FP32"),
    "scalar data": (tensor("distance", data=5), "data must be a list of at least one value, but got 5"),
    "binary data": (tensor("distance", data=None, parameters={"binary_data_size": 8}), "send the values as JSON"),
    "value": (tensor("distance", data=[100, "far"]), 'data[1] must be a finite number, but got "far"'),
    "lengths": (tensor("distance", data=[100], shape=[1]), "all tensors must have as many values"),
    "name": (tensor("distance", name="distanse"), "Did you mean 'distance'?"),
    "twice": ({"inputs": write_v2(SCHEMA, [FLIGHT])["inputs"] * 2}, "must be given once"),
    "missing": ({"inputs": write_v2(SCHEMA, [FLIGHT])["inputs"][1:]}, "must have the tensor `carrier`"),
    "no object": ({"inputs": [5]}, "inputs[0] must be an object with name"),
    "output": ({**write_v2(SCHEMA, [FLIGHT]), "outputs": [{"name": "odds"}]}, "it takes probability, decision"),
    "outputs": ({**write_v2(SCHEMA, [FLIGHT]), "outputs": "all"}, "`outputs` must be a list"),
    "id": ({**write_v2(SCHEMA, [FLIGHT]), "id": 5}, "`id` must be text, but got 5"),
}


@pytest.mark.parametrize("case", WRONG_TENSORS)
def test_wrong_tensor_is_refused_with_words(server, case):
    body, words = WRONG_TENSORS[case]
    answer = server.post(V2, json=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


@pytest.mark.parametrize("path", [V1, V2])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_refused_with_405(server, path, method):
    answer = httpx.request(method, server.url + path)
    assert answer.status_code == 405
    assert "answers POST" in answer.json()["error"]


def test_unknown_path_is_refused_with_words(server):
    for path in ("/v3", "/docs", "/redoc", "/v2/", "/v2/models/other", "/v1/models/other"):
        answer = httpx.get(server.url + path)
        assert (answer.status_code, list(answer.json())) == (404, ["error"]), path


def test_json_with_a_charset_is_taken(server):
    headers = {"content-type": "application/json; charset=utf-8"}
    assert server.post(V1, content=json.dumps({"instances": [FLIGHT]}), headers=headers).status_code == 200


def test_body_without_a_length_is_limited_too(server):
    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 100_000

    answer = server.post(V1, content=chunks(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_failure_inside_is_500_without_details(server):
    answer = server.post(V1, json={"instances": [{**FLIGHT, "tailnum": "BREAK"}]})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret detail of the store" in server.log.read_text()


def test_wrong_request_writes_one_line_into_the_log(server):
    before = len(server.log.read_text().splitlines())
    server.post(V1, json={"instances": [{**FLIGHT, "carrier": "A\nB" * 100, "flight": "\n"}]})
    server.post(V1, content=b"nonsense", headers={"content-type": "application/json"})
    server.predict(FLIGHT)
    written = server.log.read_text().splitlines()[before:]
    assert len(written) == 2
    assert "WARNING predictor: 400 POST '/v1/models/flight-delays:predict'" in written[0]


def test_metrics_count_requests_rows_and_missing_features(server):
    refused = 'tidemill_predictor_requests_total{code="400",problem="flight-delays",protocol="v1"}'
    rows = 'tidemill_predictor_rows_total{model_version="7",problem="flight-delays"}'
    missing = 'tidemill_predictor_missing_features_total{feature="plane_age",problem="flight-delays"}'
    before = [server.metric(series) for series in (refused, rows, missing)]
    server.post(V1, json={})
    server.predict(FLIGHT, {**FLIGHT, "tailnum": None})
    assert [server.metric(series) for series in (refused, rows, missing)] == [
        before[0] + 1,
        before[1] + 2,
        before[2] + 1,
    ]
    assert server.metric('tidemill_predictor_compiled{model_version="7",problem="flight-delays"}') == 1
    assert 'request_predict_seconds_count{model_name="flight-delays"}' in httpx.get(server.url + "/metrics").text


def test_key_and_trace_of_a_request_are_repeated_or_made(server):
    body = {"instances": [FLIGHT]}
    headers = {"x-request-id": "order-66/a", "idempotency-key": "loan-17"}
    given = server.post(V1, json=body, headers=headers)
    assert {name: given.headers[name] for name in headers} == headers
    made = [server.post(V1, json=body).headers for _ in range(3)]
    assert len({answer["idempotency-key"] for answer in made}) == 3
    assert all(answer["idempotency-key"] == answer["x-request-id"] for answer in made)
    refused = server.post(V1, json={}, headers={"x-request-id": "b"})
    assert (refused.status_code, refused.headers["x-request-id"]) == (400, "b")


@pytest.mark.parametrize("header", ["x-request-id", "idempotency-key"])
@pytest.mark.parametrize("name", ["", "two words", "x" * 129, "naïve"])
def test_a_malformed_name_of_a_request_is_refused_with_words(server, header, name):
    headers = [(header.encode(), name.encode()), (b"content-type", b"application/json")]
    answer = server.post(V1, json={"instances": [FLIGHT]}, headers=headers)
    assert answer.status_code == 400
    assert f"{header} must be 1 to 128 printable ASCII characters without spaces" in answer.json()["error"]
    assert re.fullmatch("[0-9a-f]{32}", answer.headers[header])


def test_metrics_tell_times_decisions_and_lookups(server):
    views = [
        f'{name}{{problem="flight-delays",view="{view}"}}'
        for name, view in (
            ("tidemill_predictor_lookup_misses_total", "plane"),
            ("tidemill_predictor_lookup_expired_total", "carrier"),
        )
    ]
    edge = 'tidemill_predictor_request_seconds_bucket{le="0.05",problem="flight-delays",protocol="v1"}'
    probabilities = 'tidemill_predictor_probability_count{model_version="7",problem="flight-delays"}'
    decided = [
        f'tidemill_predictor_decisions_total{{decision="{word}",model_version="7",problem="flight-delays"}}'
        for word in ("true", "false")
    ]
    series = [*views, edge, probabilities, *decided]
    before = [server.metric(name) for name in series]
    answers = server.predict(FLIGHT, {**FLIGHT, "tailnum": "N0"}, {**FLIGHT, "carrier": "OLD", "tailnum": "N0"})
    positive = sum(answer["decision"] for answer in answers)
    changed = [server.metric(name) - was for name, was in zip(series, before, strict=True)]
    assert changed == [2, 1, 1, 3, positive, 3 - positive]
    assert server.metric('tidemill_predictor_in_flight_requests{problem="flight-delays"}') == 0
    info = 'tidemill_predictor_model_info{form="compiled",model_version="7",problem="flight-delays"}'
    assert server.metric(info) == 1


def test_bad_clients_do_not_hurt_good_ones(server):
    async def run() -> tuple[list[int], list[int]]:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            bad = [send_bad(client, i) for i in range(20)]
            good = [client.post(V1, json={"instances": [FLIGHT]}) for _ in range(60)]
            bad_answers, good_answers = await asyncio.gather(asyncio.gather(*bad), asyncio.gather(*good))
        return bad_answers, [answer.status_code for answer in good_answers]

    bad, good = asyncio.run(run())
    assert set(good) == {200}
    assert all(400 <= status < 500 for status in bad)
    assert server.process.poll() is None


async def send_bad(client: httpx.AsyncClient, i: int) -> int:
    bodies = [b"[" * 50_000, b" " * 3_000_000, b'{"instances": [NaN]}', json.dumps({"instances": [{}] * 900}).encode()]
    answer = await client.post(V1, content=bodies[i % 4], headers={"content-type": "application/json"})
    return answer.status_code


def test_client_that_stops_in_the_middle_leaves_no_traceback(server):
    port = int(server.url.rpartition(":")[2])
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(f"POST {V1} HTTP/1.1\r\nhost: a\r\ncontent-length: 500\r\n\r\n{{".encode())
    server.predict(FLIGHT)
    assert "ClientDisconnect" not in server.log.read_text()


def test_server_listens_on_loopback_only(server):
    port = int(server.url.rpartition(":")[2])
    listening = Path(f"/proc/{server.process.pid}/net/tcp").read_text()
    assert re.search(rf" 0100007F:{port:04X} 00000000:0000 0A", listening)
    assert not re.search(rf" 00000000:{port:04X} 00000000:0000 0A", listening)


def test_sigterm_answers_what_is_in_flight_and_ends_well(tmp_path):
    train(tmp_path)
    running = start(memory_command(tmp_path), tmp_path / "log.txt")
    process = running.process
    try:
        with httpx.Client(base_url=running.url, timeout=20) as client:
            assert client.get("/v2/health/ready").status_code == 200
            body = json.dumps({"instances": [FLIGHT] * 500}).encode()

            def slowly() -> Iterator[bytes]:
                yield body[:100]
                process.send_signal(signal.SIGTERM)
                time.sleep(0.5)
                yield body[100:]

            answer = client.post(V1, content=slowly(), headers={"content-type": "application/json"})
        assert answer.status_code == 200
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(20)
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


def test_the_openapi_document_describes_what_is_answered(server):
    document = httpx.get(server.url + "/openapi.json").json()
    rows = [FLIGHT, {**FLIGHT, "instance_id": "loan-1", "tailnum": None}]
    for path, body in ((V1, {"instances": rows}), (V2, write_v2(SCHEMA, [FLIGHT])), (V1, {}), (V2, {})):
        answer = server.post(path, json=body)
        described = document["paths"][path]["post"]["responses"][str(answer.status_code)]
        schema = described["content"]["application/json"]["schema"] | {"components": document["components"]}
        jsonschema.validate(answer.json(), schema)
