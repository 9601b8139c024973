"""The limits of a rollout: what Prometheus measured of a candidate beside the champion, as gates.

In: the candidate, the champion's version, and for how long the share has been in force. Out: one `Gate` a limit. Called
by the host of a cluster while a share soaks. Requests are told apart by version through `tidemill_predictor_model_info`
of the same pod, so that no label of a scrape configuration is relied on but `instance`.
"""

import itertools
import math
import time
from collections.abc import Iterator

from components.base.adapters.prometheus_api import SeriesValue, query_prometheus, read_number
from components.base.gate import Gate, limit_gate
from components.base.settings import Settings
from components.base.statistics.counts import population_stability_index
from components.serving.inference_service import ServedVersion

# Prometheus scrapes every 15 to 30 seconds: a shorter window holds one sample and no increase.
_MINIMUM_WINDOW_SECONDS = 60
# A scrape is stored under the time at which it began.
_LAG_SECONDS = 5.0


class RolloutLimits:
    """The measured limits of one candidate."""

    def __init__(self, candidate: ServedVersion, champion: str, settings: Settings) -> None:
        """Name both versions."""
        self._serving = candidate.problem.serving
        self._problem = candidate.problem.name
        self._versions = (candidate.version, champion)
        self._url = settings.prometheus_url
        self._namespace = settings.endpoint_namespace
        self._at = 0.0

    def read(self, percent: int, seconds: float) -> list[Gate]:
        """Compare what was measured in the last `seconds`, at a share of the requests, with the contract's limits.

        Raises:
            TransientError: Prometheus does not answer.
        """
        if self._url is None:
            return []
        # One time for all queries: between two of them a scrape may come, and their ratio is of different rows.
        self._at = time.time() - _LAG_SECONDS
        window = f"{max(math.ceil(seconds), _MINIMUM_WINDOW_SECONDS)}s"
        return list(self._read(f"at {percent} %", window))

    def _read(self, where: str, window: str) -> Iterator[Gate]:
        candidate, champion = self._versions
        limits = self._serving.rollout
        rows = self._sum("tidemill_predictor_rows_total", window, candidate)
        failed = self._sum("tidemill_predictor_requests_total", window, candidate, ',code=~"5.."')
        requests = self._sum("tidemill_predictor_requests_total", window, candidate)
        share = failed / requests if requests else math.nan
        words = f"{where}, {requests:.0f} requests: {{}} of them were answered with 5xx (limit {{}})."
        yield _gate("error_ratio", share, limits.maximum_error_ratio, words)
        p99 = 1000 * self._number(
            f"histogram_quantile(0.99, sum by (le) ("
            f"{self._increase('tidemill_predictor_request_seconds_bucket', window, candidate)}))"
        )
        slow = f"{where}, {requests:.0f} requests: 99 of 100 took at most {{}} ms in the predictor (limit {{}})."
        yield _gate("canary_p99_milliseconds", p99, self._serving.p99_milliseconds, slow)
        rise, feature = self._missing_rise(window)
        skewed = f"{where}, {rows:.0f} rows: {feature or 'no feature'} is missing {{}} more often (limit {{}})."
        yield _gate("missing_rise", rise, limits.maximum_missing_rise, skewed)
        for name in self._output_names():
            counts = [self._histogram(name, window, version) for version in (candidate, champion)]
            enough = all(sum(count) >= limits.minimum_rows for count in counts) and len(counts[0]) == len(counts[1])
            psi = population_stability_index(counts[1], counts[0]) if enough else math.nan
            shifted = f"{where}, {rows:.0f} rows: the PSI of {name} against the champion's is {{}} (limit {{}})."
            yield _gate("score_psi", psi, limits.maximum_score_psi, shifted)

    def _missing_rise(self, window: str) -> tuple[float, str]:
        """Return by how much the worst feature is missing more often than from the champion's rows, and its name."""
        ratios = []
        for version in self._versions:
            rows = self._sum("tidemill_predictor_rows_total", window, version)
            if rows < self._serving.rollout.minimum_rows:
                return math.nan, ""
            increase = self._increase("tidemill_predictor_missing_features_total", window, version)
            found = self._query(f"sum by (feature) ({increase})")
            ratios.append({sample.labels["feature"]: sample.value / rows for sample in found})
        candidate, champion = ratios
        rises = {name: ratio - champion.get(name, 0.0) for name, ratio in candidate.items()}
        worst = max(rises, key=lambda name: rises[name], default="")
        return rises.get(worst, math.nan), worst

    def _output_names(self) -> list[str]:
        """Return the histograms of outputs: they have the version, as every series of a pod may, and are no times."""
        own = f'problem="{self._problem}",model_version="{self._versions[0]}"'
        found = self._query(f'group by (__name__) ({{__name__=~"tidemill_predictor_.+_bucket",{own}}})')
        names = {sample.labels["__name__"].removesuffix("_bucket") for sample in found}
        return sorted(name for name in names if not name.endswith("_seconds"))

    def _histogram(self, name: str, window: str, version: str) -> list[float]:
        """Return the rows of each bin of a version's histogram."""
        samples = self._query(f"sum by (le) ({self._increase(f'{name}_bucket', window, version)})")
        cumulated = [0.0, *(sample.value for sample in sorted(samples, key=lambda sample: float(sample.labels["le"])))]
        return [max(later - earlier, 0.0) for earlier, later in itertools.pairwise(cumulated)]

    def _sum(self, metric: str, window: str, version: str, labels: str = "") -> float:
        found = self._number(f"sum({self._increase(metric, window, version, labels)})")
        return 0.0 if math.isnan(found) else found

    def _number(self, query: str) -> float:
        return read_number(self._url or "", query, self._at)

    def _query(self, query: str) -> list[SeriesValue]:
        return query_prometheus(self._url or "", query, self._at)

    def _increase(self, metric: str, window: str, version: str, labels: str = "") -> str:
        own = f'problem="{self._problem}",namespace=~"{self._namespace}|"'
        info = f'tidemill_predictor_model_info{{{own},model_version="{version}"}}'
        return f"increase({metric}{{{own}{labels}}}[{window}]) and on (instance) {info}"


def _gate(name: str, value: float, limit: float, words: str) -> Gate:
    """Build a gate that passes up to the limit; without a measurement nothing is judged: there may be no traffic."""
    if math.isnan(value):
        reason = words.format("not measured", limit)
        return Gate(name=name, verdict="not judged", value=None, limit=limit, reason=reason)
    reason = words.format(f"{value:.3g}", f"{limit:g}")
    return limit_gate(name, value, limit, reason)
