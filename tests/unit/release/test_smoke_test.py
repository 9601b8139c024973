"""The gates of a smoke test, and the client that replays, against small servers that misbehave."""

import json
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from components.base.contract.load import load_problem
from components.base.errors import EndpointUnavailableError
from components.release import smoke_test
from components.release.golden_rows import Expected
from components.serving.client import Answers, EndpointAddress, Target, is_answering, replay_v1, replay_v2
from components.serving.predictor.requests import RequestSchema

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml")
SCHEMA = RequestSchema.of(PROBLEM)
ANSWER = json.dumps({"predictions": [{"probability": 0.5, "decision": True, "missing_features": []}]}).encode()
ROW = {field.name: field.read(field.example) for field in SCHEMA.fields}


def timed(milliseconds, probability=0.5, waited=0.0):
    times = np.array(milliseconds)
    return Answers(np.array([[probability]]), (probability >= 0.5,), ((),), times, np.full(len(times), waited))


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
            yield EndpointAddress(
                Target(f"http://127.0.0.1:{running.server_port}"), "flight-delays", SCHEMA, ("probability",)
            )
        finally:
            running.shutdown()
            thread.join()


@contextmanager
def sharing_one_processor():
    """Let this thread and another program that never rests have one processor between them."""
    mine = os.sched_getaffinity(0)
    one = {min(mine)}
    neighbour = subprocess.Popen(
        [sys.executable, "-c", f"import os\nos.sched_setaffinity(0, {one})\nprint(flush=True)\nwhile True: pass"],
        stdout=subprocess.PIPE,
    )
    try:
        neighbour.stdout.readline()
        os.sched_setaffinity(0, one)
        yield
    finally:
        os.sched_setaffinity(0, mine)
        neighbour.kill()
        neighbour.communicate()


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


def test_time_for_which_other_programs_had_the_processors_does_not_count_and_is_told():
    busy = smoke_test._Passes((timed([90.0], waited=70.0),), timed([1.0]))
    gates = {gate.name: gate for gate in smoke_test.build_gates(PROBLEM, busy, Expected(np.array([[0.5]]), (True,)))}
    assert (gates["p99_milliseconds"].value, gates["p99_milliseconds"].verdict) == (20.0, "pass")
    assert gates["p99_milliseconds"].reason == (
        "99 of 100 single requests took at most 20.0 ms, with the wait for a processor 90.0 ms (limit 50)."
    )


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


def test_wait_for_a_processor_is_seen_in_the_client_and_not_in_a_place_that_hides_it():
    with server(200, ANSWER) as address, sharing_one_processor():
        seen = replay_v1(replace(address, target=replace(address.target, process=os.getpid())), [ROW] * 200)
        hidden = replay_v1(address, [ROW] * 200)
    assert 0 < seen.waited_milliseconds.sum() <= seen.milliseconds.sum()
    assert (seen.waited_milliseconds <= seen.milliseconds).all()
    assert not hidden.waited_milliseconds.any()


@pytest.mark.parametrize("replay", [replay_v1, replay_v2])
def test_answer_other_than_200_is_told_with_its_words(replay):
    with (
        server(503, b'{"error": "the online store is gone"}') as address,
        pytest.raises(EndpointUnavailableError, match=re.escape('503 {"error": "the online store is gone"}')),
    ):
        replay(address, [ROW])


@pytest.mark.parametrize("replay", [replay_v1, replay_v2])
@pytest.mark.parametrize("body", [b"<html>", b'{"predictions": []}', json.dumps({"outputs": []}).encode()])
def test_answer_of_another_shape_is_told(replay, body):
    with server(200, body) as address, pytest.raises(EndpointUnavailableError, match=re.escape("it must answer")):
        replay(address, [ROW])


def test_silent_endpoint_is_told():
    address = EndpointAddress(Target("http://127.0.0.1:9"), "flight-delays", SCHEMA, ("probability",))
    assert not is_answering(address.target.url, "/")
    with pytest.raises(EndpointUnavailableError, match=re.escape("replay http://127.0.0.1:9")):
        replay_v1(address, [ROW])
