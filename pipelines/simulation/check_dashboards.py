"""Run every query of every dashboard in Prometheus over the simulated half year, as Grafana would.

In: running observers that hold the series of a simulation. Out: one `PanelResult` per query: the number of series, or
the error of Prometheus. Called at the end of a simulation: it finds a panel that queries a series nothing exports.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from components.alerting.grafana.dashboards import dashboard_queries
from components.base.text.wording import join_words
from pipelines.simulation.observers import Observers

# As many points as a panel is wide.
_POINTS = 200
# Rates look back over four scrapes at least; a simulation scrapes each second.
_INTERVAL = "10s"


@dataclass(frozen=True)
class PanelResult:
    """What Prometheus answered to one query of a panel."""

    dashboard: str
    panel: str
    query: str
    series: int
    fault: str | None


def query_dashboards(observers: Observers, problem: str, seconds: float) -> list[PanelResult]:
    """Ask every query over the last `seconds`."""
    end = time.time()
    answers = []
    for one in dashboard_queries(problem, _INTERVAL):
        parameters: dict[str, str | float] = {
            "query": one.expr,
            "start": end - seconds,
            "end": end,
            "step": max(seconds / _POINTS, 1.0),
        }
        answer = httpx.get(f"{observers.prometheus_url}/api/v1/query_range", params=parameters, trust_env=False)
        body = answer.json()
        fault = None if body["status"] == "success" else str(body.get("error"))
        series = len(body["data"]["result"]) if fault is None else 0
        answers.append(PanelResult(one.dashboard, one.panel, one.expr, series, fault))
    return answers


def describe_panels(answers: Sequence[PanelResult]) -> str:
    """Say how the dashboards fared, and name the panels that stay empty or fail."""
    failed = [f"{answer.panel}: {answer.fault}" for answer in answers if answer.fault]
    empty = list(dict.fromkeys(answer.panel for answer in answers if not answer.fault and not answer.series))
    boards = len({answer.dashboard for answer in answers})
    text = f"{len(answers) - len(failed)} of {len(answers)} queries of {boards} dashboards were answered"
    if empty:
        text += f"; without any series: {join_words(empty)}"
    return text + (f". Faults: {'; '.join(failed)}" if failed else "")
