"""The generated rules under promtool: each alert fires when it must, is silent when it must; a mutation is noticed."""

import dataclasses
import re
import subprocess

import pytest
import yaml

from components.alerting.alerts import list_alerts
from components.alerting.prometheus_rules import fill_template, render_rules
from components.alerting.types import Pace, Series
from tests.debian_programs import find_program
from tests.unit.alerting.rule_tests import render_rule_tests
from tests.unit.alerting.watched import PROBLEM, with_field

ALERTS = list_alerts(PROBLEM)


def run_promtool(folder, *arguments):
    # One stream: what failed is said after the name of its file.
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.run([find_program("promtool"), *arguments], cwd=folder, **streams)


def run_cases(folder, ruled, tested=None):
    """Run the cases of some alerts against the rules of others, each alone so that promtool evaluates one rule."""
    files = []
    for rule, test in zip(ruled, tested or ruled, strict=True):
        name = f"{rule.key}.rules.yaml"
        (folder / name).write_text(render_rules(PROBLEM.name, [rule]))
        files.append(f"{rule.key}.tests.yaml")
        (folder / files[-1]).write_text(render_rule_tests(name, [test]))
    return run_promtool(folder, "test", "rules", *files)


def test_promtool_takes_the_rules(tmp_path):
    (tmp_path / "rules.yaml").write_text(render_rules(PROBLEM.name, ALERTS))
    checked = run_promtool(tmp_path, "check", "rules", "rules.yaml")
    assert checked.returncode == 0
    assert f"SUCCESS: {len(ALERTS)} rules found" in checked.stdout


def test_every_alert_fires_when_it_must_and_is_silent_when_it_must(tmp_path):
    done = run_cases(tmp_path, ALERTS)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("change", ["too easy", "too hard"])
def test_a_mutated_threshold_fails_the_tests_of_its_alert(tmp_path, change):
    mutated = [dataclasses.replace(alert, threshold=mutate(alert, change)) for alert in ALERTS]
    done = run_cases(tmp_path, mutated, ALERTS)
    assert done.returncode == 1
    failed = set(re.findall(r"(\S+)\.tests\.yaml\s+FAILED", done.stdout))
    assert failed == {alert.key for alert in ALERTS}


def mutate(alert, change):
    """Move the threshold by 4 %, or by one and a half where it is a count of things."""
    step = 0.04 * abs(alert.threshold) or 1.5
    if alert.name in ("EndpointDown", "RetrainingStuck") and alert.operator == "<":
        step = 1.5
    easier = 1 if alert.operator == "<" else -1
    return alert.threshold + (easier if change == "too easy" else -easier) * step


@pytest.mark.parametrize("name", ["DriftMatters", "PerformanceBelowLimit", "ValueBelowLimit", "LabelsMissing"])
@pytest.mark.parametrize(
    "guard", [r" and on \(problem\) \(max [^)]+\) \([^)]+\) >= \d+\)", r" and on \(problem\) \(time.+"]
)
def test_a_guard_that_is_left_out_fails_the_tests(tmp_path, name, guard):
    (alert,) = [alert for alert in ALERTS if alert.name == name]
    unguarded = re.sub(guard, "", alert.query)
    assert unguarded != alert.query
    done = run_cases(tmp_path, [dataclasses.replace(alert, query=unguarded)], [alert])
    assert done.returncode == 1


@pytest.mark.parametrize(("gain", "fires"), [(-1, True), (1, False)])
def test_decisions_that_lose_money_alert_however_much_more_the_current_solution_loses(tmp_path, gain, fires):
    (alert,) = [alert for alert in ALERTS if alert.name == "ValueBelowLimit"]
    example, other = alert.cases[0], 'tidemill_value_gain_per_1000_high{problem="flight-delays",contender="%s"}'
    series = {**example.series, other % "current_solution": Series(50_000), other % "no_action": Series(gain)}
    case = dataclasses.replace(example, name="loses money", fires=fires, series=series)
    changed = dataclasses.replace(alert, cases=(case,))
    done = run_cases(tmp_path, [changed], [changed])
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("field", "value", "names"),
    [
        ("monitoring.performance", {"metric": "log_loss", "maximum": 0.6}, "PerformanceBelowLimit"),
        ("monitoring.objectives", {"availability": 0.9, "latency": 0.5}, "ErrorBudgetBurn LatencyBudgetBurn"),
        ("monitoring.minimum_value_gain_per_1000", -300, "ValueBelowLimit"),
        ("serving.p99_milliseconds", 1000, "LatencyBudgetBurn"),
        ("monitoring.schedule", "0 6 1 * *", "DriftMatters MonitoringStale PipelineOverdue"),
        ("retraining.cooldown_hours", 0, "RetrainingStuck"),
    ],
)
def test_the_cases_hold_for_other_contracts(tmp_path, field, value, names):
    alerts = [alert for alert in list_alerts(with_field(PROBLEM, field, value)) if alert.name in names.split()]
    done = run_cases(tmp_path, alerts)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("scale", [60, 52560])
def test_rules_of_a_simulation_are_valid_and_evaluated_at_its_pace(tmp_path, scale):
    pace = Pace(scale=scale, scrape_seconds=1)
    (tmp_path / "rules.yaml").write_text(render_rules(PROBLEM.name, list_alerts(PROBLEM, pace), pace))
    assert run_promtool(tmp_path, "check", "rules", "rules.yaml").returncode == 0
    assert yaml.safe_load((tmp_path / "rules.yaml").read_text())["groups"][0]["interval"] == "1s"


def test_every_rule_says_who_is_asked_and_where_to_read(tmp_path):
    rules = yaml.safe_load(render_rules(PROBLEM.name, ALERTS))["groups"][0]["rules"]
    for rule in rules:
        labels, notes = rule["labels"], rule["annotations"]
        assert labels["problem"] == "flight-delays"
        assert labels["severity"] in ("page", "ticket")
        assert labels["action"] in ("retrain", "none")
        assert labels["runbook"] == f"charts/tidemill/runbooks/{rule['alert']}.md"
        unfilled = re.sub(r"{{.*?}}", "", notes["summary"] + notes["description"])
        assert "{" not in unfilled, unfilled


def test_templates_are_filled_with_labels_and_the_value():
    filled = fill_template("{label.feature} of {label.view}: {ratio}", "$value")
    assert filled == "{{ $labels.feature }} of {{ $labels.view }}: {{ humanizePercentage $value }}"


def test_a_missing_program_is_skipped_at_home_and_fails_in_ci(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="promtool must be installed: apt-get install prometheus"):
        find_program("promtool")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="prometheus-alertmanager must be installed"):
        find_program("prometheus-alertmanager")
