"""The one interface to start pipelines and to learn what became of them, the same on one machine and on a cluster.

Implemented in `pipelines/runners/local.py` (processes of this machine) and `pipelines/runners/kubeflow.py` (Kubeflow
Pipelines), opened by `pipelines.runners.open_runner`: components know no pipeline. The governor starts trainings and
follows them; `tidemill run --detach`, `tidemill runs` and `tidemill schedules` use the rest.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

Pipeline = Literal["training", "refresh", "monitoring"]
RunState = Literal["unknown", "running", "succeeded", "failed"]


@dataclass(frozen=True)
class RunReport:
    """What a runner knows of one run."""

    state: RunState
    """`unknown`: nothing was started under this key, or it cannot be seen yet."""
    outcome: Literal["promoted", "held", "refused"] | None = None
    """Of a training that succeeded."""
    version: str | None = None
    """Of the model that a training registered."""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListedRun:
    """One line of the list of runs."""

    key: str
    pipeline: str
    problem: str
    as_of: str
    """ISO 8601, UTC."""
    state: RunState | Literal["died"]
    """`died`: its process ended without a record of how."""
    started: datetime
    seconds: float | None = None
    """Of a run that has ended."""
    verdict: str | None = None
    """Of a training's release, where the runner knows it."""
    version: str | None = None
    report: str | None = None
    """Path of the page that a person opens first, on this machine only."""
    is_scheduled: bool = False
    """A recurring run of the platform started it."""


@dataclass(frozen=True)
class RecurringRun:
    """A pipeline that the platform starts by itself."""

    name: str
    problem: str
    cron: str
    """As the platform keeps it: Kubeflow Pipelines has a first field for seconds."""
    is_enabled: bool = True
    pipeline: str = "-"
    """`-` where the platform leaves it out."""
    id: str = ""
    """Of the platform."""
    mark: str = ""
    """Fingerprint of what it starts, where this installation made it; empty for that of a person or another one."""
    since: datetime | None = None
    """Of the due times after it that were missed the newest is made up, once; None is the time of its creation."""


@dataclass(frozen=True)
class StepProgress:
    """One step of a run as its platform shows it now."""

    name: str
    state: Literal["waiting", "running", "succeeded", "failed", "skipped"]
    seconds: float | None = None
    """Of a step that has ended, the start of its pod included."""


@dataclass(frozen=True)
class RunProgress:
    """How far a run is."""

    report: RunReport
    steps: tuple[StepProgress, ...] = ()
    """In the order of their start; empty where the platform shows none."""
    url: str | None = None
    """The page of the run, where the platform has one."""


class Runner(Protocol):
    """Starts pipelines by key. A run outlives the process that started it."""

    keeps_schedules: bool
    """The platform starts recurring runs by itself; where it does not, the governor is the clock."""

    def start(self, key: str, pipeline: Pipeline, problem: str, as_of: datetime) -> None:
        """Start a run, unless one with this key was started before, by any process.

        Raises:
            TransientError: it could not be started now; the same call may succeed later.
            PermanentError: it can never be started.
        """

    def find(self, key: str, problem: str) -> RunReport:
        """Return what is known of the run.

        Raises:
            TransientError: it cannot be known now.
        """

    def read_progress(self, key: str, problem: str) -> RunProgress:
        """Return how far the run is, with the errors of `find`."""

    def list_runs(self, problem: str | None = None) -> list[ListedRun]:
        """Return the runs of one problem or of all, the oldest first.

        Raises:
            TransientError: they cannot be known now.
        """

    def list_schedules(self, problem: str | None = None) -> list[RecurringRun]:
        """Return the recurring runs of one problem or of all.

        Raises:
            TransientError: they cannot be known now.
        """

    def create_schedule(self, schedule: RecurringRun) -> None:
        """Keep a recurring run of a pipeline, from its `since` on; its cron line is in the platform's own form.

        Raises:
            TransientError: the platform does not answer.
            PermanentError: it keeps no recurring runs, or refuses this one.
        """

    def delete_schedule(self, schedule: RecurringRun) -> None:
        """Delete a recurring run; one that is gone already is no fault. With the errors of `create_schedule`."""
