"""A governor without network: its own database in a folder, a clock that is set, a runner that remembers."""

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

from components.base.contract.load import load_problem
from components.base.contract.problem import Problem
from components.base.errors import TransientError
from components.base.runner import RunReport
from components.governor.archive import Archive
from components.governor.inbox import Inbox, Signal, Times
from components.governor.rulings import RulingRecord
from components.governor.schema import Database
from components.governor.store import RulingStore
from components.governor.worker import Worker, WorkerParts
from components.monitoring.results import WindowFinding

# The problem as it is, with a policy whose numbers the tests know.
POLICY: dict[str, object] = {
    "schedule": "0 4 1 1,7 *",
    "alerts": ["PerformanceBelowLimit", "ValueBelowLimit"],
    "cooldown_hours": 48,
    "daily_budget": 1,
    "minimum_new_labels": 20_000,
    "maximum_failures": 2,
    "clear_within_hours": 1080,
}
START = datetime(2013, 10, 1, 12, tzinfo=UTC)


def _contract() -> Problem:
    problem = load_problem(Path("pipelines/problems/flight-delays.yaml"))
    return problem.model_copy(update={"retraining": problem.retraining.model_copy(update=POLICY)})


CONTRACT = _contract()


def result(
    new_labels: int, version: str = "1", as_of: datetime = START, findings: tuple[WindowFinding, ...] = ()
) -> SimpleNamespace:
    """Return what the governor reads of a monitoring result."""
    labels = SimpleNamespace(new_since_training=new_labels)
    return SimpleNamespace(labels=labels, model_version=version, as_of=as_of, findings=findings)


@dataclasses.dataclass
class MemoryRunner:
    """Runs that end when the test says so; starting a key again does nothing, as the interface asks."""

    reports: dict[str, RunReport] = dataclasses.field(default_factory=dict)
    starts: list[str] = dataclasses.field(default_factory=list)
    is_down: bool = False

    def start(self, key: str, pipeline: str, problem: str, as_of: datetime) -> None:
        if self.is_down:
            raise TransientError("the runner must answer, but does not.")
        if key not in self.reports:
            self.starts.append(key)
            self.reports[key] = RunReport("running")

    def find(self, key: str, problem: str) -> RunReport:
        return self.reports.get(key, RunReport("unknown"))

    def end(self, outcome: str, version: str = "2", reasons: tuple[str, ...] = ("Because.",)) -> None:
        """Let what runs end."""
        for key, report in self.reports.items():
            if report.state == "running":
                ended = RunReport("succeeded", outcome, version, reasons)
                self.reports[key] = RunReport("failed", reasons=reasons) if outcome == "failed" else ended


class World:
    """One problem under one governor."""

    name = "flight-delays"

    def __init__(self, folder: Path, url: str | None = None, **retraining: object) -> None:
        self.url = url or f"sqlite:///{folder}/governor.db"
        changed = CONTRACT.retraining.model_copy(update=retraining)
        self.problem = CONTRACT.model_copy(update={"retraining": changed})
        self.now = self.wall = START
        self.newest = result(30_000)
        self.runner = MemoryRunner()
        self.restart()

    def restart(self) -> None:
        """Begin again with nothing but what is stored."""
        self.database = Database(self.url)
        self.inbox, self.store, self.archive = (kind(self.database) for kind in (Inbox, RulingStore, Archive))
        self.inbox.add_problem(self.name, self.now)
        parts = WorkerParts(
            problems={self.name: self.problem},
            inbox=self.inbox,
            store=self.store,
            runner=self.runner,
            newest_result=self._read_newest,
            read_times=lambda: Times(self.now, self.wall),
        )
        self.worker = Worker(parts)

    def _read_newest(self, _: str) -> object:
        if isinstance(self.newest, Exception):
            raise self.newest
        return self.newest

    def alert(self, fingerprint: str = "a", starts_at: str = "2026-01-01T00:00:00.000000+00:00", firing: bool = True):
        signal = Signal(self.name, "ValueBelowLimit", fingerprint, starts_at, firing)
        return self.inbox.record_signals([signal], Times(self.now, self.wall))[0]

    def step(self, hours: float = 0) -> None:
        """Let time pass, and the worker make a pass."""
        self.now += timedelta(hours=hours)
        self.worker.make_pass()

    def ruling(self, number: int = 1) -> RulingRecord:
        found = self.archive.find_ruling(number)
        assert found is not None
        return found
