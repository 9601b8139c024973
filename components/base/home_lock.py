"""Let one process at a time do what must not be done twice at once on this machine, and refuse the second in words.

In: the home and what is to be done, e.g. "training of flight-delays". Out: a lock of the kernel on `<home>/locks/`,
which ends with its process however that ends. Called where something is written that two must not write: by the runner
of pipelines, by the endpoint of a champion and by the governor. What only reads takes no lock.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.base.errors import PermanentError


@contextmanager
def hold_alone(home: Path, what: str) -> Iterator[Path]:
    """Hold the lock of the thing as long as the block; gives the locked file.

    Raises:
        PermanentError: another process holds it.
    """
    path = home / "locks" / re.sub(r"[^\w.-]+", "-", what)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode().strip()
            raise PermanentError(
                f"{what}: one at a time must be under way in {home}, but process {holder} is at it. "
                f"Wait for it, end it with `kill {holder}`, or set another TIDEMILL_HOME."
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield path
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Return whether a process holds the file locked for itself."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
