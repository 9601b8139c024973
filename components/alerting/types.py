"""What an alert is, in data: one query, one comparison, one threshold, and the cases that prove it.

In: nothing. Out: the shapes that the alerts are written in and that the generators of Prometheus and Grafana rules,
the lint, the runbooks' tests and the rule tests read. All durations are of production; `Pace` turns them into those
of a replay.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Operator = Literal[">", "<"]
Severity = Literal["page", "ticket"]
Action = Literal["retrain", "none"]

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR
# A rate needs two samples; with four intervals one lost scrape still leaves three. Outages take four as well.
_SCRAPES_OF_A_WINDOW = 4
# Prometheus hands new targets to its scrapers every 5 seconds: the first scrape comes up to 6 seconds after its start.
_BLIND_SECONDS = 10.0


@dataclass(frozen=True)
class Pace:
    """How fast time goes: every duration of an alert is divided by `scale`."""

    scale: float = 1.0
    """1 in production; 52,560 plays a year in ten minutes."""
    scrape_seconds: float = 15.0
    """Time between two scrapes, and between two evaluations; never shorter than this."""

    def scaled(self, seconds: float) -> float:
        """Return how long something takes at this pace."""
        return seconds / self.scale

    def hold(self, seconds: float) -> float:
        """Return how long a condition must hold: never so short that one lost scrape looks like an outage."""
        return self.window(seconds)

    def hold_absent(self, seconds: float) -> float:
        """Return how long something must be absent: longer than a Prometheus that has just started is blind."""
        return max(self.hold(seconds), _BLIND_SECONDS)

    def window(self, seconds: float, multiple: int = 1) -> float:
        """Return the window of a rate, at least `multiple` times the shortest that holds enough scrapes.

        Of two windows the longer asks for a larger multiple, so that they stay two when both are scaled away.
        """
        return max(seconds / self.scale, multiple * _SCRAPES_OF_A_WINDOW * self.scrape_seconds)


PRODUCTION = Pace()


@dataclass(frozen=True)
class Limit:
    """Where a threshold comes from: a field of the contract, or a constant with its reason."""

    fields: tuple[str, ...]
    """Dotted names in the contract; the runbook names every one. Empty for a constant."""
    reason: str
    """How the threshold follows from the fields, or why the contract cannot have it."""


@dataclass(frozen=True)
class Series:
    """Samples of one series: `start`, `start + step`, ... one a minute."""

    start: float
    step: float = 0.0


@dataclass(frozen=True)
class Case:
    """A world in which the alert must fire, or must not. Time starts at 0, the epoch."""

    name: str
    fires: bool
    series: Mapping[str, Series]
    """By selector: `tidemill_monitoring_rows{problem="x"}`."""
    at_seconds: float


@dataclass(frozen=True)
class Alert:
    """One rule; rules of one name share the runbook and differ in `labels`."""

    name: str
    meaning: str
    """One line."""
    query: str
    """Instant PromQL; one series for each thing that is judged."""
    operator: Operator
    threshold: float
    limit: Limit
    wait_seconds: float
    """How long it must hold: `for`."""
    severity: Severity
    action: Action
    summary: str
    """Template: `{label.<name>}` is a label, and the value of the query is `{count}`, `{score}`, `{ratio}` (0 to 1),
    `{multiple}` or `{duration}` (seconds), whichever reads best."""
    description: str
    """Template, as above."""
    dashboard: str
    """Name of the dashboard that shows it."""
    problem: str
    labels: Mapping[str, str] = field(default_factory=dict)
    """Beside those that all alerts have; a fixed text each."""
    cases: tuple[Case, ...] = ()

    @property
    def key(self) -> str:
        """The name, unique among all rules of a problem."""
        return "-".join([self.name, *self.labels.values()])

    @property
    def runbook(self) -> str:
        """Path of the runbook in the repository."""
        return f"charts/tidemill/runbooks/{self.name}.md"

    @property
    def condition(self) -> str:
        """The query with its comparison, as Prometheus evaluates it."""
        return f"({self.query}) {self.operator} {write_threshold(self.threshold)}"

    @property
    def all_labels(self) -> dict[str, str]:
        """Every label that the rule sets."""
        own = {"problem": self.problem, "severity": self.severity, "action": self.action, "runbook": self.runbook}
        return {**own, **self.labels}


def write_threshold(number: float) -> str:
    """Write a number without loss and without needless digits: 0.62 -> `0.62`, 14.0 -> `14`."""
    return str(int(number)) if number == int(number) else repr(number)


def write_duration(seconds: float) -> str:
    """Write whole milliseconds as Prometheus and Grafana read them: 3600 -> `1h`, 0.4 -> `400ms`."""
    milliseconds = round(seconds * 1000)
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"
