"""Expose the governor on /metrics: its rulings, its runs, what is left of the budget.

In: the database at each scrape, and the results of notifications. Out: Prometheus text. Rulings and runs are counted
from the database, so that a restart neither resets nor doubles them. Labels are never an id.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from components.base.contract.problem import Problem
from components.base.errors import RulingsUnavailableError
from components.governor.archive import Archive
from components.governor.rule import count_left
from components.governor.store import RulingStore

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_RESULTS = (
    "accepted",
    "duplicate",
    "cleared",
    "late",
    "no_data",
    "no_retraining",
    "unknown_problem",
    "not_listed",
    "malformed",
    "truncated",
    "refused",
)
_OUTCOMES = ("promoted", "held", "refused", "failed")


class GovernorMetrics:
    """The series of one governor."""

    def __init__(
        self,
        problems: Mapping[str, Problem],
        archive: Archive,
        store: RulingStore,
        read_now: Callable[[], datetime],
    ) -> None:
        """Create the series, all at zero, so that a rate is right from the first event."""
        self._problems, self._archive, self._store, self._read_now = problems, archive, store, read_now
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._received = Counter(
            "tidemill_governor_alerts_received",
            "Alerts received by result; `refused` counts notifications",
            ["result"],
            registry=self._registry,
        )
        for result in _RESULTS:
            self._received.labels(result)

    def count_received(self, results: Sequence[str], truncated: int = 0) -> None:
        """Count the alerts of one notification."""
        for result in results:
            self._received.labels(result).inc()
        self._received.labels("truncated").inc(truncated)

    def describe(self) -> Iterator[Metric]:
        """Keep prometheus_client from reading the database at registration."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield what the database holds; without a database, only that it does not answer."""
        up = GaugeMetricFamily("tidemill_governor_database_up", "1 when the governor's database answers")
        try:
            families = list(self._read_families())
            up.add_metric([], 1)
        except RulingsUnavailableError:
            families = []
            up.add_metric([], 0)
        yield from [up, *families]

    def render(self) -> bytes:
        """Return all series as Prometheus text."""
        return generate_latest(self._registry)

    def _read_families(self) -> Iterator[Metric]:
        rulings = CounterMetricFamily(
            "tidemill_governor_rulings", "Rulings and their changes", labels=["problem", "choice", "reason"]
        )
        for labels, count in self._archive.count_rulings().items():
            rulings.add_metric(labels, count)
        runs = CounterMetricFamily("tidemill_governor_runs", "Training runs by outcome", labels=["problem", "outcome"])
        counted, escalated = self._archive.count_runs(), self._archive.count_escalations()
        in_flight = _gauge("run_in_flight", "1 while a training run is planned or running")
        started = _gauge("run_started_timestamp_seconds", "Start of the run in flight; absent without one")
        left = _gauge("budget_left", "Runs that the daily budget (UTC) still allows")
        paused = _gauge("paused", "1 while retraining is paused")
        escalations = _gauge("escalations", "Escalated episodes that wait for a person")
        for problem, contract in self._problems.items():
            for outcome in _OUTCOMES:
                runs.add_metric([problem, outcome], counted.get((problem, outcome), 0))
            ledger, found = self._store.read_ledger(problem), self._store.find_in_flight(problem)
            left.add_metric([problem], count_left(ledger.runs, contract.retraining, self._read_now()))
            paused.add_metric([problem], ledger.paused_by is not None)
            in_flight.add_metric([problem], found is not None)
            if found:
                started.add_metric([problem], found[1].timestamp())
            escalations.add_metric([problem], escalated.get(problem, 0))
        yield from (rulings, runs, in_flight, started, left, paused, escalations)


def _gauge(name: str, words: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"tidemill_governor_{name}", words, labels=["problem"])
