"""Alerts, runbooks and thresholds agree in what a cluster gets: the chart wraps the generated files as they are."""

import json
import math
import re
from pathlib import Path

import pytest
import yaml

from components.alerting.alertmanager import render_alertmanager
from tests.chart.rendering import CHART, PROBLEM, ROOT, find, refuse, render

RULES = yaml.safe_load((CHART / "alerts" / f"{PROBLEM}.rules.yaml").read_text())
GRAFANA = ("--set", "monitoring.alerting=grafana")


def list_rules():
    rule = find(render("small"), "PrometheusRule", f"tidemill-{PROBLEM}")
    return [rule for group in rule["spec"]["groups"] for rule in group["rules"]]


def test_the_rules_are_the_generated_ones():
    assert find(render("small"), "PrometheusRule", f"tidemill-{PROBLEM}")["spec"] == RULES


def test_each_alert_has_a_runbook_of_its_name():
    for rule in (rule for rule in list_rules() if "alert" in rule):
        assert rule["labels"]["runbook"] == f"charts/tidemill/runbooks/{rule['alert']}.md"
        assert (ROOT / rule["labels"]["runbook"]).read_text().startswith(f"# {rule['alert']}\n")


def test_each_alert_names_the_threshold_that_its_expression_has():
    named = 0
    for rule in (rule for rule in list_rules() if "alert" in rule):
        threshold = re.match(r"([<>]) ([\d.e+-]+)", rule["annotations"]["threshold"])
        if threshold:
            compared = re.findall(r"([<>]=?) ([\d.e+-]+)", rule["expr"])
            found = [(sign, float(number)) for sign, number in compared]
            assert any(
                sign == threshold[1] and math.isclose(number, float(threshold[2]), rel_tol=1e-4)
                for sign, number in found
            ), rule["alert"]
            named += 1
    assert named > 10


def test_prometheus_and_grafana_evaluate_the_same_alerts_and_never_both():
    names = {rule["alert"] for rule in list_rules() if "alert" in rule}
    objects = render("small", *GRAFANA)
    rules = yaml.safe_load(find(objects, "ConfigMap", f"tidemill-alerts-{PROBLEM}")["data"][f"{PROBLEM}.rules.yaml"])
    titles = {rule["title"].partition("-")[0] for group in rules["groups"] for rule in group["rules"]}
    assert titles == names
    assert "PrometheusRule" not in {one["kind"] for one in objects}
    assert not [one for one in render("small") if one["metadata"].get("labels", {}).get("grafana_alert")]


def test_alertmanager_hands_the_alerts_of_the_problems_to_the_governor():
    """As the configuration that was tried on a real Alertmanager does, and for this release's problems alone."""
    spec = find(render("small"), "AlertmanagerConfig", "tidemill-governor")["spec"]
    tried = yaml.safe_load(render_alertmanager("http://tidemill-governor.tidemill:8000", Path("token")))
    route, (matcher,) = spec["route"], spec["route"]["matchers"]
    assert (matcher["name"], matcher["matchType"], matcher["value"]) == ("problem", "=~", PROBLEM)
    names = {"groupBy": "group_by", "groupWait": "group_wait", "groupInterval": "group_interval"}
    names |= {"repeatInterval": "repeat_interval", "receiver": "receiver"}
    assert {named: route[name] for name, named in names.items()} == tried["route"]
    (webhook,), (expected,) = spec["receivers"][0]["webhookConfigs"], tried["receivers"][0]["webhook_configs"]
    assert (webhook["url"], webhook["sendResolved"], webhook["maxAlerts"]) == (
        expected["url"],
        expected["send_resolved"],
        expected["max_alerts"],
    )
    objects = render("small")
    token = webhook["httpConfig"]["authorization"]["credentials"]
    assert token["key"] in find(objects, "Secret", token["name"])["stringData"]
    assert "AlertmanagerConfig" not in {one["kind"] for one in render("small", *GRAFANA)}
    assert "AlertmanagerConfig" not in {one["kind"] for one in render("small", "--set", "governor.enabled=false")}


def test_grafana_gets_dashboards_a_datasource_and_a_contact_point_from_a_secret():
    objects = render("small", *GRAFANA, "--set", "monitoring.mailAddresses=a@example.org;b@example.org")
    boards = [one for one in objects if one["metadata"]["labels"].get("grafana_dashboard") == "1"]
    assert {json.loads(text)["title"] for one in boards for text in one["data"].values()}
    assert len(boards) == len(list((CHART / "dashboards").glob("*.json")))
    datasource = yaml.safe_load(find(objects, "ConfigMap", "tidemill-datasource")["data"]["tidemill.yaml"])
    assert datasource["datasources"][0]["url"] == "http://kube-prometheus-stack-prometheus.monitoring:9090"
    points = find(objects, "Secret", "tidemill-contact-points")
    governor, people = yaml.safe_load(points["stringData"]["contact-points.yaml"])["contactPoints"]
    settings = governor["receivers"][0]["settings"]
    assert settings["url"] == "http://tidemill-governor.tidemill:8000/v1/webhooks/grafana"
    assert settings["hmacConfig"]["secret"] == find(objects, "Secret", "tidemill-governor")["stringData"]["hmac"]
    assert people["receivers"][0]["settings"]["addresses"] == "a@example.org;b@example.org"


def test_scrapes_have_the_jobs_that_the_rules_and_dashboards_name():
    objects = render("small")
    monitors = [one["spec"] for one in objects if one["kind"] in ("ServiceMonitor", "PodMonitor")]
    endpoints = [point for one in monitors for point in one.get("endpoints", one.get("podMetricsEndpoints", []))]
    jobs = {rule["replacement"] for point in endpoints for rule in point["relabelings"] if rule["targetLabel"] == "job"}
    texts = [file.read_text() for folder in ("alerts", "dashboards") for file in (CHART / folder).iterdir()]
    named = {job for text in texts for job in re.findall(r'job=\\?"([\w-]+)', text)}
    assert named <= jobs


@pytest.mark.parametrize("way", ["prometheus", "grafana"])
def test_a_problem_without_generated_rules_is_refused_in_words(way):
    words = refuse(
        "--set",
        f"monitoring.alerting={way}",
        "--set-string",
        "problems.wine=name: wine\nserving: {endpoint: wine\\, minimum_replicas: 1}",
    )
    assert "problems.wine" in words
    assert "Run `make generate`" in words
