"""The dashboards as code: what `make generate` writes to `charts/tidemill/dashboards/`, and the queries behind the
panels.

In: nothing. Out: JSON by name; every query with the variables filled in, so that the loop can execute each against the
Prometheus that holds its series. The dashboards are the same for all problems: limits come from the exporter.
"""

import json
from typing import NamedTuple

from components.alerting.grafana.board import INTERVAL, Board
from components.alerting.grafana.model import model_board
from components.alerting.grafana.panels import build_dashboard
from components.alerting.grafana.pipelines import pipelines_board, retraining_board
from components.alerting.grafana.serving import serving_board


class PanelQuery(NamedTuple):
    """One query of one panel, ready to be executed."""

    dashboard: str
    panel: str
    expr: str


def list_boards() -> list[Board]:
    """Return all dashboards."""
    return [serving_board(), model_board(), pipelines_board(), retraining_board()]


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
    """Fill in what Grafana would."""
    return expr.replace(INTERVAL, interval).replace("$problem", problem)
