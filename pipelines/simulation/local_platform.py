"""The services of a simulation on loopback: endpoint, exporter, governor, Prometheus and Alertmanager.

In: the settings of the simulation's home, with a running object store and a champion. Out: a running `LocalPlatform`.
Each part is the program that runs on a cluster; all of them end with the block.
"""

import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from components.base.adapters.mlflow import find_aliases
from components.base.contract.problem import Problem
from components.base.settings import Settings
from components.governor.rulings import RulingRecord
from components.serving.endpoint import Endpoint, start_endpoint
from pipelines.runners.services import find_free_port
from pipelines.simulation.observers import ObserverPlan, Observers, find_missing, running_observers
from pipelines.simulation.servers import HOST, ServerPlan, running_server

# The exporter looks as often as Prometheus asks, so that a month's result is seen at once.
_EXPORTER_PACE = ("--refresh-seconds", "1")
_TICK_SECONDS = 0.5
# The simulation refreshes and monitors itself, once a month of its own time.
_GOVERNOR_OPTIONS = ("--tick-seconds", str(_TICK_SECONDS), "--no-schedules")
# The pass that is under way may have looked already; the one after it sees all.
_PASSES = 3


@dataclass
class RunningEndpoint:
    """The champion behind one port, started again when another version takes over."""

    settings: Settings
    problem: Problem
    port: int
    _stack: ExitStack = field(default_factory=ExitStack)
    _endpoint: Endpoint | None = None

    def restart(self) -> Endpoint:
        """Serve the champion of now; the one before has answered and logged what it was asked."""
        self._stack.close()
        self._endpoint = self._stack.enter_context(start_endpoint(self.problem.name, self.settings, self.port))
        return self._endpoint

    def follow_champion(self) -> None:
        """Serve the champion of now, unless it is the version that answers already."""
        if find_aliases(self.problem.name, self.settings).get("champion") != self.current.version:
            self.restart()

    @property
    def current(self) -> Endpoint:
        """The endpoint that answers now; it must have been started."""
        return self._endpoint or self.restart()

    def stop(self) -> None:
        """Serve no more."""
        self._stack.close()


@dataclass(frozen=True)
class LocalPlatform:
    """The running parts."""

    endpoint: RunningEndpoint
    exporter_url: str
    governor_url: str
    observers: Observers | None
    """None where Prometheus or Alertmanager is not installed."""

    @property
    def addresses(self) -> dict[str, str]:
        """Where each part answers."""
        own = {"endpoint": self.endpoint.current.url, "exporter": self.exporter_url, "governor": self.governor_url}
        if self.observers is None:
            return own
        return {**own, "prometheus": self.observers.prometheus_url, "alertmanager": self.observers.alertmanager_url}

    def read_rulings(self, problem: str) -> list[RulingRecord]:
        """Return the governor's rulings, the newest first."""
        answer = httpx.get(f"{self.governor_url}/v1/rulings", params={"problem": problem}, trust_env=False)
        return [RulingRecord.model_validate(one) for one in answer.raise_for_status().json()]

    def read_histories(self, problem: str) -> list[RulingRecord]:
        """Return the rulings, each with its history."""
        addresses = [f"{self.governor_url}/v1/rulings/{one.id}" for one in self.read_rulings(problem)]
        answers = [httpx.get(address, trust_env=False).raise_for_status() for address in addresses]
        return [RulingRecord.model_validate_json(answer.content) for answer in answers]

    def wait_pass(self) -> None:
        """Let the governor look at everything once more."""
        time.sleep(_PASSES * _TICK_SECONDS)


@contextmanager
def start_platform(settings: Settings, problem: Problem, contract: Path) -> Iterator[LocalPlatform]:
    """Run every part until the end of the block.

    Raises:
        ModelRefusedError: there is no champion to serve.
        EndpointUnavailableError: a part did not become ready; its log is named.
    """
    folder = settings.home / "platform"
    folder.mkdir(parents=True, exist_ok=True)
    token_file = folder / "governor.token"
    token_file.touch(mode=0o600)
    token_file.write_text(secrets.token_urlsafe(32))
    exporter = _plan_program("exporter", ["--problem", str(contract), *_EXPORTER_PACE], "/metrics", folder, {})
    secret = {"TIDEMILL_GOVERNOR_TOKEN_FILE": str(token_file)}
    governor = _plan_program("governor", _GOVERNOR_OPTIONS, "/readyz", folder, secret)
    endpoint = RunningEndpoint(settings, problem, find_free_port())
    with ExitStack() as stack:
        stack.callback(endpoint.stop)
        for plan in (exporter, governor):
            stack.enter_context(running_server(plan))
        endpoint.restart()
        observers = None
        if find_missing() is None:
            targets = {"exporter": exporter.address, "governor": governor.address}
            targets["predictor"] = f"{HOST}:{endpoint.port}"
            observers = stack.enter_context(
                running_observers(ObserverPlan(folder / "observers", problem, targets, token_file))
            )
        yield LocalPlatform(endpoint, f"http://{exporter.address}", f"http://{governor.address}", observers)


def _plan_program(
    name: str, options: Sequence[str], ready_path: str, folder: Path, variables: Mapping[str, str]
) -> ServerPlan:
    port = find_free_port()
    command = [sys.executable, "-m", f"components.{name}", "--port", str(port), *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **variables}
    return ServerPlan(name, command, environment, port, ready_path, folder / f"{name}.log")
