"""Start training runs on this machine for the governor, and find them again by their key.

In: a key, a problem, a moment. Out: a detached process (`python -m pipelines.commands.demo --run-id <key> …`) that
outlives the governor, and what its folder `<home>/runs/<key>/` tells. Called by the governor's worker through
`components/governor/launcher.py`; the folder's claim (`run_lock.py`) keeps a key from running twice.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from components.base.errors import TransientError
from components.governor.launcher import RunReport
from pipelines.runners.run_lock import RECORD, read_state

# The last lines of a run that died say why.
_TAIL_CHARACTERS = 600
_LOCAL = (sys.executable, "-m", "pipelines.commands.demo")
# The governor's secrets are no business of a run.
_SECRET_PREFIX = "TIDEMILL_GOVERNOR_"  # noqa: S105


class LocalLauncher:
    """Runs as processes of this machine."""

    def __init__(self, home: Path, environment: Mapping[str, str], command: Sequence[str] = _LOCAL) -> None:
        """Take where runs are kept, and what a run's process is given.

        Args:
            home: TIDEMILL_HOME.
            environment: Of the run's process; the governor's own variables are left out.
            command: The program; it gets --problem, --as-of, --run-id and --no-seed.
        """
        self._runs = home / "runs"
        self._environment = {k: v for k, v in environment.items() if not k.startswith(_SECRET_PREFIX)}
        self._command = list(command)
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, key: str, problem: str, as_of: datetime) -> None:
        """Start the run's process, unless the run has begun.

        Raises:
            TransientError: the machine cannot start a process now.
        """
        folder = self._runs / key
        if read_state(folder) != "unknown":
            return
        arguments = ["--problem", problem, "--as-of", as_of.isoformat(), "--run-id", key, "--no-seed"]
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
        """Return what the run's folder tells; a process that ended before it began has failed."""
        folder = self._runs / key
        state = read_state(folder)
        child = self._children.get(key)
        # Also waits for a child that has ended, so that it does not stay a zombie.
        code = child.poll() if child else None
        if state == "ended":
            return _read_record(folder / RECORD)
        if state == "died" or (state == "unknown" and code):
            return RunReport("failed", reasons=(f"The run's process ended without a record. {_tail(folder)}",))
        return RunReport("running" if state == "running" else "unknown")


def _read_record(path: Path) -> RunReport:
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except ValueError:
        return RunReport("failed", reasons=(f"The run ended while it wrote {path.name}.",))
    if record["status"] != "done":
        return RunReport("failed", reasons=(str(record.get("error") or "The run failed without a word."),))
    return RunReport("succeeded", _outcome(record), record["model_version"], tuple(record["reasons"]))


def _outcome(record: Mapping[str, Any]) -> Literal["promoted", "held", "refused"]:
    """Say what became of the release: refused by a gate or by the endpoint, or sound and yet not wanted."""
    if record["deployment"] == "promoted":
        return "promoted"
    return "refused" if record["deployment"] == "refused" or record["verdict"] == "refuse" else "held"


def _tail(folder: Path) -> str:
    file = folder / "launch.log"
    text = file.read_text(errors="replace") if file.is_file() else ""
    return " ".join(text[-_TAIL_CHARACTERS:].split()) or f"See {folder.name}/run.log under the home's runs."
