"""Run Prometheus and Alertmanager on loopback for as long as a replay lasts.

In: a folder, the addresses to scrape, the rules and Alertmanager's configuration. Out: running `Observers` that are
asked for series and alerts. Both come from Debian's packages; where they are missing, `find_missing` says how to get
them.
"""

import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from components.base.child_process import ChildPlan, OwnedProcess
from components.base.errors import EndpointUnavailableError

_HOST = "127.0.0.1"
PROGRAMS = {"prometheus": "prometheus", "prometheus-alertmanager": "prometheus-alertmanager"}
# A month passes in half a minute, so every second counts.
_INTERVAL = "1s"
_READY_SECONDS = 30.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class ObserverPlan:
    """What Prometheus scrapes and evaluates, and where Alertmanager sends what fires."""

    folder: Path
    targets: Mapping[str, str]
    """`host:port` by job."""
    rules: str
    """A rule file."""
    alertmanager: str
    """Alertmanager's configuration."""


@dataclass(frozen=True)
class ActiveAlert:
    """One alert that is pending or firing."""

    name: str
    state: str
    labels: Mapping[str, str]
    active_at: str
    value: float


@dataclass(frozen=True)
class Observers:
    """A running Prometheus with its Alertmanager."""

    prometheus_url: str
    alertmanager_url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        answer = httpx.get(f"{self.prometheus_url}/api/v1/query", params={"query": expression}, trust_env=False)
        answer.raise_for_status()
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    def read_number(self, expression: str) -> float | None:
        """Return the one number of an instant query; None for an empty result."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None

    def list_alerts(self) -> list[ActiveAlert]:
        """Return the alerts that are pending or firing."""
        answer = httpx.get(f"{self.prometheus_url}/api/v1/alerts", trust_env=False)
        answer.raise_for_status()
        return [
            ActiveAlert(
                alert["labels"]["alertname"], alert["state"], alert["labels"], alert["activeAt"], float(alert["value"])
            )
            for alert in answer.json()["data"]["alerts"]
        ]


def find_missing() -> str | None:
    """Return how to get what is missing; None when both programs are there."""
    missing = [package for package, program in PROGRAMS.items() if shutil.which(program) is None]
    if not missing:
        return None
    return (
        f"loop: {' and '.join(missing)} must be installed to see alerts fire, but got none on the PATH. "
        f"Run `apt-get install {' '.join(missing)}` as root. Without them traffic, labels, monitoring and reports "
        "run, and the governor decides by its schedule alone."
    )


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as listener:
        listener.bind((_HOST, 0))
        return int(listener.getsockname()[1])


@contextmanager
def running_observers(plan: ObserverPlan) -> Iterator[Observers]:
    """Run both servers until the end of the block.

    Raises:
        EndpointUnavailableError: one of them did not become ready; its log is named.
    """
    ports = {"prometheus": free_port(), "alertmanager": free_port()}
    plan.folder.mkdir(parents=True, exist_ok=True)
    (plan.folder / "rules.yaml").write_text(plan.rules)
    (plan.folder / "alertmanager.yaml").write_text(plan.alertmanager)
    (plan.folder / "prometheus.yaml").write_text(yaml.safe_dump(_configure(plan, ports["alertmanager"])))
    with ExitStack() as stack:
        for name, command in _commands(plan.folder, ports).items():
            stack.enter_context(_running(name, command, plan.folder, ports[name]))
        yield Observers(f"http://{_HOST}:{ports['prometheus']}", f"http://{_HOST}:{ports['alertmanager']}")


def _configure(plan: ObserverPlan, alertmanager_port: int) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": _INTERVAL, "scrape_timeout": _INTERVAL, "evaluation_interval": _INTERVAL},
        "rule_files": ["rules.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"{_HOST}:{alertmanager_port}"]}]}]},
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in plan.targets.items()
        ],
    }


def _commands(folder: Path, ports: Mapping[str, int]) -> dict[str, list[str]]:
    return {
        "alertmanager": [
            str(shutil.which(PROGRAMS["prometheus-alertmanager"])),
            f"--config.file={folder}/alertmanager.yaml",
            f"--storage.path={folder}/alertmanager",
            f"--web.listen-address={_HOST}:{ports['alertmanager']}",
            "--cluster.listen-address=",
        ],
        "prometheus": [
            str(shutil.which(PROGRAMS["prometheus"])),
            f"--config.file={folder}/prometheus.yaml",
            f"--storage.tsdb.path={folder}/prometheus",
            f"--web.listen-address={_HOST}:{ports['prometheus']}",
        ],
    }


@contextmanager
def _running(name: str, command: Sequence[str], folder: Path, port: int) -> Iterator[OwnedProcess]:
    log_path = folder / f"{name}.log"
    with log_path.open("wb") as log:
        process = OwnedProcess(ChildPlan(command, {"PATH": "/usr/bin:/bin"}, folder, log))
    try:
        _wait_ready(name, process, port, log_path)
        yield process
    finally:
        process.stop(_STOP_SECONDS)


def _wait_ready(name: str, process: OwnedProcess, port: int, log_path: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.is_running():
        try:
            if httpx.get(f"http://{_HOST}:{port}/-/ready", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(_POLL_SECONDS)
    raise EndpointUnavailableError(
        f"{name}: it must be ready within {_READY_SECONDS:.0f} seconds, but is not. Its log is {log_path}."
    )
