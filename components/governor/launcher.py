"""The one interface through which the governor starts the training pipeline and learns what became of it.

Implemented in `pipelines/runners/local.py` (this machine) and `pipelines/runners/kubeflow.py` (Kubeflow Pipelines): the
phases know no pipeline. Called by `govern_worker.py`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol


@dataclass(frozen=True)
class RunReport:
    """What a launcher knows of a run."""

    state: Literal["unknown", "running", "succeeded", "failed"]
    """`unknown`: nothing was started under this key, or it cannot be seen yet."""
    outcome: Literal["promoted", "held", "refused"] | None = None
    """Of a run that succeeded."""
    version: str | None = None
    reasons: tuple[str, ...] = ()


class Launcher(Protocol):
    """Starts runs by key. Whatever a launcher starts outlives the governor's process."""

    def start(self, key: str, problem: str, as_of: datetime) -> None:
        """Start a run, unless one of this key was started before, by whomever.

        Raises:
            TransientError: it could not be started now; the same call may succeed later.
            PermanentError: it can never be started.
        """

    def find(self, key: str, problem: str) -> RunReport:
        """Return what is known of the run.

        Raises:
            TransientError: it cannot be known now.
        """
