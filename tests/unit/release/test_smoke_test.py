"""The gates of a smoke test, and the client that replays, against small servers that misbehave."""

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from components.base.contract.load import load_problem
from components.base.errors import EndpointUnavailableError
from components.release import smoke_test
from components.release.golden_rows import Expected
from components.serving.client import Answers, EndpointAddress, is_answering, replay_v1, replay_v2
from components.serving.predictor.requests import RequestSchema

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml")
SCHEMA = RequestSchema.of(PROBLEM)
ROW = {field.name: field.read(field.example) for field in SCHEMA.fields}


def timed(milliseconds, probability=0.5):
    return Answers(np.array([[probability]]), (probability >= 0.5,), ((),), np.array(milliseconds))


@contextmanager
def server(status, body):
    """A server that gives every POST the same answer."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield EndpointAddress(f"http://127.0.0.1:{running.server_port}", "flight-delays", SCHEMA, ("probability",))
        finally:
            running.shutdown()
            thread.join()


@pytest.fixture
def replay_times(monkeypatch):
    """Let each V1 pass take the given milliseconds, in order; the first is the warm-up."""

    def give(*passes):
        queue = iter([[1.0], *passes])
        monkeypatch.setattr(smoke_test, "replay_v1", lambda address, rows: timed(next(queue)))
        monkeypatch.setattr(smoke_test, "replay_v2", lambda address, rows: timed([1.0]))
        return smoke_test._replay(None, [ROW], p99_limit=50.0)

    return give


def test_pass_within_the_limit_is_not_repeated(replay_times):
    assert len(replay_times([10.0, 20.0]).v1) == 1


def test_pass_above_the_limit_is_repeated_and_the_best_counts(replay_times):
    replay = replay_times([90.0], [40.0], [20.0])
    assert (len(replay.v1), replay.percentile(99)) == (2, 40.0)


def test_endpoint_that_stays_slow_keeps_its_best_pass_and_fails_the_gate(replay_times):
    replay = replay_times([90.0], [80.0], [85.0])
    gates = {gate.name: gate for gate in smoke_test.build_gates(PROBLEM, replay, Expected(np.array([[0.5]]), (True,)))}
    assert (gates["p99_milliseconds"].value, gates["p99_milliseconds"].verdict) == (80.0, "fail")
    assert gates["p99_milliseconds"].reason == "99 of 100 single requests took at most 80.0 ms (limit 50)."
    assert gates["v1_difference"].verdict == "pass"


def test_wrong_probability_and_turned_decision_fail_their_gates(replay_times):
    gates = {
        gate.name: not gate.blocks
        for gate in smoke_test.build_gates(PROBLEM, replay_times([1.0]), Expected(np.array([[0.4]]), (False,)))
    }
    assert gates == {
        "v1_difference": False,
        "v2_difference": False,
        "different_decisions": False,
        "p99_milliseconds": True,
    }


def test_wrong_answer_of_a_slow_pass_fails_though_the_best_pass_is_right():
    replay = smoke_test._Passes((timed([90.0], 0.4), timed([20.0])), timed([1.0]))
    gates = {gate.name: gate for gate in smoke_test.build_gates(PROBLEM, replay, Expected(np.array([[0.5]]), (True,)))}
    assert (gates["p99_milliseconds"].value, gates["p99_milliseconds"].verdict) == (20.0, "pass")
    assert gates["v1_difference"].value == pytest.approx(0.1)
    assert gates["v1_difference"].verdict == "fail"
    assert gates["different_decisions"].reason == "1 of 3 decisions differ from the offline model."


@pytest.mark.parametrize("replay", [replay_v1, replay_v2])
def test_answer_other_than_200_is_told_with_its_words(replay):
    with (
        server(503, b'{"error": "the online store is gone"}') as target,
        pytest.raises(EndpointUnavailableError, match=re.escape('503 {"error": "the online store is gone"}')),
    ):
        replay(target, [ROW])


@pytest.mark.parametrize("replay", [replay_v1, replay_v2])
@pytest.mark.parametrize("body", [b"<html>", b'{"predictions": []}', json.dumps({"outputs": []}).encode()])
def test_answer_of_another_shape_is_told(replay, body):
    with server(200, body) as target, pytest.raises(EndpointUnavailableError, match=re.escape("it must answer")):
        replay(target, [ROW])


def test_silent_endpoint_is_told():
    target = EndpointAddress("http://127.0.0.1:9", "flight-delays", SCHEMA, ("probability",))
    assert not is_answering(target.url, "/")
    with pytest.raises(EndpointUnavailableError, match=re.escape("replay http://127.0.0.1:9")):
        replay_v1(target, [ROW])
