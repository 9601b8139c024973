"""What a dashboard is, in data: rows of panels, each with its queries, unit and limit.

In: nothing. Out: the shapes that the four dashboards are written in. `dashboard_panels` turns them into Grafana's
JSON, the loop executes their queries, the tests check both. `$problem` and `$__rate_interval` are filled in by
Grafana.
"""

from dataclasses import dataclass
from typing import Literal

from components.alerting.promql import select

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
    """One question that is answered by a picture or a number."""

    title: str
    description: str
    """What it shows, and what to think when it is high or low."""
    unit: str
    """One of Grafana's units: `percentunit`, `s`, `reqps`, `short`, ..."""
    queries: tuple[Query, ...]
    limit: str | None = None
    """Query of the contract's limit, drawn as a dashed red line named `limit`."""
    bad_from: float | None = None
    """Red from here on, where the limit is no number of the contract."""
    bad_below: float | None = None
    """Red below here."""
    kind: PanelKind = "timeseries"
    width: int = 12
    """Of 24."""


@dataclass(frozen=True)
class Row:
    """Panels that answer one question together."""

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


def own(name: str, **labels: str) -> str:
    """Write a selector of the chosen problem."""
    return select(name, problem="$problem", **labels)


def per_second(name: str, by: str, **labels: str) -> str:
    """Write the rate of a counter in the chosen interval."""
    return f"sum by ({by}) (rate({own(name, **labels)}[{INTERVAL}]))"


def quantile(level: float, histogram: str) -> str:
    """Write a quantile of a histogram in the chosen interval."""
    return f"histogram_quantile({level}, {per_second(f'{histogram}_bucket', 'le')})"


def newest(name: str, by: str = "problem", **labels: str) -> str:
    """Write a gauge of the exporter, whose replicas say the same."""
    return f"max by ({by}) ({own(name, **labels)})"


def contract(field: str) -> str:
    """Write a number of the contract."""
    return newest("tidemill_contract_limit", field=field)
