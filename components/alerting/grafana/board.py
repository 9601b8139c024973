"""A dashboard as data: rows of panels, each with its queries, unit and limit.

In: nothing. Out: the shapes and helpers of the four dashboards. `panels` turns them into Grafana's JSON, the simulation
runs their queries, the tests check both. Grafana replaces `$problem` and `$__rate_interval`.
"""

from dataclasses import dataclass, replace
from typing import Literal, Self

from components.alerting.promql import greatest, select

PanelKind = Literal["timeseries", "stat"]
INTERVAL = "$__rate_interval"


@dataclass(frozen=True)
class Query:
    """One line, or several, of a panel."""

    expr: str
    legend: str
    """Text with `{{label}}`."""


@dataclass(frozen=True)
class Panel:
    """One question, answered by a picture or a number."""

    kind: PanelKind
    title: str
    queries: tuple[Query, ...]
    unit: str
    """One of Grafana's units: `percentunit`, `s`, `reqps`, `short`, ..."""
    width: int
    """Of 24."""
    limit: str | None
    """Query of the contract's limit, drawn as a dashed red line named `limit`."""
    bad_from: float | None
    """Red from here on, where the limit is not a number of the contract."""
    bad_below: float | None
    """Red below here."""
    description: str = ""
    """What it shows, and what a high or a low value means."""

    def explain(self, description: str) -> Self:
        """Return the panel with its description."""
        return replace(self, description=description)


@dataclass(frozen=True)
class Row:
    """Panels that belong together."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Board:
    """One dashboard."""

    name: str
    """File name, and `dashboard` of the alerts."""
    title: str
    description: str
    rows: tuple[Row, ...]


def series(
    title: str,
    *queries: Query,
    unit: str = "short",
    width: int = 12,
    limit: str | None = None,
    bad_from: float | None = None,
) -> Panel:
    """Build a panel of lines over time."""
    return Panel("timeseries", title, queries, unit, width, limit, bad_from, None)


def stat(
    title: str,
    *queries: Query,
    unit: str = "short",
    width: int = 12,
    bad_from: float | None = None,
    bad_below: float | None = None,
) -> Panel:
    """Build a panel of the newest numbers."""
    return Panel("stat", title, queries, unit, width, None, bad_from, bad_below)


def gauge(name: str, legend: str, by: str = "problem", **labels: str) -> Query:
    """Build the query of a gauge of the exporter."""
    return Query(newest(name, by, **labels), legend)


def gauge_by(name: str, label: str) -> Query:
    """Build the query of a gauge of the exporter: one line for each value of the label, named by it."""
    return gauge(name, f"{{{{{label}}}}}", label)


def total(name: str, legend: str, by: str = "problem", **labels: str) -> Query:
    """Build the query of the sum over all replicas of a service."""
    return Query(f"sum by ({by}) ({own(name, **labels)})", legend)


def own(name: str, **labels: str) -> str:
    """Format a selector of the chosen problem."""
    return select(name, problem="$problem", **labels)


def per_second(name: str, by: str, **labels: str) -> str:
    """Format the rate of a counter in the chosen interval."""
    return f"sum by ({by}) (rate({own(name, **labels)}[{INTERVAL}]))"


def quantile(level: float, histogram: str) -> str:
    """Format a quantile of a histogram in the chosen interval."""
    return f"histogram_quantile({level}, {per_second(f'{histogram}_bucket', 'le')})"


def newest(name: str, by: str = "problem", **labels: str) -> str:
    """Format a gauge of the exporter; all of its replicas show the same value."""
    return greatest(own(name, **labels), by)


def contract(field: str) -> str:
    """Format a number of the contract."""
    return newest("tidemill_contract_limit", field=field)
