"""Bring closed segments of the prediction log to the object store, in a thread of their own.

In: a spool and a store. Out: parquet objects; a segment is deleted once all of it is stored. Called by
`prediction_log`. Whatever goes wrong, the segment stays and is tried again, at first after a second, at last every
minute: a store that comes back gets everything. A repeated upload writes the same object.
"""

import logging
import time
from threading import Event, Thread
from typing import Protocol

from components.base.errors import DataError
from components.serving.prediction_log.schema import object_key
from components.serving.prediction_log.segment import read_segment, write_days
from components.serving.prediction_log.spool import Spool

logger = logging.getLogger(__name__)
# Time between two searches for closed segments: far below the age at which one is closed, and no burden to requests.
_POLL_SECONDS = 1.0
_FIRST_PAUSE_SECONDS = 1.0
# A minute after the store is back the log is complete, and a dead store gets 60 requests an hour.
_LONGEST_PAUSE_SECONDS = 60.0
# A predictor that is killed beside this one leaves its segments to it.
_ADOPT_SECONDS = 60.0


class Store(Protocol):
    """The one operation of the object store that the upload needs."""

    def put_bytes(self, place: str, content: bytes) -> str:
        """Write one object whole."""


class LogMetrics(Protocol):
    """Counts rows by what became of them."""

    def count(self, outcome: str, rows: int) -> None:
        """Count rows as spooled, dropped, sampled_out or stored."""


class Uploader:
    """Uploads what a spool closes."""

    def __init__(self, spool: Spool, store: Store, metrics: LogMetrics) -> None:
        """Start nothing yet."""
        self._spool = spool
        self._store = store
        self._metrics = metrics
        self._stopping = Event()
        self._pause = 0.0
        self._adopted_at = -_ADOPT_SECONDS
        self._thread = Thread(target=self._run, name="prediction-upload", daemon=True)

    def start(self) -> None:
        """Take over what earlier processes left, and upload until stopped."""
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Upload what is closed now and end; False when that takes longer, and the rest is left in the spool."""
        self._stopping.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def upload_all(self) -> None:
        """Upload the closed segments, the oldest first.

        Raises:
            TidemillError: one could not be stored; it is still there.
        """
        while path := self._spool.first_closed():
            try:
                segment = read_segment(path)
                if segment:
                    if damaged := segment.damaged:
                        logger.warning("prediction log: %d lines of %s are not whole and left out.", damaged, path)
                        self._metrics.count("dropped", damaged)
                    for day, content in write_days(segment):
                        self._store.put_bytes(object_key(segment.header.problem, day, path.stem), content)
            except DataError as error:
                logger.error("%s It is kept as %s.damaged.", error, path.stem)
                self._spool.set_aside(path)
            except FileNotFoundError:
                logger.error("prediction log: %s must be there to be uploaded, but somebody removed it.", path)
                self._spool.remove(path)
            else:
                self._spool.remove(path)
                self._metrics.count("stored", len(segment.rows) if segment else 0)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._pass()
            self._stopping.wait(self._pause or _POLL_SECONDS)
        self._pass()

    def _pass(self) -> None:
        """Take over and upload; nothing ends the thread."""
        try:
            if time.monotonic() - self._adopted_at >= _ADOPT_SECONDS:
                self._spool.adopt()
                self._adopted_at = time.monotonic()
            self.upload_all()
            if self._pause:
                logger.warning("prediction log: rows reach the object store again.")
            self._pause = 0.0
        except Exception as error:
            if not self._pause:
                logger.error("prediction log: rows stay in the spool and are tried again, as the upload got: %s", error)
            self._pause = min(max(2 * self._pause, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
