"""Follow a local KFP run through what it prints: lines go to the run's log, each step is reported as it changes.

`kfp.local` has no call-back, so its own log lines are the only sign of what runs. In: text written to standard output.
Out: calls on a `StepListener`. Called by `pipelines/runners/run.py`.
"""

import io
import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

Status = Literal["done", "reused", "failed"]

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STARTED = re.compile(r"Executing task '?([\w-]+)'?$")
_REUSED = re.compile(r"Task '?([\w-]+)'? cache hit")
_FINISHED = re.compile(r"Task '?([\w-]+)'? finished with status (SUCCESS|FAILURE)")
_OWN_START = re.compile(r"^\[KFP Executor ([\d\-: ,]+) INFO\]: Got executor_input")
_OWN_END = re.compile(r"^\[KFP Executor ([\d\-: ,]+) INFO\]: (?:Wrote executor output|Did not write output)")
_MESSAGE = re.compile(r"^\[KFP Executor [\d\-: ,]+ (?:INFO|WARNING)\]: ([a-z_]+): (.*)")
_TRACEBACK = "Traceback (most recent call last):"


@dataclass
class StepRun:
    """One step of a run as seen from outside."""

    name: str
    started: float
    """Seconds of `time.monotonic`."""
    status: Status = "failed"
    seconds: float = 0.0
    own_seconds: float = 0.0
    """Time inside the step's function, its imports included; the rest of `seconds` is the start of its process."""
    message: str = ""
    """The step's last log line, without its name."""
    lines: list[str] = field(default_factory=list, repr=False)
    own_started: float = field(default=0.0, repr=False)
    """Seconds since the epoch."""


class StepListener(Protocol):
    """Who wants to know of steps."""

    def step_started(self, step: StepRun) -> None:
        """A step begins."""

    def step_progressed(self, step: StepRun) -> None:
        """A step logged something about itself."""

    def step_finished(self, step: StepRun) -> None:
        """A step ended: done, reused or failed."""


class KfpLog(io.TextIOBase):
    """A text stream to put in place of standard output while a pipeline runs."""

    def __init__(self, path: Path, listener: StepListener) -> None:
        """Append to `path` and report to `listener`."""
        self._file = path.open("a", encoding="utf-8")
        self._listener = listener
        self._pending = ""
        self._is_running = False
        self.steps: list[StepRun] = []

    def writable(self) -> bool:
        """Say that text can be written."""
        return True

    def write(self, text: str) -> int:
        """Log the text and read whole lines."""
        self._file.write(text)
        self._file.flush()
        *whole, self._pending = (self._pending + text).split("\n")
        for line in whole:
            self._read(_COLOUR.sub("", line))
        return len(text)

    def interrupt(self, words: str) -> None:
        """Take the step that runs as failed, for the reason in words."""
        if self._is_running:
            self._follow(self.steps[-1], words)
            self._finish("failed")

    def close(self) -> None:
        """Close the log file."""
        if not self._file.closed:
            self._file.close()
        super().close()

    def _read(self, line: str) -> None:
        if started := _STARTED.search(line):
            self._start(started[1])
        elif reused := _REUSED.search(line):
            self._start(reused[1])
            self._finish("reused")
        elif finished := _FINISHED.search(line):
            self._finish("done" if finished[2] == "SUCCESS" else "failed")
        elif self._is_running:
            self._follow(self.steps[-1], line)

    def _start(self, name: str) -> None:
        self._is_running = True
        self.steps.append(StepRun(name, time.monotonic()))
        self._listener.step_started(self.steps[-1])

    def _finish(self, status: Status) -> None:
        self._is_running = False
        step = self.steps[-1]
        step.status, step.seconds = status, time.monotonic() - step.started
        self._listener.step_finished(step)

    def _follow(self, step: StepRun, line: str) -> None:
        step.lines.append(line.removeprefix("    "))
        if start := _OWN_START.match(step.lines[-1]):
            step.own_started = _seconds(start[1])
        elif end := _OWN_END.match(step.lines[-1]):
            step.own_seconds = _seconds(end[1]) - step.own_started
        message = _MESSAGE.match(step.lines[-1])
        if message and message[1] == step.name:
            step.message = message[2]
            self._listener.step_progressed(step)


def _seconds(stamp: str) -> float:
    return datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()


def error_of(step: StepRun) -> str:
    """Return the text of the error that ended a step, without its traceback.

    Falls back to the last lines that the step printed when there was no Python error (a killed process).
    """
    lines = step.lines
    starts = [n for n, line in enumerate(lines) if line.strip() == _TRACEBACK]
    if not starts:
        return "\n".join(lines[-10:]).strip() or "The step's process ended without a word (killed?)."
    after = lines[starts[-1] + 1 :]
    first = next((n for n, line in enumerate(after) if line and not line.startswith(" ")), len(after))
    text = [line for line in after[first:] if line.strip()]
    return "\n".join(text[:40]).strip()
