"""Start a program that cannot outlive the process that started it.

In: a command. Out: a running `OwnedProcess`. Called by the object store's server and by the predictor's; the process of
a step, which kfp starts, calls `end_with_parent` itself. Linux sends the child a signal when the *thread* that started
it ends, so a thread of its own starts the child and waits for it. The request for that signal is made by this file, run
as a small program that then becomes the command (`execv`): doing it in `preexec_fn` would run Python between fork and
exec, which deadlocks in programs with threads. Elsewhere than on Linux the child is stopped by `stop` alone.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import IO

# <sys/prctl.h>
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class ChildPlan:
    """What to start and where."""

    command: Sequence[str]
    environment: Mapping[str, str]
    """The whole environment: nothing is inherited."""
    folder: Path
    """The working directory."""
    log: IO[bytes]
    """Takes standard output and standard error."""
    kept_files: tuple[int, ...] = field(default=())
    """File descriptors that the child inherits, so that a lock on them lasts as long as the child."""


class OwnedProcess:
    """A child of this process, in a session of its own so that Ctrl-C reaches only its owner."""

    def __init__(self, plan: ChildPlan) -> None:
        """Start the child.

        Raises:
            OSError: the program cannot be started.
        """
        started: Future[subprocess.Popen[bytes]] = Future()
        Thread(target=_own, args=(plan, started), name="child-owner", daemon=True).start()
        self._process = started.result()
        self.pid = self._process.pid

    def is_running(self) -> bool:
        """Return whether the child still runs."""
        return self._process.poll() is None

    def stop(self, patience_seconds: float) -> None:
        """End the child: SIGTERM, after the patience SIGKILL; return when it has ended."""
        self._process.terminate()
        try:
            self._process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _own(plan: ChildPlan, started: "Future[subprocess.Popen[bytes]]") -> None:
    """Start the child and live as long as it does."""
    this_file = str(Path(__file__).resolve())
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", this_file, str(os.getpid()), *plan.command],
            env=dict(plan.environment),
            cwd=plan.folder,
            stdin=subprocess.DEVNULL,
            stdout=plan.log,
            stderr=subprocess.STDOUT,
            pass_fds=plan.kept_files,
            start_new_session=True,
        )
    except BaseException as error:
        started.set_exception(error)
        return
    started.set_result(process)
    process.wait()


def end_with_parent(parent: int) -> None:
    """Let the kernel kill this process when the parent's thread that started it ends; at once if it has ended.

    Args:
        parent: The process id of the parent, as the parent knows it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have ended before the request was made.
    if os.getppid() != parent:
        sys.exit(f"the parent, process {parent}, must still run, but it has ended.")


if __name__ == "__main__":
    end_with_parent(int(sys.argv[1]))
    # The request holds for the command too.
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606
