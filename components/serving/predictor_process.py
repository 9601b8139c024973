"""Run the predictor of one model version as a child of this process.

In: a model folder and the settings. Out: a running `PredictorProcess`. Called by the host of this machine and by
`make serve`. The predictor is a program of its own, so that what is tried here is what a pod runs; it ends with its
parent, whatever happens to that.
"""

import os
import re
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from components.base.child_process import ChildPlan, OwnedProcess
from components.base.errors import EndpointUnavailableError
from components.base.settings import Settings
from components.serving.client import is_answering

# A start takes about five seconds; a machine under load may need ten times as long.
_READY_SECONDS = 60.0
_POLL_SECONDS = 0.05
# The predictor ends its connections in 3 seconds of its own, what is in flight in 20, and its log in 4.
_STOP_SECONDS = 30.0
_LOG_LINES_SHOWN = 15
_LISTENS = re.compile(rb"listens on (http://\S+)")
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Launch:
    """What to start."""

    model_folder: Path
    version: str
    name: str
    log_path: Path
    logs_predictions: bool = True
    """False for a smoke test: nobody acts on its predictions."""
    shared: socket.socket | None = None
    """A listening socket on which it answers too, beside the process that takes its place later."""


class PredictorProcess:
    """A predictor that starts on entry and has ended on exit; the caller may work while it starts."""

    def __init__(self, launch: Launch, settings: Settings) -> None:
        """Name what to start."""
        self._launch = launch
        self._settings = settings

    def __enter__(self) -> Self:
        """Start the predictor without waiting for it."""
        launch = self._launch
        options = {"--model-dir": launch.model_folder, "--model-version": launch.version, "--name": launch.name}
        words = [str(word) for option in options.items() for word in option]
        words += ["--port", "0", *([] if launch.logs_predictions else ["--no-log"])]
        kept_files = () if launch.shared is None else (launch.shared.fileno(),)
        words += [word for descriptor in kept_files for word in ("--shared-socket", str(descriptor))]
        command = [sys.executable, "-m", "components.serving.predictor", *words]
        launch.log_path.parent.mkdir(parents=True, exist_ok=True)
        places = self._settings.child_environment()
        environment = {**os.environ, **places, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self._started = time.monotonic()
        with launch.log_path.open("wb") as log:
            self.process = OwnedProcess(ChildPlan(command, environment, _ROOT, log, kept_files))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the predictor."""
        self.process.stop(_STOP_SECONDS)

    def wait_ready(self) -> str:
        """Wait until the model answers, and return the URL that is its alone.

        Raises:
            EndpointUnavailableError: it ended, or was not ready in time; with the end of its log.
        """
        ready_path = f"/v2/models/{self._launch.name}/ready"
        while (elapsed := time.monotonic() - self._started) < _READY_SECONDS:
            found = _LISTENS.search(self._launch.log_path.read_bytes())
            if found and is_answering(found[1].decode(), ready_path):
                return found[1].decode()
            if not self.process.is_running():
                raise EndpointUnavailableError(self._failure(f"its process ended after {elapsed:.1f} seconds"))
            time.sleep(_POLL_SECONDS)
        raise EndpointUnavailableError(self._failure("nothing in that time"))

    def _failure(self, got: str) -> str:
        last = self._launch.log_path.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
        return (
            f"endpoint {self._launch.name} version {self._launch.version}: it must be ready within "
            f"{_READY_SECONDS:.0f} seconds, but got {got}. The end of {self._launch.log_path}:\n  " + "\n  ".join(last)
        )
