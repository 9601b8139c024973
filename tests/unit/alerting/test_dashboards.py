"""The dashboards: readable by Grafana's own models, no panel over another, every query of something exported."""

import itertools
import json

import pytest

from components.alerting.alerts import list_alerts
from components.alerting.grafana.dashboards import dashboard_queries, list_boards
from components.alerting.grafana.panels import build_dashboard, reread_dashboard
from components.alerting.rule_lint import lint_query
from components.base.contract.limits import list_limits
from tests.unit.alerting.watched import PROBLEM, ROOT

BOARDS = list_boards()
PANELS = [(board, panel) for board in BOARDS for row in board.rows for panel in row.panels]
FOLDER = ROOT / "charts" / "tidemill" / "dashboards"


def committed(board):
    return json.loads((FOLDER / f"{board.name}.json").read_text())


def test_there_are_the_four_dashboards_that_alerts_point_to():
    names = {board.name for board in BOARDS}
    assert names == {"serving", "model", "pipelines", "retraining"}
    assert {alert.dashboard for alert in list_alerts(PROBLEM)} == names


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_grafanas_models_know_every_field(board):
    assert reread_dashboard(committed(board)) == committed(board)
    assert reread_dashboard({**committed(board), "notAField": 1}) == committed(board)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_ids_are_unique_and_no_panel_covers_another(board):
    panels = committed(board)["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids)
    assert 0 not in ids
    cells = [
        (x, y)
        for grid in (panel["gridPos"] for panel in panels)
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_row_of_panels_fills_the_width(board):
    panels = [panel for panel in committed(board)["panels"] if panel["type"] != "row"]
    for _, line in itertools.groupby(panels, key=lambda panel: panel["gridPos"]["y"]):
        assert sum(panel["gridPos"]["w"] for panel in line) == 24


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_panel_asks_the_chosen_data_source_and_names_its_lines(board):
    for panel in (panel for panel in committed(board)["panels"] if panel["type"] != "row"):
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == list("ABCDEFGH"[: len(letters)])
        for node in (panel, *panel["targets"]):
            assert node["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert all(target["legendFormat"] for target in panel["targets"])
        assert panel["fieldConfig"]["defaults"]["unit"]
    variables = {variable["name"]: variable["type"] for variable in committed(board)["templating"]["list"]}
    assert variables == {"datasource": "datasource", "problem": "query"}


def test_every_panel_says_what_it_shows_under_a_name_of_its_own():
    for board in BOARDS:
        titles = [panel.title for row in board.rows for panel in row.panels]
        assert len(set(titles)) == len(titles), board.name
    for _, panel in PANELS:
        assert panel.description.endswith("."), panel.title
        assert len(panel.description) > 15


def test_every_query_parses_and_asks_for_what_somebody_exports():
    queries = dashboard_queries("flight-delays")
    faults = [(query.panel, fault) for query in queries for fault in lint_query(query.expr)]
    assert faults == []
    assert len(queries) > 80
    assert not [query for query in queries if "$" in query.expr]


def test_queries_are_those_of_the_committed_panels():
    shown = {
        target["expr"]
        for board in BOARDS
        for panel in committed(board)["panels"]
        for target in panel.get("targets", [])
    }
    filled = {expr.replace("$__rate_interval", "5m").replace("$problem", "flight-delays") for expr in shown}
    assert {query.expr for query in dashboard_queries("flight-delays")} == filled


def test_every_limit_is_a_number_of_the_contract_or_of_the_result():
    limits = list_limits(PROBLEM)
    for _, panel in PANELS:
        for field in (panel.limit or "").split('field="')[1:]:
            assert field.split('"')[0] in limits, panel.title


def test_the_chosen_problem_is_in_every_query_that_can_tell_problems_apart():
    exempt = ("tidemill_governor_alerts_received_total",)
    for query in dashboard_queries("flight-delays"):
        assert 'problem="flight-delays"' in query.expr or any(name in query.expr for name in exempt), query


def test_a_dashboard_is_built_the_same_each_time():
    assert [build_dashboard(board) for board in list_boards()] == [committed(board) for board in BOARDS]
