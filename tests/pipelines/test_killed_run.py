"""A run that is killed ends with every process that it started, and leaves what it had not finished undone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
# On a loaded machine a step's imports alone take ten seconds.
PATIENCE_SECONDS = 120.0


@contextmanager
def running_command(home: Path, *words: str) -> Iterator[psutil.Popen]:
    """Run a command of the platform; whatever it has started and left is killed at the end of the block."""
    home.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "TIDEMILL_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    with (home.parent / f"{words[0]}.out").open("wb") as output:
        command = psutil.Popen(
            [sys.executable, "-m", "pipelines.commands", *words],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A shell lets what it starts in the background ignore Ctrl-C, and so would the command.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        yield command
    finally:
        for process in (command, *find_processes(home)):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        command.wait()


def find_processes(home: Path) -> list[psutil.Process]:
    """Every living process that works in the home, whoever its parent is now."""
    found = []
    for process in psutil.process_iter():
        try:
            is_here = process.environ().get("TIDEMILL_HOME") == str(home) or str(home) in " ".join(process.cmdline())
            if is_here and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def wait_for(condition, what: str):
    until = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.05)
    return value


def find_step(home: Path, name: str) -> list[psutil.Process]:
    """Return the Python process of a step."""
    found = []
    for process in find_processes(home):
        with suppress(psutil.NoSuchProcess):
            words = process.cmdline()
            if "components.base.step_process" in words and words[-1] == name:
                found.append(process)
    return found


def has_begun(home: Path, name: str) -> bool:
    """Return whether kfp's executor has found the step's function."""
    return any(f"Looking for component `{name}`" in log.read_text() for log in home.glob("runs/*/run.log"))


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_no_process_of_a_run_outlives_its_kill(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running_command(home, "run", "refresh", "--as-of", "2013-02-01") as run:
        step = wait_for(lambda: has_begun(home, "ingest") and find_step(home, "ingest"), "the step ingest")[0]
        # It cannot end by itself any more.
        step.suspend()
        run.send_signal(signal.SIGKILL)
        run.wait()
        wait_for(lambda: not find_processes(home), "the end of every process of the run")
    assert not list(home.glob("runs/*/steps/*/ingest/*"))
