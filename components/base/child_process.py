"""Start a program that cannot outlive the process that started it, or the last of the processes that share it.

In: a command. Out: a running `OwnedProcess`; or, of `start_shared`, a program that runs as long as a process holds a
lock on a file. Called by the object store's server and by the predictor's; the process of
a step, which kfp starts, calls `end_with_parent` itself. Linux sends the child a signal when the *thread* that started
it ends, so a thread of its own starts the child and waits for it. The request for that signal is made by this file, run
as a small program that then becomes the command (`execv`): doing it in `preexec_fn` would run Python between fork and
exec, which deadlocks in programs with threads. Elsewhere than on Linux the child is stopped by `stop` alone.
"""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import IO

# <sys/prctl.h>
_PR_SET_PDEATHSIG = 1
_THIS_FILE = str(Path(__file__).resolve())
_SHARED = "shared"
# How long a shared program may outlive the last process that holds it.
_LOOK_SECONDS = 0.1
# A shared program that does not end in that time is killed.
_PATIENCE_SECONDS = 5.0


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
        """End the child and what it has started: SIGTERM, after the patience SIGKILL; return when the child ended."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        # Its session is its process group.
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def _own(plan: ChildPlan, started: "Future[subprocess.Popen[bytes]]") -> None:
    """Start the child and live as long as it does."""
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", _THIS_FILE, str(os.getpid()), *plan.command],
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


def start_shared(plan: ChildPlan, users: Path) -> None:
    """Start a program that runs as long as a process holds a lock on `users`, whoever started it.

    The caller must hold one. The first of the plan's kept files gets the program's process id, and a lock on it lasts
    until the program has ended.

    Raises:
        OSError: no process can be started.
    """
    subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            _THIS_FILE,
            _SHARED,
            str(users),
            ",".join(map(str, plan.kept_files)),
            *plan.command,
        ],
        env=dict(plan.environment),
        cwd=plan.folder,
        stdin=subprocess.DEVNULL,
        stdout=plan.log,
        stderr=subprocess.STDOUT,
        pass_fds=plan.kept_files,
        start_new_session=True,
        check=False,
    )


def _share(users: str, kept_files: tuple[int, ...], command: Sequence[str]) -> None:
    """Keep the program as a child until nobody holds `users`; whoever locks it meanwhile waits for the end."""
    if os.fork():
        # Nobody waits for the process that stays.
        return
    child = OwnedProcess(ChildPlan(command, os.environ, Path.cwd(), sys.stdout.buffer, kept_files))
    os.ftruncate(kept_files[0], 0)
    os.pwrite(kept_files[0], f"{child.pid}\n".encode(), 0)
    descriptor = os.open(users, os.O_RDWR)
    while child.is_running():
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            child.stop(_PATIENCE_SECONDS)
            return
        time.sleep(_LOOK_SECONDS)


if __name__ == "__main__" and sys.argv[1] == _SHARED:
    _share(sys.argv[2], tuple(map(int, sys.argv[3].split(","))), sys.argv[4:])
elif __name__ == "__main__":
    end_with_parent(int(sys.argv[1]))
    # The request holds for the command too.
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606
