"""Count what the predictor answers, beside KServe's own histograms on /metrics.

In: events of `routes` and `predictor`. Out: series in prometheus_client's default registry, that KServe shows.
Labels are the problem and the model version, never an id of a request.
"""

import collections
import itertools
from collections.abc import Iterable, Sequence

from prometheus_client import Counter, Gauge

_REQUESTS = Counter(
    "tidemill_predictor_requests", "Prediction requests by protocol and HTTP status", ["problem", "protocol", "code"]
)
_ROWS = Counter("tidemill_predictor_rows", "Rows predicted", ["problem", "model_version"])
_MISSING = Counter(
    "tidemill_predictor_missing_features", "Rows predicted with the feature missing", ["problem", "feature"]
)
_COMPILED = Gauge(
    "tidemill_predictor_compiled", "1 when the compiled model serves, 0 for the pipeline", ["problem", "model_version"]
)


class PredictorMetrics:
    """The counters of one served model."""

    def __init__(self, problem: str, version: str, features: Iterable[str], is_compiled: bool) -> None:
        """Start the series, all at zero, so that a rate is right from the first event."""
        self._problem = problem
        self._rows = _ROWS.labels(problem, version)
        self._missing = {feature: _MISSING.labels(problem, feature) for feature in features}
        self._requests: dict[tuple[str, int], Counter] = {}
        _COMPILED.labels(problem, version).set(is_compiled)

    def count_request(self, protocol: str, code: int) -> None:
        """Count one answered request; `protocol` is v1 or v2."""
        key = (protocol, code)
        if key not in self._requests:
            self._requests[key] = _REQUESTS.labels(self._problem, protocol, str(code))
        self._requests[key].inc()

    def count_rows(self, missing: Sequence[Sequence[str]]) -> None:
        """Count predicted rows, given the missing features of each."""
        self._rows.inc(len(missing))
        for name, rows in collections.Counter(itertools.chain.from_iterable(missing)).items():
            self._missing[name].inc(rows)
