"""The cases of the alerts as input of `promtool test rules`."""

from collections.abc import Sequence
from typing import Any

from components.alerting.prometheus_rules import dump_yaml
from components.alerting.types import Alert, Case, Series, write_duration

INTERVAL_SECONDS = 60


def render_rule_tests(rules_file: str, alerts: Sequence[Alert]) -> str:
    """Return the tests of a rule file: one for each case of each alert."""
    tests = [build_test(alert, case) for alert in alerts for case in alert.cases]
    return dump_yaml({"rule_files": [rules_file], "evaluation_interval": "1m", "tests": tests})


def build_test(alert: Alert, case: Case) -> dict[str, Any]:
    steps = int(case.at_seconds // INTERVAL_SECONDS) + 1
    firing = f'count(ALERTS{{alertname="{alert.name}",alertstate="firing"{matchers(alert)}}}) or vector(0)'
    return {
        "name": f"{alert.key}: {case.name}",
        "interval": "1m",
        "input_series": [
            {"series": selector, "values": values(series, steps)} for selector, series in case.series.items()
        ],
        "promql_expr_test": [
            {
                "expr": firing,
                "eval_time": write_duration(case.at_seconds),
                "exp_samples": [{"labels": "{}", "value": int(case.fires)}],
            }
        ],
    }


def matchers(alert: Alert) -> str:
    return "".join(f',{label}="{value}"' for label, value in alert.all_labels.items())


def values(series: Series, steps: int) -> str:
    return f"{series.start!r}{series.step:+.12g}x{steps}"
