"""Grafana's provisioning: the twin of each Prometheus rule, deaf to a dead data source, with no secret in a file."""

import copy
import re

import promql_parser
import pytest
import yaml

from components.alerting.alertmanager import render_alertmanager
from components.alerting.alerts import list_alerts
from components.alerting.grafana import rules as grafana_alerts
from components.alerting.prometheus_rules import render_rules
from components.alerting.rule_lint import lint_query, lint_rule, lint_rules
from components.alerting.types import Pace
from tests.unit.alerting.watched import PROBLEM, ROOT, with_field

ALERTS = list_alerts(PROBLEM)
PROVISIONED = yaml.safe_load(grafana_alerts.render_alert_rules(PROBLEM.name, ALERTS))
RULES = PROVISIONED["groups"][0]["rules"]
SYMBOLS = {"gt": ">", "lt": "<"}


def parts(rule):
    """Return query, comparison and threshold of a Grafana rule."""
    query, threshold = (node["model"] for node in rule["data"])
    evaluator = threshold["conditions"][0]["evaluator"]
    return query["expr"], SYMBOLS[evaluator["type"]], evaluator["params"][0]


def test_each_rule_is_the_twin_of_its_prometheus_rule():
    twins = yaml.safe_load(render_rules(PROBLEM.name, ALERTS))["groups"][0]["rules"]
    assert len(twins) == len(RULES)
    for rule, twin in zip(RULES, twins, strict=True):
        query, symbol, threshold = parts(rule)
        # Prometheus' own reading of the rule: a comparison with a number, and on its left the query.
        comparison = promql_parser.parse(twin["expr"])
        assert isinstance(comparison.rhs, promql_parser.NumberLiteral)
        assert (str(comparison.op), comparison.rhs.val) == (symbol, threshold)
        assert str(comparison.lhs.expr) == str(promql_parser.parse(query))
        assert rule["for"] == twin["for"]
        assert rule["labels"] == twin["labels"]
        assert rule["title"].split("-")[0] == twin["alert"]


def test_the_lint_finds_nothing_in_what_is_generated():
    assert list(lint_rules(PROVISIONED)) == []
    assert {rule["noDataState"] for rule in RULES} == {"OK"}


def test_a_data_source_that_does_not_answer_changes_nothing_for_alerts_that_retrain():
    states = {rule["labels"]["action"]: rule["execErrState"] for rule in RULES}
    assert states == {"retrain": "KeepLast", "none": "Error"}
    (policy,) = yaml.safe_load(grafana_alerts.render_policies())["policies"]
    governor = next(route for route in policy["routes"] if route["receiver"] == grafana_alerts.GOVERNOR)
    assert ["action", "=", "retrain"] in governor["object_matchers"]
    assert ["alertname", "!~", "DatasourceNoData|DatasourceError"] in governor["object_matchers"]


def test_people_hear_of_every_alert_also_of_those_that_go_to_the_governor():
    (policy,) = yaml.safe_load(grafana_alerts.render_policies())["policies"]
    governor, people = policy["routes"]
    assert governor["continue"] is True
    assert policy["receiver"] == people["receiver"] == grafana_alerts.PEOPLE
    severities = re.compile(people["object_matchers"][0][2])
    assert all(severities.fullmatch(rule["labels"]["severity"]) for rule in RULES)


def test_the_webhook_is_signed_with_a_time_and_every_secret_is_a_variable():
    points = yaml.safe_load(grafana_alerts.render_contact_points())["contactPoints"]
    settings = points[0]["receivers"][0]["settings"]
    assert settings["url"].endswith("/v1/webhooks/grafana")
    assert settings["hmacConfig"] == {
        "secret": "$TIDEMILL_GOVERNOR_HMAC_SECRET",
        "header": "X-Grafana-Alerting-Signature",
        "timestampHeader": "X-Grafana-Alerting-Timestamp",
    }
    named = {point["name"] for point in points}
    assert named == {grafana_alerts.GOVERNOR, grafana_alerts.PEOPLE}


def test_grafana_names_what_retrains_as_the_contract_does():
    # Grafana sets alertname to the title.
    retraining = {rule["title"] for rule in RULES if rule["labels"]["action"] == "retrain"}
    assert retraining == set(PROBLEM.retraining.alerts)
    assert PROVISIONED["groups"][0]["folder"] == "Tidemill flight-delays"


def test_ids_are_unique_short_and_the_same_for_ever():
    uids = [rule["uid"] for rule in RULES]
    assert len(set(uids)) == len(uids)
    other = PROBLEM.model_copy(update={"name": "other"})
    assert not {grafana_alerts.rule_uid(alert) for alert in list_alerts(other)} & set(uids)
    changed = with_field(PROBLEM, "monitoring.performance.minimum", 0.7)
    assert [grafana_alerts.rule_uid(alert) for alert in list_alerts(changed)] == uids


def mutate(rule, path, value):
    """Return the rule with another value at a path of keys."""
    changed = copy.deepcopy(rule)
    node = changed
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return changed


THRESHOLD = ("data", 1, "model")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("condition",), "B", "condition must name one of A, C, but got 'B'"),
        (("condition",), "A", "the condition must be a threshold, but got None"),
        ((*THRESHOLD, "expression"), "B", "the threshold must read the query, but reads 'B'"),
        ((*THRESHOLD, "expression"), "C", "the threshold must read the query, but reads 'C'"),
        ((*THRESHOLD, "type"), "reduce", "the condition must be a threshold, but got 'reduce'"),
        ((*THRESHOLD, "type"), "math", "the condition must be a threshold, but got 'math'"),
        ((*THRESHOLD, "conditions", 0, "evaluator", "type"), "gtt", "the threshold must have one evaluator of gt, lt"),
        ((*THRESHOLD, "conditions", 0, "evaluator", "type"), "within_range", "one evaluator of gt, lt"),
        ((*THRESHOLD, "conditions", 0, "evaluator", "params"), [1, 2], "the evaluator must have one number"),
        (("data", 0, "model", "expr"), "sum((up)", "the query must be PromQL, but got 'sum((up)'"),
        (("data", 0, "model", "expr"), "tidemill_feature_psii", "nobody exports tidemill_feature_psii"),
        (("data", 0, "model", "instant"), False, "the query must be instant and no range"),
        (("data", 0, "model", "range"), True, "the query must be instant and no range"),
        (("noDataState",), "NoData", "noDataState must be OK, but got 'NoData'"),
        (("noDataState",), "Ok", "noDataState must be OK, but got 'Ok'"),
        (("execErrState",), "Alerting", "execErrState must be one of Error, KeepLast, but got 'Alerting'"),
        (("labels", "feature"), "{{ $labels.feature }}", "label feature must be a fixed text"),
        (("labels", "alertname"), "Other", "label alertname must be left to Grafana, but got 'Other'"),
        (("for",), "banana", "for must be a duration, but got 'banana'"),
        (("noDatastate",), "OK", "field noDatastate must be a known one, but is not. Did you mean 'noDataState'?"),
        (("keep_firing_for",), "5m", "field keep_firing_for must be a known one, but is not."),
        (("uid",), "has space", "uid must be 1 to 40 of a-z, 0-9 and hyphens, but got 'has space'"),
    ],
)
def test_the_lint_refuses_what_grafana_would_take(path, value, words):
    faults = list(lint_rule(mutate(RULES[0], path, value)))
    assert any(words in fault for fault in faults), faults


def test_the_lint_refuses_more_than_a_query_and_a_threshold():
    rule = copy.deepcopy(RULES[0])
    rule["data"].insert(1, {**rule["data"][0], "refId": "B"})
    assert "data must be one query and one threshold, but got A, B, C." in list(lint_rule(rule))


def test_the_lint_refuses_one_id_for_two_rules():
    doubled = copy.deepcopy(PROVISIONED)
    doubled["groups"][0]["rules"][1]["uid"] = RULES[0]["uid"]
    assert f"uid {RULES[0]['uid']} must be of one rule, but 2 have it." in list(lint_rules(doubled))
    doubled["groups"][0]["rules"][1]["title"] = RULES[0]["title"]
    words = f"title '{RULES[0]['title']}' in Tidemill flight-delays must be of one rule, but 2 have it."
    assert words in list(lint_rules(doubled))


@pytest.mark.parametrize("expression", ["rate(up[$__rate_interval])", 'up{problem="$problem"}', "count(ALERTS)"])
def test_variables_of_grafana_are_no_fault(expression):
    assert list(lint_query(expression)) == []


def test_alertmanager_reads_its_token_from_a_file_and_goes_at_the_pace_given(tmp_path):
    content = yaml.safe_load(render_alertmanager("http://127.0.0.1:9/", tmp_path / "token", Pace(scale=60)))
    (webhook,) = content["receivers"][0]["webhook_configs"]
    assert webhook["url"] == "http://127.0.0.1:9/v1/webhooks/alertmanager"
    credentials = {"type": "Bearer", "credentials_file": str(tmp_path / "token")}
    assert webhook["http_config"]["authorization"] == credentials
    route = content["route"]
    assert (route["group_wait"], route["group_interval"], route["repeat_interval"]) == ("1s", "5s", "4m")


def test_no_generated_file_holds_a_secret_or_a_host():
    chart = ROOT / "charts" / "tidemill"
    # Templates and values are written by hand: the one builds addresses, the other names a person's own.
    files = [file for folder in ("alerts", "grafana", "runbooks") for file in (chart / folder).rglob("*.yaml")]
    assert files
    for file in files:
        text = file.read_text()
        assert not re.search(r"https?://", text), file
        for line in re.findall(r"(?im)^\s*(?:secret|password|token|addresses|url):\s*(.+)$", text):
            assert line.startswith(("$", "'$", '"$')), (file, line)
