"""Log every prediction without slowing its request.

In: request rows with their predictions. Out: rows in the object store, some minutes later, with the columns of
`schema`. Called by the predictor for each answered request; a smoke test logs nothing.

A request makes one line a row and puts it in a queue in memory. One thread takes all of the queue four times a second
and appends it to a segment on local disk: from then on the row is *spooled*, and a killed process does not lose it.
Another thread brings closed segments to the object store. A request waits for neither.

With TIDEMILL_PREDICTION_LOG=synced a request is answered when its rows are on the disk (fsync), and refused with 503
when they cannot be: nothing that was answered is lost, whatever is killed. The thread takes what waits at once, so that
requests that come together share one fsync.

What happens when something is gone:
    object store      predictions go on; rows stay in the spool and are stored when it is back
    spool over limit  predictions go on; new rows are dropped and counted
    disk full, broken predictions go on; rows are dropped and counted until there is room
    full queue        predictions go on; the rows of a request are dropped and counted together
    online store      the request is refused with 503; there is no prediction, and nothing is logged
    killed process    what was spooled is stored by the next predictor of the endpoint on that disk; rows of the last
                      quarter of a second are lost (0.38 s were measured on a busy machine, p99 0.28 s), and were
                      never counted as spooled; a synced log loses none
    SIGTERM           everything is spooled, then stored within `_CLOSE_SECONDS`; the rest stays in the spool

`monitoring.log.sampling_ratio` of the contract decides by a hash of the request's key: a repeated request is decided as
the first one, whatever names its rows have.
"""

import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Event, Lock, Thread
from typing import Protocol

from components.base.adapters.s3 import ObjectStore
from components.base.errors import NotLoggedError
from components.base.settings import Settings
from components.serving.prediction_log.schema import SegmentHeader
from components.serving.prediction_log.segment import LineWriter
from components.serving.prediction_log.spool import Spool, SpoolLimits
from components.serving.prediction_log.upload import LogMetrics, Uploader
from components.serving.predictor.model import Prediction, ServedModel
from components.serving.predictor.requests import Row

logger = logging.getLogger(__name__)
# Fifteen seconds of the fastest endpoint while the disk stalls, in some 10 MB.
_QUEUE_ROWS = 20_000
# Rows of the last quarter of a second are what a kill can cost. Each time that the thread wakes a request may wait for
# it: at 1,000 requests a second four times are 0.4 %, and the p99 does not see them.
_DRAIN_SECONDS = 0.25
# What is written at once, or dropped at once by a full disk.
_WRITE_ROWS = 500
# Kubernetes kills 30 seconds after SIGTERM, `endpoint.py` 25: 20 are for requests in flight.
_CLOSE_SECONDS = 4.0
_HASHED_BYTES = 8


class WatchedMetrics(LogMetrics, Protocol):
    """Counts rows, and shows queue and spool at each scrape."""

    def watch(self, queue_rows: Callable[[], int], spool_bytes: Callable[[], int]) -> None:
        """Show these two numbers on /metrics."""


class PredictionLog:
    """The log of one served model."""

    def __init__(
        self,
        header: SegmentHeader,
        spool: Spool,
        uploader: Uploader | None,
        metrics: WatchedMetrics,
        *,
        is_synced: bool = False,
    ) -> None:
        """Start the threads; without an uploader rows stay in the spool, and a synced log says when they are."""
        self._is_synced = is_synced
        self._waiting: list[Future[None]] = []
        self._guard = Lock()
        self._wake = Event()
        self._sampling_ratio = header.sampling_ratio
        self._writer = LineWriter(header)
        self._spool = spool
        self._uploader = uploader
        self._metrics = metrics
        self._queue: deque[bytes] = deque()
        self._has_failed = False
        self._closing = Event()
        metrics.watch(lambda: len(self._queue), lambda: spool.size_bytes)
        self._thread = Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()
        if uploader:
            uploader.start()

    def add(self, request_id: str, rows: Sequence[Row], predictions: Sequence[Prediction]) -> "Future[None] | None":
        """Log the rows of one request, or count them as dropped: never an error, never a wait.

        Returns:
            Of a synced log what is done when the rows are on the disk, and fails with a `NotLoggedError` when they
            cannot be; else None.
        """
        if not is_sampled(request_id, self._sampling_ratio):
            self._metrics.count("sampled_out", len(rows))
            return None
        written: Future[None] | None = Future() if self._is_synced else None
        try:
            lines = self._writer.write(request_id, rows, predictions, time.time())
        except Exception:
            lines = []
            if not self._has_failed:
                logger.exception("prediction log: rows that cannot be written are dropped")
            self._has_failed = True
        if not lines or len(self._queue) + len(lines) > _QUEUE_ROWS:
            self._metrics.count("dropped", len(rows))
            if written is not None:
                written.set_exception(_not_logged())
            return written
        if written is None:
            self._queue.extend(lines)
            return None
        with self._guard:
            self._queue.extend(lines)
            self._waiting.append(written)
        self._wake.set()
        return written

    def close(self, seconds: float = _CLOSE_SECONDS) -> None:
        """Spool what is queued, store what is spooled as far as time allows, and end."""
        until = time.monotonic() + seconds
        self._closing.set()
        self._wake.set()
        self._thread.join(seconds)
        if self._uploader is None or self._uploader.stop(max(0.0, until - time.monotonic())):
            self._spool.release()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(_DRAIN_SECONDS)
            self._wake.clear()
            try:
                self._drain()
                self._spool.close_due()
            except Exception:
                logger.exception("prediction log: writing failed, and goes on")
        self._drain()
        self._spool.close_segment()

    def _drain(self) -> None:
        """Write all that is queued; what the spool does not take is dropped."""
        with self._guard:
            waiting, requests, self._waiting = len(self._queue), self._waiting, []
        is_whole = True
        while waiting:
            lines = [self._queue.popleft() for _ in range(min(waiting, _WRITE_ROWS))]
            waiting -= len(lines)
            is_written = self._spool.append(lines)
            is_whole &= is_written
            self._metrics.count("spooled" if is_written else "dropped", len(lines))
        for request in requests:
            # A part that was written is repeated by the caller under the same key, and counts once.
            request.set_result(None) if is_whole else request.set_exception(_not_logged())


def _not_logged() -> NotLoggedError:
    return NotLoggedError("prediction log: the rows must be on the disk before the answer, but it takes none.")


def is_sampled(request_id: str, ratio: float) -> bool:
    """Decide whether a request is logged: the same for the same id, in every process."""
    if ratio >= 1:
        return True
    digest = hashlib.blake2b(request_id.encode(), digest_size=_HASHED_BYTES).digest()
    return int.from_bytes(digest, "big") < int(ratio * 2 ** (8 * _HASHED_BYTES))


def open_prediction_log(served: ServedModel, settings: Settings, metrics: WatchedMetrics) -> PredictionLog:
    """Start the log of a served model, and take over what an earlier process left.

    Raises:
        ContractError: a request column has the name of a column of the log.
    """
    problem = served.problem
    model = served.model
    header = SegmentHeader.of(
        served.task, model.features, served.lookup.view_names, served.version, model.policy.model_dump()
    )
    folder = settings.prediction_log_spool / problem.serving.endpoint
    limits = SpoolLimits(
        segment_seconds=settings.prediction_log_segment_seconds,
        segment_bytes=settings.prediction_log_segment_bytes,
        spool_bytes=settings.prediction_log_spool_bytes,
    )
    is_synced = settings.prediction_log == "synced"
    spool = Spool(folder, header.write, limits, is_synced=is_synced)
    uploader = None
    if settings.s3 is None:
        logger.warning("prediction log: no object store is set (TIDEMILL_S3_ENDPOINT): rows stay in the spool.")
    else:
        # The uploader itself tries again.
        uploader = Uploader(spool, ObjectStore(settings.s3, settings.bucket, attempts=1), metrics)
    return PredictionLog(header, spool, uploader, metrics, is_synced=is_synced)
