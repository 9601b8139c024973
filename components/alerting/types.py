"""One rule of an alert with every placeholder filled: a query, a comparison, a threshold, and the cases that prove it.

In: nothing. Out: what `alerts` builds from the alert files, and what the writers of Prometheus and Grafana rules, the
lint and the tests read. Alert files hold the durations of production; `Pace` turns them into those of a simulation.
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
# A rate needs two samples; with four intervals, one lost scrape still leaves three. An outage takes four as well.
_SCRAPES_OF_A_WINDOW = 4
# Prometheus passes new targets to its scrapers every 5 seconds: the first scrape is up to 6 seconds after its start.
_BLIND_SECONDS = 10.0


@dataclass(frozen=True)
class Pace:
    """How fast time passes: every duration of an alert is divided by `scale`."""

    scale: float = 1.0
    """1 in production; 52,560 simulates a year in ten minutes."""
    scrape_seconds: float = 15.0
    """Time between two scrapes, and between two evaluations; never shorter than this."""

    def scaled(self, seconds: float) -> float:
        """Return a duration at this pace."""
        return seconds / self.scale

    def hold(self, seconds: float) -> float:
        """Return how long a condition must hold: long enough that one lost scrape does not look like an outage."""
        return self.window(seconds)

    def hold_absent(self, seconds: float) -> float:
        """Return how long something must be absent: longer than the time until a new Prometheus scrapes its targets."""
        return max(self.hold(seconds), _BLIND_SECONDS)

    def window(self, seconds: float, multiple: int = 1) -> float:
        """Return the window of a rate, at least `multiple` times the shortest that holds enough scrapes.

        The longer of two windows takes a larger multiple, so that they stay different at any pace.
        """
        return max(seconds / self.scale, multiple * _SCRAPES_OF_A_WINDOW * self.scrape_seconds)


PRODUCTION = Pace()


@dataclass(frozen=True)
class Limit:
    """The origin of a threshold: fields of the contract, or a constant with its reason."""

    fields: tuple[str, ...]
    """Dotted names in the contract; the runbook names every one. Empty for a constant."""
    reason: str
    """How the threshold follows from the fields, or why it is a constant."""


@dataclass(frozen=True)
class Series:
    """Samples of one series: `start`, `start + step`, ... one a minute."""

    start: float
    step: float = 0.0


@dataclass(frozen=True)
class Case:
    """A state of the world in which the alert must fire, or must not. Time starts at 0, the epoch."""

    name: str
    fires: bool
    series: Mapping[str, Series]
    """By selector: `tidemill_monitoring_rows{problem="x"}`."""
    at_seconds: float


@dataclass(frozen=True)
class Alert:
    """One rule; rules of one name share the runbook and differ in `labels`."""

    name: str
    query: str
    """Instant PromQL; one series for each thing that can be at fault."""
    operator: Operator
    threshold: float
    limit: Limit
    wait_seconds: float
    """How long the condition must hold: `for`."""
    severity: Severity
    action: Action
    summary: str
    """Template: `{label.<name>}` is a label; `{count}`, `{score}`, `{ratio}` (0 to 1), `{multiple}` and `{duration}`
    (seconds) format the value of the query."""
    description: str
    """Template, as above."""
    dashboard: str
    """Name of the dashboard that shows the query."""
    problem: str
    labels: Mapping[str, str] = field(default_factory=dict)
    """Fixed labels beside those that all alerts have."""
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
        """The query with its comparison, as in a Prometheus rule."""
        return f"({self.query}) {self.operator} {write_threshold(self.threshold)}"

    @property
    def all_labels(self) -> dict[str, str]:
        """All labels of the rule."""
        own = {"problem": self.problem, "severity": self.severity, "action": self.action, "runbook": self.runbook}
        return {**own, **self.labels}


def write_threshold(number: float) -> str:
    """Format a number without loss and without needless digits: 0.62 -> `0.62`, 14.0 -> `14`."""
    return str(int(number)) if number == int(number) else repr(number)


def write_duration(seconds: float) -> str:
    """Format whole milliseconds as Prometheus and Grafana read them: 3600 -> `1h`, 0.4 -> `400ms`."""
    milliseconds = round(seconds * 1000)
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"
