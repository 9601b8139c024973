"""Serve /metrics from what monitoring and pipelines wrote to the object store.

In: the object store and contracts. Out: HTTP on loopback; the port is printed. The exporter keeps no state and reads
everything again after a restart. Called as `python -m components.exporter --problem <contract>`.

Why no Pushgateway: it keeps a pushed value forever, so that a pipeline that died still looks alive, and it is one more
service that can fail between a result and its alert. Here the object store holds the truth, and unreadable values
disappear.

If the store does not answer, `tidemill_exporter_last_read_success` turns 0, the last values stay for
`Timing.expire_seconds`, and then they disappear. The alerts decide whether a value is too old to act on: they also
query `tidemill_monitoring_last_success_timestamp_seconds`.
"""

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from components.base.adapters.s3 import ObjectStore
from components.base.adapters.uvicorn import open_listener, read_address, serving_app
from components.base.contract.load import load_problem
from components.base.contract.problem import Problem
from components.base.errors import SettingsError, TidemillError
from components.base.metric_names import EXPORTER
from components.base.run_records import RunRecords
from components.base.settings import load_settings
from components.exporter.samples import Sample, sample_contract, sample_result, sample_runs
from components.monitoring.results import read_results

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Timing:
    """How often the store is read, and how long its last answer is shown."""

    refresh_seconds: float = 15.0
    """Prometheus scrapes every 15 seconds; results change once a day."""
    patience_seconds: float = 2.0
    """Longest time that a scrape waits for the store: well within Prometheus' timeout of 10 seconds."""
    expire_seconds: float = 3600.0
    """Longer than most outages of a store, because alerts end when their values disappear. After that, no number is
    better than an old one, and MonitoringStale fires."""


@dataclass(frozen=True)
class Exporter:
    """A running exporter."""

    port: int
    url: str
    """Address of the metrics."""


class ProblemReader:
    """Reads one problem in its own thread, so that a store that hangs does not block a scrape."""

    def __init__(self, problem: Problem, store: ObjectStore, timing: Timing) -> None:
        """Keep the arguments; the first scrape starts the first read."""
        self._problem = problem
        self._store = store
        self._timing = timing
        self._runs = RunRecords(store, problem.name)
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, f"read-{problem.name}")
        self._pending: Future[list[Sample]] | None = None
        self._tried_at = -float("inf")
        self._kept: list[Sample] = []
        self._kept_at: float | None = None
        self._succeeded = False

    @property
    def name(self) -> str:
        """The problem's name."""
        return self._problem.name

    def list_samples(self) -> Iterator[Sample]:
        """Yield the known samples, after at most `patience_seconds`."""
        with self._lock:
            self._refresh()
            kept, kept_at, succeeded = self._kept, self._kept_at, self._succeeded
        yield from sample_contract(self._problem)
        yield Sample("tidemill_exporter_last_read_success", float(succeeded))
        if kept_at is not None:
            yield Sample("tidemill_exporter_last_read_timestamp_seconds", kept_at)
            if time.time() - kept_at <= self._timing.expire_seconds:
                yield from kept

    def close(self) -> None:
        """End the thread without waiting for a read that hangs."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _refresh(self) -> None:
        """Start a read when one is due, and keep its answer if it comes in time."""

        def read() -> list[Sample]:
            newest = read_results(self._store, self.name, last=1)
            samples = [sample for result in newest for sample in sample_result(result)]
            return [*samples, *sample_runs(self._runs.read())]

        if self._pending is None:
            if time.monotonic() - self._tried_at < self._timing.refresh_seconds:
                return
            self._tried_at = time.monotonic()
            self._pending = self._pool.submit(read)
        pending = self._pending
        try:
            self._kept = pending.result(self._timing.patience_seconds)
            self._kept_at, self._succeeded, self._pending = time.time(), True, None
        except Exception as error:  # an unreadable problem must not hide the others
            self._succeeded = False
            # A read that is still running continues; a later scrape takes its answer.
            if pending.done():
                self._pending = None
                log.warning("metrics: %s cannot be read: %r", self.name, str(error)[:300])


class MonitoringCollector(Collector):
    """Builds the metrics of all problems; prometheus_client calls it at each scrape."""

    def __init__(self, readers: Sequence[ProblemReader]) -> None:
        """Keep the readers."""
        self._readers = readers

    def describe(self) -> Iterable[Metric]:
        """Describe nothing, because a description at registration would read the store."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every metric that has a sample."""
        families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
        for reader in self._readers:
            for sample in reader.list_samples():
                known = EXPORTER[sample.name]
                if sample.name not in families:
                    build = CounterMetricFamily if known.kind == "counter" else GaugeMetricFamily
                    families[sample.name] = build(sample.name, known.text, labels=("problem", *known.labels))
                labels = [sample.labels[label] for label in known.labels]
                families[sample.name].add_metric([reader.name, *labels], sample.value)
        yield from families.values()


@contextmanager
def running_exporter(
    problems: Sequence[Problem],
    store: ObjectStore,
    port: int = 0,
    host: str = "127.0.0.1",
    timing: Timing | None = None,
) -> Iterator[Exporter]:
    """Serve /metrics in this process while the block runs; port 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """
    readers = [ProblemReader(problem, store, timing or Timing()) for problem in problems]
    app = _build_app(readers)
    try:
        with open_listener(host, port) as listener, serving_app(app, listener):
            yield Exporter(listener.getsockname()[1], f"{read_address(listener)}/metrics")
    finally:
        for reader in readers:
            reader.close()


def _build_app(readers: Sequence[ProblemReader]) -> Starlette:
    registry = CollectorRegistry()
    registry.register(MonitoringCollector(readers))

    # In a thread of its own, because it waits for the store.
    def metrics(request: Request) -> Response:
        write, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(write(registry), headers={"content-type": content_type})

    return Starlette(routes=[Route(path, metrics) for path in ("/", "/metrics")])


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; return the exit code."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        problems = [load_problem(path) for path in options.problem]
        settings = load_settings()
        if settings.s3 is None:
            raise SettingsError(
                "metrics: TIDEMILL_S3_ENDPOINT must be set, but it is not. Set the address of the object store."
            )
    except TidemillError as error:
        log.error("%s", error)
        return 1
    # One attempt a request, because the next scrape tries again.
    store = ObjectStore(settings.s3, settings.bucket, attempts=1)
    # A scrape must not wait longer than the interval between two reads.
    patience = min(Timing.patience_seconds, options.refresh_seconds / 2)
    timing = Timing(options.refresh_seconds, patience, options.expire_seconds)
    # The first process of a container ignores SIGTERM unless it takes it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with running_exporter(problems, store, options.port, options.host, timing) as exporter:
            sys.stdout.write(f"metrics: {exporter.url}\n")
            sys.stdout.flush()
            threading.Event().wait()
    except OSError as error:
        log.error("metrics: port %d must be free, but got %s. Use --port 0 for a free one.", options.port, error)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m components.exporter",
        description="Serve the results of monitoring and pipelines as Prometheus metrics.",
    )
    parser.add_argument(
        "--problem", action="append", required=True, help="contract file; repeat it for several problems"
    )
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 in a pod")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port, which is printed")
    parser.add_argument("--refresh-seconds", type=float, default=Timing.refresh_seconds)
    parser.add_argument("--expire-seconds", type=float, default=Timing.expire_seconds)
    return parser.parse_args(arguments)
