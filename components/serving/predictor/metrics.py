"""Count and time what the predictor answers, beside KServe's own histograms on /metrics.

In: events of `routes`, `server` and the prediction log. Out: series in prometheus_client's default registry, which
KServe shows. Labels are the problem, the model version and names of the contract, never an id of a request. Probes of
health are not counted. Series start at zero, so that a rate is right from the first event.
"""

import collections
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from components.base.task import OutputSeries
from components.serving.predictor.model import Prediction, ServedModel

_REQUESTS = Counter(
    "tidemill_predictor_requests", "Prediction requests by protocol and HTTP status", ["problem", "protocol", "code"]
)
_IN_FLIGHT = Gauge("tidemill_predictor_in_flight_requests", "Prediction requests that are being answered", ["problem"])
_ROWS = Counter("tidemill_predictor_rows", "Rows predicted", ["problem", "model_version"])
_MISSING = Counter(
    "tidemill_predictor_missing_features", "Rows predicted with the feature missing", ["problem", "feature"]
)
# A lookup takes 0.05 to 10 ms; what is slower than a tenth of a second is an outage.
_LOOKUP_EDGES = (5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.5)
_LOOKUP_SECONDS = Histogram(
    "tidemill_predictor_lookup_seconds",
    "Time of the lookup of one request's features",
    ["problem"],
    buckets=_LOOKUP_EDGES,
)
_MISSES = Counter(
    "tidemill_predictor_lookup_misses", "Rows whose entity is unknown to the online store", ["problem", "view"]
)
_EXPIRED = Counter(
    "tidemill_predictor_lookup_expired", "Rows whose values are older than the view's time to live", ["problem", "view"]
)
_DECISIONS = Counter("tidemill_predictor_decisions", "Rows by decision", ["problem", "model_version", "decision"])
_COMPILED = Gauge(
    "tidemill_predictor_compiled", "1 when the compiled model serves, 0 for the pipeline", ["problem", "model_version"]
)
_MODEL_INFO = Gauge("tidemill_predictor_model_info", "The model that serves: 1", ["problem", "model_version", "form"])
_LOG_ROWS = Counter("tidemill_prediction_log_rows", "Rows by what became of them in the log", ["problem", "outcome"])
_LOG_QUEUE = Gauge("tidemill_prediction_log_queue_rows", "Rows that wait for the local disk", ["problem"])
_LOG_SPOOL = Gauge("tidemill_prediction_log_spool_bytes", "Bytes that wait for the object store", ["problem"])
_OUTCOMES = ("spooled", "dropped", "sampled_out", "stored")
# Each is a series of its own, in every process; beyond them decisions are not counted.
_MAXIMUM_DECISION_VALUES = 50
# Shares of the contract's p99, itself an edge: 1 ms to 2 s for a limit of 50.
_SHARES_OF_P99 = (0.02, 0.05, 0.1, 0.2, 0.5, 0.75, 1, 1.5, 2, 4, 10, 40)


class PredictorMetrics:
    """The series of one served model."""

    def __init__(self, served: ServedModel) -> None:
        """Start the series."""
        problem, version = served.problem.name, served.version
        self._problem = problem
        self._requests: dict[tuple[str, int], Counter] = {}
        seconds = _request_seconds(served.problem.serving.p99_milliseconds)
        self._seconds = {protocol: seconds.labels(problem, protocol) for protocol in ("v1", "v2")}
        self._in_flight = _IN_FLIGHT.labels(problem)
        self._rows = _ROWS.labels(problem, version)
        self._missing = {name: _MISSING.labels(problem, name) for name in served.feature_names}
        self._misses = {view: _MISSES.labels(problem, view) for view in served.lookup.view_names}
        self._expired = {view: _EXPIRED.labels(problem, view) for view in served.lookup.view_names}
        columns = served.task.output_columns
        self._outputs = [
            (columns.index(series.column), _output_histogram(series).labels(problem, version))
            for series in served.task.output_series
        ]
        self._decisions = {
            decision: _DECISIONS.labels(problem, version, str(decision).lower())
            for decision in served.task.decision_values[:_MAXIMUM_DECISION_VALUES]
        }
        self.observe_lookup = _LOOKUP_SECONDS.labels(problem).observe
        _COMPILED.labels(problem, version).set(served.scorer.is_compiled)
        _MODEL_INFO.labels(problem, version, "compiled" if served.scorer.is_compiled else "pipeline").set(1)

    def begin_request(self) -> None:
        """Count a prediction request as in flight."""
        self._in_flight.inc()

    def end_request(self) -> None:
        """Count it as gone, however it ended."""
        self._in_flight.dec()

    def count_request(self, protocol: str, code: int, seconds: float) -> None:
        """Count one answered request; `protocol` is v1 or v2."""
        key = (protocol, code)
        if key not in self._requests:
            self._requests[key] = _REQUESTS.labels(self._problem, protocol, str(code))
        self._requests[key].inc()
        self._seconds[protocol].observe(seconds)

    def count_predictions(self, predictions: Sequence[Prediction]) -> None:
        """Count the rows of one request."""
        self._rows.inc(len(predictions))
        _count(self._missing, itertools.chain.from_iterable(row.missing_features for row in predictions))
        _count(self._expired, itertools.chain.from_iterable(row.looked_up.expired for row in predictions))
        _count(
            self._misses,
            (view for row in predictions for view, age in row.looked_up.ages.items() if age is None),
        )
        _count(self._decisions, (row.decision for row in predictions if row.decision in self._decisions))
        for column, histogram in self._outputs:
            for row in predictions:
                histogram.observe(row.output[column])


class PredictionLogMetrics:
    """The series of the prediction log."""

    def __init__(self, problem: str) -> None:
        """Start the series."""
        self._problem = problem
        self._rows = {outcome: _LOG_ROWS.labels(problem, outcome) for outcome in _OUTCOMES}

    def count(self, outcome: str, rows: int) -> None:
        """Count rows as spooled, dropped, sampled_out or stored."""
        self._rows[outcome].inc(rows)

    def watch(self, queue_rows: Callable[[], int], spool_bytes: Callable[[], int]) -> None:
        """Read these two numbers at each scrape."""
        _LOG_QUEUE.labels(self._problem).set_function(queue_rows)
        _LOG_SPOOL.labels(self._problem).set_function(spool_bytes)


@lru_cache
def _request_seconds(p99_milliseconds: float) -> Histogram:
    """Make the histogram with the contract's limit as an edge; a process serves one contract."""
    return Histogram(
        "tidemill_predictor_request_seconds",
        "Time from a prediction request's headers to its answer",
        ["problem", "protocol"],
        buckets=[share * p99_milliseconds / 1000 for share in _SHARES_OF_P99],
    )


@lru_cache
def _output_histogram(series: OutputSeries) -> Histogram:
    """Make the histogram of one output column; prometheus_client allows one of a name."""
    return Histogram(series.name, series.description, ["problem", "model_version"], buckets=series.edges)


def _count(counters: Mapping[Any, Counter], names: Iterable[Any]) -> None:
    for name, rows in collections.Counter(names).items():
        counters[name].inc(rows)
