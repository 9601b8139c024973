"""The file of an alert: a person adds one without Python, and a wrong one is refused with all of its faults."""

import re

import pytest
import yaml

from components.alerting import alerts
from components.alerting.alert_file import (
    FOLDER,
    AlertFile,
    Budget,
    BurnWindow,
    CaseFile,
    parse_alert,
    read_alert_files,
)
from components.base.errors import PermanentError
from components.base.expressions import evaluate
from tests.unit.alerting.watched import PROBLEM

QUEUE = """
severity: ticket
dashboard: serving
summary: "{count} rows wait"
description: The queue of the prediction log is long.
query: max by (problem) (tidemill_prediction_log_queue_rows{problem="$problem"})
above: 2 * monitoring.minimum_rows
reason: twice the rows that monitoring needs
for: 10m
cases:
  - {name: the queue is long, fires: true, series: {'tidemill_prediction_log_queue_rows{problem="x"}': threshold + 1}}
  - {name: the queue is short, fires: false, series: {'tidemill_prediction_log_queue_rows{problem="x"}': threshold}}
"""


def build(text, monkeypatch, tmp_path):
    (tmp_path / "QueueLong.yaml").write_text(text)
    monkeypatch.setattr(alerts, "read_alert_files", lambda: read_alert_files(tmp_path))
    return alerts.list_alerts(PROBLEM)


def test_a_new_file_is_a_new_alert(monkeypatch, tmp_path):
    (alert,) = build(QUEUE, monkeypatch, tmp_path)
    assert (alert.name, alert.threshold, alert.wait_seconds) == ("QueueLong", 1000, 600)
    assert alert.condition.endswith('(tidemill_prediction_log_queue_rows{problem="flight-delays"})) > 1000')
    assert alert.limit.fields == ("monitoring.minimum_rows",)
    assert [next(iter(case.series.values())).start for case in alert.cases] == [1001, 1000]


def test_a_rule_whose_limit_the_contract_leaves_unset_is_left_out(monkeypatch, tmp_path):
    unset = QUEUE.replace("2 * monitoring.minimum_rows", "monitoring.performance.maximum")
    assert build(unset, monkeypatch, tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("severity: ticket", "severity: loud", "`severity`: should be 'page' or 'ticket', but got 'loud'"),
        ("severity:", "severty:", "`severty` must be a known field, but is not. Did you mean 'severity'?"),
        ("fires: true", "fire: true", "`cases.0.fire` must be a known field, but is not. Did you mean 'fires'?"),
        ("reason: twice the rows that monitoring needs", "", "`reason` must be given, but is missing."),
        ("for: 10m", "for: ten", "`for`: should match pattern"),
        ("for: 10m", "below: 1", "query and one of above and below must be given"),
        ("fires: false", "fires: true", "cases must hold at least one that fires and one that does not"),
        (
            "2 * monitoring",
            "2 ** monitoring",
            "the expression must be arithmetic, but got '2 ** monitoring.minimum_rows'",
        ),
        ("threshold + 1", "'threshold +'", "the expression must be arithmetic, but got 'threshold +'"),
        ("for: 10m", "window: {rate: 1, long: 1h, short: 5m}", "budget and window must be given together"),
        ("for: 10m", "needs_rows: up", "needs_rows and example must be given together"),
    ],
)
def test_a_fault_is_named(old, new, words):
    assert old in QUEUE
    _, faults = parse_alert(QUEUE.replace(old, new, 1))
    assert any(words in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "minimum_rows",
            "minimal_rows",
            "`monitoring.minimal_rows` must be a field of the contract, but is not. Did you",
        ),
        ("$problem", "$problm", "placeholder $problm must be one of problem, p99_seconds, but is not. Did you mean"),
        ("2 * monitoring.minimum_rows", "days(1)", "a function must be one of hours, data_hours, longest_gap, max"),
        ("threshold + 1", "limit + 1", "a name must be one of threshold, now, but got 'limit'"),
    ],
)
def test_what_the_contract_does_not_have_is_named(monkeypatch, tmp_path, old, new, words):
    with pytest.raises(PermanentError, match=re.escape(words)):
        build(QUEUE.replace(old, new, 1), monkeypatch, tmp_path)


def test_all_faults_of_all_files_are_named_at_once(tmp_path):
    (tmp_path / "One.yaml").write_text(QUEUE.replace("severity:", "severty:"))
    (tmp_path / "Two.yaml").write_text("- a list")
    (tmp_path / "Three.yaml").write_text("a: [")
    with pytest.raises(PermanentError) as raised:
        read_alert_files(tmp_path)
    lines = str(raised.value).splitlines()
    assert lines[0] == "alerts: 4 faults."
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["One.yaml", "One.yaml", "Three.yaml", "Two.yaml"]


def test_a_fault_in_one_of_several_rules_is_placed():
    _, faults = parse_alert(yaml.safe_dump(yaml.safe_load(QUEUE) | {"rules": [{}, {"severity": "loud"}]}))
    assert faults == ["rules.1 `severity`: should be 'page' or 'ticket', but got 'loud'."]


@pytest.mark.parametrize("expression", ["__import__('os')", "a.b()", "[1]", "'text'", "f(x=1)", "1 if a else 2"])
def test_an_expression_is_arithmetic_only(expression):
    with pytest.raises(ValueError, match="must be"):
        evaluate(expression, {"a": 1.0}, {"f": max})


def test_an_expression_follows_the_rules_of_arithmetic():
    assert evaluate("max(2 * (a.b + 1), -x / 4) - 0.5", {"a.b": 3.0, "x": 8.0}, {"max": max}) == 7.5


def test_the_readme_explains_every_field():
    text = (FOLDER / "README.md").read_text()
    fields = [
        field.alias or name
        for kind in (AlertFile, CaseFile, Budget, BurnWindow)
        for name, field in kind.model_fields.items()
    ]
    assert [field for field in (*fields, "rules") if f"`{field}`" not in text] == []
