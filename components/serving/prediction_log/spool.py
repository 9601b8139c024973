"""Keep logged predictions on local disk until the object store has them.

In: lines of predicted rows. Out: closed segment files to upload, also those that a killed process left behind. Called
by `prediction_log` (one thread writes) and `prediction_upload` (another takes and removes).

    <spool>/<endpoint>/<process>/lock              held as long as the process lives
    <spool>/<endpoint>/<process>/<segment>.jsonl   a header, then one line a row

A row is the kernel's once `append` returned: a killed process loses none of those. A spool that is not synced forces
nothing out of the kernel's memory, so that a machine that loses power loses its last seconds; a synced one waits until
the row is on the disk. A folder whose lock is free belongs to nobody: who takes
the lock takes the segments.
"""

import fcntl
import logging
import os
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

logger = logging.getLogger(__name__)
_SUFFIX = ".jsonl"
_LOCK = "lock"


@dataclass(frozen=True)
class SpoolLimits:
    """When a segment is closed, and how much may be spooled; TIDEMILL_PREDICTION_LOG_*."""

    segment_seconds: float
    """An older segment is closed."""
    segment_bytes: int
    """A fuller segment is closed."""
    spool_bytes: int
    """Rows beyond it are dropped."""


class OpenSegment:
    """The file that rows are written to now."""

    def __init__(self, path: Path, header: bytes) -> None:
        """Create the file with its header; on failure there is none."""
        self.path = path
        self.size_bytes = 0
        self.opened_at = time.monotonic()
        self.is_torn = False
        """Whether half a line is at the end, after which nothing must be written."""
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            self.append(header)
        except OSError:
            self.close()
            path.unlink()
            raise

    def append(self, content: bytes) -> None:
        """Write all of the content, or on failure nothing of it.

        Raises:
            OSError: the disk is full or broken.
        """
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            try:
                os.ftruncate(self._descriptor, self.size_bytes)
            except OSError:
                self.is_torn = True
            raise
        self.size_bytes += len(content)

    def sync(self) -> None:
        """Wait until all that was written is on the disk.

        Raises:
            OSError: the disk is broken.
        """
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Write no more."""
        os.close(self._descriptor)


class Spool:
    """The segments of this process, and of those that died before it."""

    def __init__(
        self, folder: Path, header: Callable[[], bytes], limits: SpoolLimits, *, is_synced: bool = False
    ) -> None:
        """Name the endpoint's folder; it is made with the first row, and again if it is lost.

        Args:
            folder: Of the endpoint; several processes may share it.
            header: Makes the first line of each segment.
            limits: When a segment is closed, and how much may be spooled.
            is_synced: A row counts as written when it is on the disk, not when the kernel has it.
        """
        self._is_synced = is_synced
        self._root = folder
        self._own = folder / _new_name()
        self._header = header
        self._limits = limits
        self._locks: dict[Path, int] = {}
        self._open: OpenSegment | None = None
        self._closed: deque[Path] = deque()
        self._sizes: dict[Path, int] = {}
        self._guard = Lock()
        self._trouble = ""

    @property
    def size_bytes(self) -> int:
        """Bytes of all segments that are not uploaded."""
        with self._guard:
            return sum(self._sizes.values())

    def append(self, lines: Sequence[bytes]) -> bool:
        """Write lines; False when the disk or the spool is full, and then none of them is kept."""
        content = b"".join(lines)
        limit = self._limits.spool_bytes
        try:
            if self.size_bytes + len(content) > limit:
                raise OSError(f"its {limit} bytes are used up")
            segment = self._open or self._open_segment()
            segment.append(content)
            if self._is_synced:
                segment.sync()
        except OSError as error:
            self._note(str(error))
            if self._open is not None and self._open.is_torn:
                self.close_segment()
            return False
        self._note("")
        self._resize(segment.path, segment.size_bytes)
        return True

    def close_due(self) -> None:
        """Close the open segment when it is large or old enough."""
        segment = self._open
        if segment is None:
            return
        age = time.monotonic() - segment.opened_at
        if segment.size_bytes >= self._limits.segment_bytes or age >= self._limits.segment_seconds:
            self.close_segment()

    def close_segment(self) -> None:
        """Close the open segment, so that it is uploaded."""
        if self._open is not None:
            self._open.close()
            self._closed.append(self._open.path)
            self._open = None

    def first_closed(self) -> Path | None:
        """Return the oldest closed segment."""
        return self._closed[0] if self._closed else None

    def remove(self, path: Path) -> None:
        """Delete the oldest closed segment: the object store has it."""
        path.unlink(missing_ok=True)
        self._forget(path)

    def set_aside(self, path: Path) -> None:
        """Keep the oldest closed segment, which cannot be read, for a person and out of the way of the others."""
        path.replace(path.with_suffix(".damaged"))
        self._forget(path)

    def adopt(self) -> None:
        """Take over the segments of processes that have ended."""
        for folder in sorted(self._root.glob("*")):
            if folder in self._locks or folder.name.startswith(".") or not folder.is_dir():
                continue
            try:
                self._locks[folder] = _lock(folder / _LOCK)
            except OSError:
                continue
            found = sorted(folder.glob(f"*{_SUFFIX}"))
            for path in found:
                self._resize(path, path.stat().st_size)
            self._closed.extendleft(reversed(found))
            if found:
                logger.info("prediction log: %d segments of an earlier process are taken over: %s", len(found), folder)
            else:
                self._leave(folder)

    def release(self) -> None:
        """Let go of every folder, so that a later process takes what is left."""
        self.close_segment()
        for folder in list(self._locks):
            self._leave(folder)

    def _open_segment(self) -> OpenSegment:
        if not self._own.is_dir():
            # The folder appears under its name only with its lock held.
            draft = self._root / f".{self._own.name}"
            draft.mkdir(parents=True, exist_ok=True)
            lock = _lock(draft / _LOCK)
            draft.replace(self._own)
            if self._own in self._locks:
                os.close(self._locks[self._own])
            self._locks[self._own] = lock
        self._open = OpenSegment(self._own / f"{_new_name()}{_SUFFIX}", self._header())
        if self._is_synced:
            # The file's name is on the disk when its folder is.
            for folder in (self._own, self._root):
                _sync_folder(folder)
        return self._open

    def _leave(self, folder: Path) -> None:
        """Give the lock back, and remove the folder when nothing is left in it."""
        if not any(path.name != _LOCK for path in folder.glob("*")):
            (folder / _LOCK).unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()
        os.close(self._locks.pop(folder))

    def _forget(self, path: Path) -> None:
        # Only the uploader takes from this end.
        self._closed.popleft()
        with self._guard:
            self._sizes.pop(path, None)
        folder = path.parent
        if folder != self._own and not any(closed.parent == folder for closed in list(self._closed)):
            self._leave(folder)

    def _resize(self, path: Path, size_bytes: int) -> None:
        with self._guard:
            self._sizes[path] = size_bytes

    def _note(self, trouble: str) -> None:
        """Log once that rows are dropped, and once that they are not any more."""
        if trouble and not self._trouble:
            logger.error("prediction log: %s must take rows, but got: %s. Rows are dropped.", self._root, trouble)
        elif self._trouble and not trouble:
            logger.warning("prediction log: %s takes rows again.", self._root)
        self._trouble = trouble


def _new_name() -> str:
    """Return a name that sorts by time and is nobody else's."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(path: Path) -> int:
    """Lock a file for as long as the descriptor is open; an OSError when another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
