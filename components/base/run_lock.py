"""Let a run begin once on this machine, and let its steps see whether it still runs.

In: the run's folder, `<home>/runs/<name>/`. Out: a claim on it, or none. Called by the local runner for every run, and
by `tidemill run` for a run with a key, before it does anything else. A step calls `require_run` before it changes what
outlives the run: the registry, an endpoint, the online store.

The claim is a lock of the kernel on the file `lock`, which ends with the process however that ends, and the process's
id in it, which stays. So the folder tells all by itself:

    no lock file, or an empty one that nobody holds   nothing has begun
    lock held                                         the run is running
    run.json                                          it has ended, and that is how
    an id in the lock, not held, no run.json          it died
"""

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from components.base.errors import PermanentError

RunFolderState = Literal["unknown", "running", "ended", "died"]
LOCK, BEGUN, RECORD = "lock", "begun.json", "run.json"
# Names the folder of a run to its steps. A cluster has none: there a run that is ended takes its pods with it.
STEP_RUN_FOLDER = "STEP_RUN_FOLDER"
# A look takes microseconds; who still holds the lock after half a second is the run.
_ATTEMPTS, _PAUSE_SECONDS = 25, 0.02


@contextmanager
def claim_run(folder: Path) -> Iterator[bool]:
    """Give True to the one process that is to do the run, which holds the claim as long as the block; else False.

    The process that holds the claim may claim again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield _take(descriptor)
    finally:
        os.close(descriptor)


def read_state(folder: Path) -> RunFolderState:
    """Return what the folder tells of its run."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return "unknown"
    try:
        # Shared, so that two that look do not take each other for the run.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        has_begun = os.fstat(descriptor).st_size > 0
    except BlockingIOError:
        return "running"
    finally:
        os.close(descriptor)
    if (folder / RECORD).is_file():
        return "ended"
    return "died" if has_begun else "unknown"


def require_run(environment: Mapping[str, str] = os.environ) -> None:
    """Return when the run of the calling step is in force, or when no run of this machine has called it.

    Raises:
        PermanentError: the run's process has ended, so that the run is over and another one may be under way.
    """
    place = environment.get(STEP_RUN_FOLDER)
    if not place:
        return
    folder = Path(place)
    state = read_state(folder)
    if state != "running":
        raise PermanentError(
            f"run {folder.name}: it must be running when a step changes the registry, the endpoint or the online "
            f"store, but it has {state}. Nothing was changed. Start it again: it resumes."
        )


def _take(descriptor: int) -> bool:
    """Lock and sign; a lock on an unsigned file may be somebody's look at it, which is over at once."""
    signature = f"{os.getpid()}\n".encode()
    for _ in range(_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            time.sleep(_PAUSE_SECONDS)
    else:
        return os.pread(descriptor, len(signature), 0) == signature
    if os.fstat(descriptor).st_size > 0:
        return False
    os.write(descriptor, signature)
    return True
