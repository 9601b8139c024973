"""List the dashboards, render their JSON for `make generate`, and list the queries of their panels.

In: nothing. Out: JSON for `charts/tidemill/dashboards/`; every query with its variables replaced; the simulation
runs it on its Prometheus. The dashboards are the same for all problems, because the exporter shows the limits.
"""

import json
from typing import NamedTuple

from components.alerting.grafana.board import INTERVAL, Board
from components.alerting.grafana.model import MODEL_BOARD
from components.alerting.grafana.panels import build_dashboard
from components.alerting.grafana.pipelines import PIPELINES_BOARD, RETRAINING_BOARD
from components.alerting.grafana.serving import SERVING_BOARD


class PanelQuery(NamedTuple):
    """One query of one panel, ready to run."""

    dashboard: str
    panel: str
    expr: str


def list_boards() -> list[Board]:
    """Return all dashboards."""
    return [SERVING_BOARD, MODEL_BOARD, PIPELINES_BOARD, RETRAINING_BOARD]


def render_dashboard(board: Board) -> str:
    """Return the JSON of one dashboard."""
    return json.dumps(build_dashboard(board), indent=1, ensure_ascii=False) + "\n"


def dashboard_queries(problem: str, interval: str = "5m") -> list[PanelQuery]:
    """Return every query of every panel for a problem; rates look back over `interval`."""
    return [
        PanelQuery(board.name, panel.title, fill_variables(expr, problem, interval))
        for board in list_boards()
        for row in board.rows
        for panel in row.panels
        for expr in [*(query.expr for query in panel.queries), *([panel.limit] if panel.limit else [])]
    ]


def fill_variables(expr: str, problem: str, interval: str) -> str:
    """Replace the variables as Grafana does."""
    return expr.replace(INTERVAL, interval).replace("$problem", problem)
