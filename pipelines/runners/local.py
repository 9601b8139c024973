"""Pipelines as processes of this machine, found again by their key.

In: a key, a pipeline, a problem, a time. Out: a detached process (`python -m pipelines.commands run … --run-id <key>`)
that outlives its starter, and what its folder `<home>/runs/<key>/` shows. The folder's claim (`run_lock.py`) keeps a
key from running twice. Implements `components.base.runner.Runner`.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from components.base import documents
from components.base.errors import DataError, PermanentError, TransientError
from components.base.local_run import BegunRun, LocalRun
from components.base.run_lock import BEGUN, LOCK, RECORD, read_state
from components.base.runner import ListedRun, Pipeline, RecurringRun, RunProgress, RunReport
from pipelines.runners.records import read_records

# The last lines of a run that died show why.
_TAIL_CHARACTERS = 600
_COMMAND = (sys.executable, "-m", "pipelines.commands", "run")
# Do not pass the governor's secrets to a run.
_SECRET_PREFIX = "TIDEMILL_GOVERNOR_"  # noqa: S105


class LocalRunner:
    """Runs as processes of this machine."""

    keeps_schedules = False

    def __init__(self, home: Path, environment: Mapping[str, str], command: Sequence[str] = _COMMAND) -> None:
        """Keep where runs are, and what a run's process gets.

        Args:
            home: TIDEMILL_HOME.
            environment: Of the run's process; the governor's own variables are left out.
            command: The program; it gets the pipeline, --problem, --as-of, --run-id and --no-seed.
        """
        self._home = home
        self._environment = {k: v for k, v in environment.items() if not k.startswith(_SECRET_PREFIX)}
        self._command = list(command)
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, key: str, pipeline: Pipeline, problem: str, as_of: datetime) -> None:
        """Start the run's process, unless the run has begun.

        Raises:
            TransientError: the machine cannot start a process now.
        """
        folder = self._home / "runs" / key
        if read_state(folder) != "unknown":
            return
        arguments = [pipeline, "--problem", problem, "--as-of", as_of.isoformat(), "--run-id", key, "--no-seed"]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "launch.log").open("ab") as output:
                self._children[key] = subprocess.Popen(
                    [*self._command, *arguments],
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise TransientError(
                f"run {key}: its process must start, but got: {error}. Free memory or disk; it is tried again."
            ) from error

    def find(self, key: str, problem: str) -> RunReport:  # noqa: ARG002
        """Return what the run's folder shows; a process that ended before the run began has failed."""
        folder = self._home / "runs" / key
        state = read_state(folder)
        child = self._children.get(key)
        # Also waits for a child that has ended, so that it does not stay a zombie.
        code = child.poll() if child else None
        if state == "ended":
            return _read_report(folder / RECORD)
        if state == "died" or (state == "unknown" and code):
            output = folder / "launch.log"
            said = output.read_text(errors="replace")[-_TAIL_CHARACTERS:] if output.is_file() else ""
            tail = " ".join(said.split()) or f"See {key}/run.log under the home's runs."
            return RunReport("failed", reasons=(f"The run's process ended without a record. {tail}",))
        return RunReport("running" if state == "running" else "unknown")

    def read_progress(self, key: str, problem: str) -> RunProgress:
        """Return the state of the run; its steps are in the log of its folder."""
        return RunProgress(self.find(key, problem))

    def list_runs(self, problem: str | None = None) -> list[ListedRun]:
        """Return the runs with a record, then those that are running and those that died without one."""
        ended = [
            ListedRun(
                key=record.name,
                pipeline=record.pipeline,
                problem=record.problem,
                as_of=record.as_of,
                state="succeeded" if record.status == "done" else "failed",
                started=datetime.fromisoformat(record.started),
                seconds=record.seconds,
                verdict=record.verdict,
                version=record.model_version,
                report=record.report,
            )
            for record in read_records(self._home)
        ]
        others = [
            ListedRun(folder.name, *_read_begun(folder), state, datetime.fromtimestamp(_read_mtime(folder), UTC))
            for folder in sorted((self._home / "runs").glob("*/"), key=_read_mtime)
            if (state := read_state(folder)) in ("running", "died")
        ]
        return [run for run in [*ended, *others] if problem in (None, run.problem)]

    def list_schedules(self, problem: str | None = None) -> list[RecurringRun]:  # noqa: ARG002
        """Return nothing: the governor starts on this machine what the contracts schedule."""
        return []

    def create_schedule(self, schedule: RecurringRun) -> None:
        """Refuse it: this machine keeps no recurring runs.

        Raises:
            PermanentError: always.
        """
        raise PermanentError(
            f"schedule {schedule.name}: TIDEMILL_PLATFORM must be kubernetes to keep recurring runs, but is local. "
            "On one machine `tidemill govern` starts what the contracts schedule."
        )

    def delete_schedule(self, schedule: RecurringRun) -> None:
        """Refuse it, as `create_schedule` does."""
        self.create_schedule(schedule)


def _read_begun(folder: Path) -> tuple[str, str, str]:
    """Return pipeline, problem and time of a run without a record; `-` where it ended before it wrote them."""
    try:
        begun = documents.read(BegunRun, folder / BEGUN)
    except DataError:
        return "-", "-", "-"
    return begun.pipeline, begun.problem, begun.as_of


def _read_mtime(folder: Path) -> float:
    """Return when a run without a record began: its lock is written once."""
    lock = folder / LOCK
    return lock.stat().st_mtime if lock.is_file() else 0.0


def _read_report(path: Path) -> RunReport:
    try:
        record = documents.read(LocalRun, path)
    except DataError as error:
        return RunReport("failed", reasons=(f"The run left a damaged record. {error}",))
    if record.status == "failed":
        return RunReport("failed", reasons=(record.error or "The run failed and left no error.",))
    if record.deployment is None:
        # Refresh and monitoring release nothing.
        return RunReport("succeeded")
    outcome: Literal["promoted", "held", "refused"] = "held"
    if record.deployment == "promoted":
        outcome = "promoted"
    elif record.deployment == "refused" or record.verdict == "refuse":
        # By the endpoint, or by a gate; a model that is held is sound, and yet no better.
        outcome = "refused"
    return RunReport("succeeded", outcome, record.model_version, record.reasons)
