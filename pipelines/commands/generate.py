"""Write what is generated from code: `make generate`; `--check` fails when a file is out of date (`make lint`).

In: the contracts and the code. Out: the contract's JSON Schema, and in `charts/tidemill/` the rules of Prometheus and
Grafana and the dashboards. Rules are linted before anything is written.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from rich.console import Console

from components.alerting.alerts import list_alerts
from components.alerting.grafana import rules as grafana_alerts
from components.alerting.grafana.dashboards import dashboard_queries, list_boards, render_dashboard
from components.alerting.prometheus_rules import render_rules
from components.alerting.rule_lint import lint_query, lint_rules
from components.base.contract.load import load_problem, problem_schema
from components.base.contract.problem import Problem
from components.base.errors import PermanentError, TidemillError, raise_faults

ROOT = Path(__file__).parents[2]
PROBLEMS = ROOT / "pipelines" / "problems"
CHART = ROOT / "charts" / "tidemill"
# Nothing but generated files lies in these: one that is not generated any more is out of date.
GENERATED_FOLDERS = ("alerts", "grafana", "dashboards")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check every generated file; return the exit code."""
    parser = argparse.ArgumentParser(prog="make generate")
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a file is out of date")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        problems = [load_problem(file) for file in sorted(PROBLEMS.glob("*.yaml"))]
        files = list_files(problems)
    except TidemillError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        return 1
    stale = find_stale(files)
    if not options.check:
        _write(files, stale)
        return 0
    for path in stale:
        console.print(f"{path.relative_to(ROOT)}: must equal what the code says, but differs. Run `make generate`.")
    return 1 if stale else 0


def list_files(problems: Sequence[Problem]) -> dict[Path, str]:
    """Return the content of every generated file.

    Raises:
        PermanentError: a rule or a query breaks the lint.
    """
    grafana = CHART / "grafana"
    files = {
        PROBLEMS / "problem.schema.json": problem_schema(),
        grafana / "alerting" / "contact-points.yaml": grafana_alerts.render_contact_points(),
        grafana / "alerting" / "policies.yaml": grafana_alerts.render_policies(),
        grafana / "datasources" / "prometheus.yaml": grafana_alerts.render_datasource(),
        grafana / "dashboards" / "tidemill.yaml": grafana_alerts.render_dashboard_provider(),
    }
    for problem in problems:
        alerts = list_alerts(problem)
        rules = grafana_alerts.render_alert_rules(problem.name, alerts)
        _lint(problem, rules)
        files[CHART / "alerts" / f"{problem.name}.rules.yaml"] = render_rules(problem.name, alerts)
        files[grafana / "alerting" / f"{problem.name}.rules.yaml"] = rules
    return files | {CHART / "dashboards" / f"{board.name}.json": render_dashboard(board) for board in list_boards()}


def find_stale(files: Mapping[Path, str]) -> list[Path]:
    """Return the files that differ from what they should hold, are missing, or are generated no more."""
    differing = [path for path, content in files.items() if not path.is_file() or path.read_text() != content]
    present = [path for name in GENERATED_FOLDERS for path in (CHART / name).rglob("*") if path.is_file()]
    return sorted([*differing, *(path for path in present if path not in files)])


def _lint(problem: Problem, rules: str) -> None:
    raise_faults(PermanentError, f"alerts of {problem.name}", lint_rules(yaml.safe_load(rules)))
    queries = dashboard_queries(problem.name)
    faults = [f"{query.dashboard}/{query.panel}: {fault}" for query in queries for fault in lint_query(query.expr)]
    raise_faults(PermanentError, "dashboards", faults)


def _write(files: Mapping[Path, str], stale: Sequence[Path]) -> None:
    for path in stale:
        if path not in files:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path])


if __name__ == "__main__":
    sys.exit(main())
