"""Logged requests are replayed to a candidate: which ones, and what its answers are held against."""

import io
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.base.adapters.s3 import StoredObject
from components.base.contract.load import load_problem
from components.base.contract.problem import Rollout
from components.base.errors import EndpointUnavailableError
from components.base.settings import load_settings
from components.serving import shadow
from components.serving.client import Answers
from components.serving.inference_service import ServedVersion
from components.serving.shadow import read_logged, shadow_candidate

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml")
SETTINGS = load_settings({})
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@dataclass
class Store:
    """Holds segments of a log."""

    segments: list[pd.DataFrame]

    def list_objects(self, prefix):
        assert prefix == "flight-delays/predictions/"
        return [StoredObject(str(i), 1, "", NOON + timedelta(minutes=i)) for i in range(len(self.segments))]

    def get_bytes(self, key):
        buffer = io.BytesIO()
        self.segments[int(key)].to_parquet(buffer)
        return buffer.getvalue()


def segment(version, probabilities, start=0):
    numbers = np.arange(start, start + len(probabilities))
    flights = {"carrier": "UA", "flight": 1, "origin": "EWR", "dest": "IAH", "tailnum": None, "scheduled_at": NOON}
    head = {"request_id": [f"r{i}" for i in numbers], "row": 0, "model_version": version}
    times = {"logged_at": [NOON + timedelta(seconds=int(i)) for i in numbers]}
    return pd.DataFrame({**head, **flights, "distance": 900.0, "output__probability": probabilities, **times})


@pytest.fixture
def log(monkeypatch):
    store = Store([])
    monkeypatch.setattr(shadow, "open_store", lambda settings: store)
    return store.segments


def answer_with(monkeypatch, probability, milliseconds=2.0):
    sent = []

    def replay(address, rows):
        sent.append(len(rows))
        output = np.array([[probability(i)] for i in range(len(rows))])
        return Answers(output, (), (), np.full(len(rows), milliseconds), np.zeros(len(rows)))

    monkeypatch.setattr(shadow, "replay_v1", replay)
    return sent


CANDIDATE = ServedVersion(PROBLEM, "3", "s3://b/3", {})
SPREAD = np.linspace(0, 1, 400)


def test_the_newest_rows_of_the_champion_are_read(log):
    log += [segment("2", SPREAD), segment("1", SPREAD), segment("2", SPREAD, start=400)]
    logged = read_logged(PROBLEM, "2", SETTINGS)
    assert len(logged) == 500
    assert set(logged["model_version"]) == {"2"}
    assert logged["logged_at"].max() == NOON + timedelta(seconds=799)


def test_a_candidate_with_the_same_distribution_passes(log, monkeypatch):
    log.append(segment("2", SPREAD))
    sent = answer_with(monkeypatch, lambda i: SPREAD[-1 - i])
    gates = shadow_candidate(CANDIDATE, "2", "http://v3", SETTINGS)
    assert [(gate.name, gate.verdict) for gate in gates] == [
        ("shadow_p99_milliseconds", "pass"),
        ("shadow_score_psi", "pass"),
    ]
    assert sent == [400]
    assert gates[-1].reason.startswith("400 logged requests: the PSI of probability against the answers that users got")


def test_another_distribution_and_slow_answers_fail(log, monkeypatch):
    log.append(segment("2", SPREAD))
    answer_with(monkeypatch, lambda i: 0.9, milliseconds=80.0)
    assert [gate.verdict for gate in shadow_candidate(CANDIDATE, "2", "http://v3", SETTINGS)] == ["fail", "fail"]


def test_a_candidate_that_refuses_logged_requests_fails(log, monkeypatch):
    log.append(segment("2", SPREAD))

    def refuse(address, rows):
        raise EndpointUnavailableError("it must answer 200, but got 500")

    monkeypatch.setattr(shadow, "replay_v1", refuse)
    (gate,) = shadow_candidate(CANDIDATE, "2", "http://v3", SETTINGS)
    assert (gate.name, gate.verdict) == ("shadow_errors", "fail")


def test_few_rows_give_no_psi_and_none_give_a_word(log, monkeypatch):
    answer_with(monkeypatch, lambda i: 0.9)
    (gate,) = shadow_candidate(CANDIDATE, "2", "http://v3", SETTINGS)
    assert (gate.verdict, gate.blocks, gate.value) == ("not judged", False, None)
    log.append(segment("2", SPREAD[:20]))
    (gate,) = shadow_candidate(CANDIDATE, "2", "http://v3", SETTINGS)
    assert gate.name == "shadow_p99_milliseconds"


def test_rows_that_arrive_while_it_is_shadowed_are_replayed_once(log, monkeypatch):
    monkeypatch.setattr(shadow, "_PAUSE_SECONDS", 0.01)
    log.append(segment("2", SPREAD[:50]))
    sent = answer_with(monkeypatch, lambda i: SPREAD[i])
    serving = PROBLEM.serving.model_copy(update={"rollout": Rollout(shadow_seconds=0.5)})
    longer = replace(CANDIDATE, problem=PROBLEM.model_copy(update={"serving": serving}))
    original = shadow.read_logged

    def read(*given):
        if sent and len(log) == 1:
            log.append(segment("2", SPREAD[:30], start=50))
        return original(*given)

    monkeypatch.setattr(shadow, "read_logged", read)
    shadow_candidate(longer, "2", "http://v3", SETTINGS)
    assert sent == [50, 30]
