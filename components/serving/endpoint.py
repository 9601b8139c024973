"""Run the predictor of one model version as a child of this process, and keep the record of what is in charge.

In come a model folder or a problem's name and the settings, out go a running `PredictorProcess` or `Endpoint`. Called
by `deploy` for its trial and by `make serve` for the champion. The predictor is a program of its own, so that what is
tried here is what a pod runs; it ends with its parent, whatever happens to that.
"""

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from components.base.adapters import mlflow as tracking
from components.base.child_process import ChildPlan, OwnedProcess
from components.base.contract.problem import Problem
from components.base.errors import EndpointUnavailableError, ModelRefusedError
from components.base.settings import Settings
from components.base.tables import read_table
from components.serving.client import is_answering
from components.serving.predictor.requests import RequestSchema, request_rows, write_v1

# A start takes about five seconds; a machine under load may need ten times as long.
_READY_SECONDS = 60.0
_POLL_SECONDS = 0.05
# The predictor answers what is in flight within 20 seconds of its own.
_STOP_SECONDS = 25.0
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
    port: int = 0
    """0 takes a free port."""
    is_trial: bool = False
    """Predictions of a trial are not logged: nobody decides by them."""


@dataclass(frozen=True)
class EndpointRecord:
    """Which version an endpoint serves, in `<home>/endpoints/<endpoint>.json`: the registry decides, this tells."""

    endpoint: str
    problem: str
    version: str
    storage_uri: str
    since: str
    previous: str | None


@dataclass(frozen=True)
class Endpoint:
    """A running endpoint of the champion."""

    name: str
    version: str
    url: str
    example: dict[str, Any]
    """One request row that it answers."""
    process: OwnedProcess


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
        words += ["--port", str(launch.port), *(["--no-log"] if launch.is_trial else [])]
        command = [sys.executable, "-m", "components.serving.predictor", *words]
        launch.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._started = time.monotonic()
        with launch.log_path.open("wb") as log:
            self.process = OwnedProcess(ChildPlan(command, self._environment(), _ROOT, log))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the predictor."""
        self.process.stop(_STOP_SECONDS)

    def wait_ready(self) -> tuple[str, float]:
        """Wait until the model answers; return the URL and the seconds from the start.

        Raises:
            EndpointUnavailableError: it ended, or was not ready in time; with the end of its log.
        """
        ready_path = f"/v2/models/{self._launch.name}/ready"
        while (elapsed := time.monotonic() - self._started) < _READY_SECONDS:
            found = _LISTENS.search(self._launch.log_path.read_bytes())
            if found and is_answering(found[1].decode(), ready_path):
                return found[1].decode(), elapsed
            if not self.process.is_running():
                raise EndpointUnavailableError(self._failure(f"its process ended after {elapsed:.1f} seconds"))
            time.sleep(_POLL_SECONDS)
        raise EndpointUnavailableError(self._failure("nothing in that time"))

    def _environment(self) -> dict[str, str]:
        places = self._settings.child_environment()
        return {**os.environ, **places, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}

    def _failure(self, got: str) -> str:
        last = self._launch.log_path.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
        return (
            f"endpoint {self._launch.name} version {self._launch.version}: it must be ready within "
            f"{_READY_SECONDS:.0f} seconds, but got {got}. The end of {self._launch.log_path}:\n  " + "\n  ".join(last)
        )


@contextmanager
def start_endpoint(problem_name: str, settings: Settings, port: int = 0) -> Iterator[Endpoint]:
    """Serve the champion of the registry until the end of the block.

    Raises:
        ModelRefusedError: there is no champion.
        EndpointUnavailableError: the predictor did not become ready.
        TrackingUnavailableError: the registry or its artifact store does not answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = tracking.download_champion(problem_name, Path(folder), settings)
        if files is None:
            raise ModelRefusedError(
                f"endpoint {problem_name}: a champion must exist, but the registry has none. Run `make demo` first."
            )
        name = files.problem.serving.endpoint
        record_endpoint(files.problem, tracking.find_version(problem_name, files.version, settings), settings)
        launch = Launch(files.model_folder, files.version, name, settings.home / "endpoints" / f"{name}.log", port)
        with PredictorProcess(launch, settings) as predictor:
            url, _ = predictor.wait_ready()
            yield Endpoint(name, files.version, url, _example(files), predictor.process)


def record_endpoint(problem: Problem, version: tracking.VersionRecord, settings: Settings) -> EndpointRecord:
    """Write down that the version is in charge; a record that says so already keeps its time."""
    name = problem.serving.endpoint
    known = read_endpoint(name, settings)
    if known and known.version == version.version:
        return known
    record = EndpointRecord(
        endpoint=name,
        problem=problem.name,
        version=version.version,
        storage_uri=version.storage_uri,
        since=datetime.now(UTC).isoformat(timespec="seconds"),
        previous=known.version if known else None,
    )
    path = _record_path(name, settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(record), indent=1))
    partial.replace(path)
    return record


def read_endpoint(name: str, settings: Settings) -> EndpointRecord | None:
    """Return the record of an endpoint; None when it never served."""
    path = _record_path(name, settings)
    return EndpointRecord(**json.loads(path.read_text())) if path.is_file() else None


def _record_path(name: str, settings: Settings) -> Path:
    return settings.home / "endpoints" / f"{name}.json"


def _example(files: tracking.ChampionFiles) -> dict[str, Any]:
    """Take a row of the test period: unlike an invented one, the online store knows it."""
    golden = read_table(files.model_folder / "golden.parquet").tail(1)
    rows = request_rows(RequestSchema.of(files.problem), golden)
    example: dict[str, Any] = write_v1(rows)["instances"][0]
    return example
