"""A running endpoint follows a promotion and a rollback: no request is refused, no answer is of two versions.

Over a real registry and real predictors; real clients ask all the time, with connections that they keep and without.
"""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from components.base.adapters import mlflow as tracking
from components.base.contract.load import load_problem
from components.base.errors import EndpointUnavailableError, PermanentError
from components.base.settings import Settings
from components.release.deploy import rollback_release
from components.serving import local
from components.serving.endpoint import Endpoint, start_endpoint
from components.serving.host import read_served_version
from components.serving.local import LocalHost, read_endpoint

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml")
# A client that was kept from asking for longer may find that its connection was closed as idle, as with any server.
IDLE_SECONDS = 2.0


@dataclass
class Clients:
    """Threads that ask an endpoint until they are stopped."""

    endpoint: Endpoint
    versions: list[frozenset[str]] = field(default_factory=list)
    """Of each answer, in the order of their end."""
    faults: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def asking(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask, args=(keeps,)) for keeps in (True, True, False, False)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def ask(self, client: httpx.Client) -> None:
        rows = [self.endpoint.example] * 3
        url = f"{self.endpoint.url}/v1/models/{self.endpoint.name}:predict"
        answer = client.post(url, json={"instances": rows}).raise_for_status()
        self.versions.append(frozenset(row["model_version"] for row in answer.json()["predictions"]))

    def _ask(self, keeps_connection: bool) -> None:
        limits = httpx.Limits() if keeps_connection else httpx.Limits(max_keepalive_connections=0)
        answered = 0.0
        with httpx.Client(limits=limits, timeout=60, trust_env=False) as client:
            while not self._over.is_set():
                try:
                    self.ask(client)
                    answered = time.monotonic()
                except httpx.HTTPError as error:
                    if not keeps_connection or time.monotonic() - answered < IDLE_SECONDS:
                        self.faults.append(repr(error))


@contextmanager
def following(endpoint: Endpoint) -> Iterator[list[str]]:
    """Follow promotions as `make serve` does; what was said comes into the list."""
    said: list[str] = []
    over = threading.Event()

    def follow_all() -> None:
        with endpoint.taking_promotions() as follow:
            begun.set()
            while not over.is_set():
                if words := follow():
                    said.append(words)
                over.wait(0.1)

    begun = threading.Event()
    thread = threading.Thread(target=follow_all)
    thread.start()
    begun.wait()
    try:
        yield said
    finally:
        over.set()
        thread.join()


def promote(version: str, settings: Settings) -> None:
    """Promote as `deploy` does: the host first, then the alias."""
    LocalHost(settings).promote(read_served_version(PROBLEM, version, settings))
    tracking.promote("flight-delays", version, settings)


@pytest.fixture
def two_versions(filled, release, tracking_settings) -> Settings:
    for run in ("run-1", "run-2"):
        release(run)
    promote("1", tracking_settings)
    return tracking_settings


def test_promotion_and_rollback_reach_the_running_endpoint_without_a_refused_request(two_versions: Settings) -> None:
    with start_endpoint("flight-delays", two_versions) as endpoint, following(endpoint) as said:
        clients = Clients(endpoint)
        with clients.asking():
            promote("2", two_versions)
            # A promotion returns when the version answers: whoever asks now gets it.
            with httpx.Client(trust_env=False, timeout=60) as client:
                clients.ask(client)
            assert endpoint.version == "2"
            assert rollback_release(PROBLEM, "It flags every flight.", two_versions) == "1"
            assert endpoint.version == "1"
    assert clients.faults == []
    assert {len(versions) for versions in clients.versions} == {1}
    assert frozenset({"2"}) in clients.versions
    assert [re.sub(r"\s+", " ", words) for words in said] == [
        "flight-delays: version 2 was promoted and answers now, version 1 has ended.",
        "flight-delays: version 1 was promoted and answers now, version 2 has ended.",
    ]


def test_version_that_does_not_start_leaves_the_one_before_and_the_promotion_fails(
    two_versions: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_SWITCH_SECONDS", 5.0)
    with start_endpoint("flight-delays", two_versions) as endpoint:
        monkeypatch.setattr("components.serving.predictor_process._READY_SECONDS", 0.0)
        with following(endpoint) as said, pytest.raises(EndpointUnavailableError, match="must switch to version 2"):
            promote("2", two_versions)
        clients = Clients(endpoint)
        with httpx.Client(trust_env=False, timeout=60) as client:
            clients.ask(client)
    assert clients.versions == [frozenset({"1"})]
    assert said[0].startswith("flight-delays: version 1 answers as before, for version 2 did not start. endpoint")
    assert len(said) == 1
    record = read_endpoint("flight-delays", two_versions)
    assert record is not None
    assert record.version == "1"
    assert tracking.find_aliases("flight-delays", two_versions)["champion"] == "1"


def test_champion_is_served_once(two_versions: Settings) -> None:
    with (
        start_endpoint("flight-delays", two_versions),
        pytest.raises(PermanentError, match="endpoint of flight-delays: one at a time must be under way"),
        start_endpoint("flight-delays", two_versions),
    ):
        pass
