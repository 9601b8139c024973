"""The files that are generated from code and contracts, and which of them are out of date.

In: the contracts and the code. Out: the contract's JSON Schema, and in `charts/tidemill/` the rules of Prometheus and
Grafana, the dashboards, and what values.yaml documents. Rules are linted before anything is written. Called by
`tidemill generate`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from components.alerting.alerts import list_alerts
from components.alerting.grafana import rules as grafana_alerts
from components.alerting.grafana.dashboards import dashboard_queries, list_boards, render_dashboard
from components.alerting.prometheus_rules import render_rules
from components.alerting.rule_lint import lint_query, lint_rules
from components.base.contract.load import load_problems, problem_schema
from components.base.errors import PermanentError, raise_faults
from pipelines.commands.chart_files import read_values, render_readme, render_schema

ROOT = Path(__file__).parents[2]
PROBLEMS = ROOT / "pipelines" / "problems"
CHART = ROOT / "charts" / "tidemill"
# Nothing but generated files lies in these: one that is not generated any more is out of date.
GENERATED_FOLDERS = ("alerts", "grafana", "dashboards")


def list_files() -> dict[Path, str]:
    """Return the content of every generated file.

    Raises:
        ContractError: a contract has faults.
        PermanentError: a rule or a query breaks the lint.
    """
    problems = load_problems(PROBLEMS)
    grafana = CHART / "grafana"
    values = read_values((CHART / "values.yaml").read_text(encoding="utf-8"))
    runbooks = [file.stem for file in sorted((CHART / "runbooks").glob("*.yaml"))]
    files = {
        PROBLEMS / "problem.schema.json": problem_schema(),
        CHART / "values.schema.json": render_schema(values),
        CHART / "README.md": render_readme(values, runbooks),
        grafana / "alerting" / "contact-points.yaml": grafana_alerts.render_contact_points(),
        grafana / "alerting" / "policies.yaml": grafana_alerts.render_policies(),
        grafana / "datasources" / "prometheus.yaml": grafana_alerts.render_datasource(),
        grafana / "dashboards" / "tidemill.yaml": grafana_alerts.render_dashboard_provider(),
    }
    for problem in problems.values():
        alerts = list_alerts(problem)
        rules = grafana_alerts.render_alert_rules(problem.name, alerts)
        raise_faults(PermanentError, f"alerts of {problem.name}", lint_rules(yaml.safe_load(rules)))
        queries = dashboard_queries(problem.name)
        faults = [f"{query.dashboard}/{query.panel}: {fault}" for query in queries for fault in lint_query(query.expr)]
        raise_faults(PermanentError, "dashboards", faults)
        files[CHART / "alerts" / f"{problem.name}.rules.yaml"] = render_rules(problem.name, alerts)
        files[grafana / "alerting" / f"{problem.name}.rules.yaml"] = rules
    return files | {CHART / "dashboards" / f"{board.name}.json": render_dashboard(board) for board in list_boards()}


def find_stale(files: Mapping[Path, str]) -> list[Path]:
    """Return the files that differ from what they should hold, are missing, or are generated no more."""
    differing = [path for path, content in files.items() if not path.is_file() or path.read_text() != content]
    present = [path for name in GENERATED_FOLDERS for path in (CHART / name).rglob("*") if path.is_file()]
    return sorted([*differing, *(path for path in present if path not in files)])


def write_files(files: Mapping[Path, str], stale: Sequence[Path]) -> None:
    """Write the stale files; remove those that are generated no more."""
    for path in stale:
        if path not in files:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path])
