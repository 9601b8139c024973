"""Run Prometheus and Alertmanager on loopback for as long as a simulation lasts.

In: a folder, the addresses to scrape, and the contract, of which the alerts are made. Out: running `Observers` that
answer queries for series and alerts. Both come from Debian's packages; where they are missing, `find_missing` says how
to get them.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx

from components.alerting.alertmanager import render_alertmanager
from components.alerting.alerts import list_alerts
from components.alerting.prometheus_rules import render_rules
from components.alerting.types import Pace
from components.base.contract.problem import Problem
from pipelines.runners.services import find_free_port
from pipelines.simulation.prometheus_config import render_prometheus
from pipelines.simulation.scenario import CLOCK_SCALE
from pipelines.simulation.servers import HOST, ServerPlan, running_server

# Debian names the packages as it names the programs.
PROGRAMS = ("prometheus", "prometheus-alertmanager")
_ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
# A month passes in half a minute, so every second counts.
PACE = Pace(scale=CLOCK_SCALE, scrape_seconds=1.0)


@dataclass(frozen=True)
class ObserverPlan:
    """What Prometheus scrapes and evaluates, and where Alertmanager sends what fires."""

    folder: Path
    problem: Problem
    targets: Mapping[str, str]
    """`host:port` of predictor, exporter and governor."""
    token_file: Path
    """Holds the bearer token of the governor."""


@dataclass(frozen=True)
class ActiveAlert:
    """One alert that is pending or firing."""

    name: str
    state: str
    labels: Mapping[str, str]
    active_at: str
    """Since when its condition holds; with the title it names one incident."""
    summary: str

    @property
    def title(self) -> str:
        """The name, with the window where an alert has several."""
        window = self.labels.get("window")
        return f"{self.name} ({window})" if window else self.name


@dataclass(frozen=True)
class Observers:
    """A running Prometheus with its Alertmanager."""

    prometheus_url: str
    alertmanager_url: str

    def read_evaluation(self) -> float:
        """Return when the rules were last evaluated, in seconds since 1970."""
        answer = httpx.get(f"{self.prometheus_url}/api/v1/rules", trust_env=False)
        answer.raise_for_status()
        times = [datetime.fromisoformat(group["lastEvaluation"]) for group in answer.json()["data"]["groups"]]
        return max((time.timestamp() for time in times), default=0.0)

    def list_alerts(self) -> list[ActiveAlert]:
        """Return the alerts that are pending or firing."""
        answer = httpx.get(f"{self.prometheus_url}/api/v1/alerts", trust_env=False)
        answer.raise_for_status()
        return [
            ActiveAlert(
                name=alert["labels"]["alertname"],
                state=alert["state"],
                labels=alert["labels"],
                active_at=alert["activeAt"],
                summary=alert["annotations"].get("summary", ""),
            )
            for alert in answer.json()["data"]["alerts"]
        ]


def find_missing() -> str | None:
    """Return how to get what is missing; None when both programs are there."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if not missing:
        return None
    return (
        f"loop: {' and '.join(missing)} must be installed to see alerts fire, but got none on the PATH. "
        f"Run `apt-get install {' '.join(missing)}` as root. Without them traffic, labels, monitoring and reports "
        "run, and the governor decides by its schedule alone."
    )


@contextmanager
def running_observers(plan: ObserverPlan) -> Iterator[Observers]:
    """Run both servers until the end of the block.

    Raises:
        EndpointUnavailableError: one of them did not become ready; its log is named.
    """
    ports = {"prometheus": find_free_port(), "alertmanager": find_free_port()}
    plan.folder.mkdir(parents=True, exist_ok=True)
    rules = plan.folder / "rules.yaml"
    rules.write_text(render_rules(plan.problem.name, list_alerts(plan.problem, PACE), PACE))
    addresses = {name: f"{HOST}:{port}" for name, port in ports.items()}
    prometheus = render_prometheus(plan.problem.name, plan.targets, rules, addresses["alertmanager"], PACE)
    (plan.folder / "prometheus.yaml").write_text(prometheus)
    alertmanager = render_alertmanager(f"http://{plan.targets['governor']}", plan.token_file, PACE)
    (plan.folder / "alertmanager.yaml").write_text(alertmanager)
    with ExitStack() as stack:
        for server in _servers(plan.folder, ports):
            stack.enter_context(running_server(server))
        yield Observers(f"http://{HOST}:{ports['prometheus']}", f"http://{HOST}:{ports['alertmanager']}")


def _servers(folder: Path, ports: Mapping[str, int]) -> list[ServerPlan]:
    commands = {
        "alertmanager": [
            str(shutil.which("prometheus-alertmanager")),
            f"--config.file={folder}/alertmanager.yaml",
            f"--storage.path={folder}/alertmanager",
            f"--web.listen-address={HOST}:{ports['alertmanager']}",
            "--cluster.listen-address=",
        ],
        "prometheus": [
            str(shutil.which("prometheus")),
            f"--config.file={folder}/prometheus.yaml",
            f"--storage.tsdb.path={folder}/prometheus",
            f"--web.listen-address={HOST}:{ports['prometheus']}",
        ],
    }
    return [
        ServerPlan(name, command, _ENVIRONMENT, ports[name], "/-/ready", folder / f"{name}.log")
        for name, command in commands.items()
    ]
