"""Render the alerts for Grafana's file provisioning: rules, contact points, notification policy, data source.

In: alerts. Out: YAML with `apiVersion: 1`. Called by `make generate` (`charts/tidemill/grafana/`). Each rule is the
twin of its Prometheus rule: [A: the same instant query] -> [C: the same threshold]. Every rule has this form, and
`rule_lint` refuses others, because a test can run it on a real Prometheus. Not tested are Grafana's states (no data,
error, missing series) and the jitter of its evaluation. No file holds a secret: Grafana replaces `$NAME` from its
environment.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from components.alerting.prometheus_rules import HEADER, dump_yaml, fill_template
from components.alerting.types import Alert, write_duration

DATASOURCE = "tidemill-prometheus"
GOVERNOR = "tidemill-governor"
PEOPLE = "tidemill-people"
FOLDER = "Tidemill"
EVALUATORS = {">": "gt", "<": "lt"}
# Grafana creates these alerts itself and keeps all labels of the rule on them, also `action: retrain`.
_NOT_AN_ALERT = "DatasourceNoData|DatasourceError"
_EXPRESSION = "__expr__"
# An instant query reads only the end of the range, but Grafana requires a range.
_RANGE_SECONDS = 600
# The value of the query in a template; `$value` is a text of all values in Grafana.
_VALUE = "$values.A.Value"


def render_alert_rules(problem: str, alerts: Sequence[Alert]) -> str:
    """Return the rule groups of a problem."""
    group = {
        "orgId": 1,
        "name": f"tidemill-{problem}",
        # One folder for each problem, because titles are unique only within a folder.
        "folder": f"{FOLDER} {problem}",
        "interval": "1m",
        "rules": [_rule(alert) for alert in alerts],
    }
    return HEADER + dump_yaml({"apiVersion": 1, "groups": [group]})


def render_contact_points() -> str:
    """Return the governor's webhook, signed with a timestamp against replays, and the mail to people."""
    signature = {
        "secret": "$TIDEMILL_GOVERNOR_HMAC_SECRET",
        "header": "X-Grafana-Alerting-Signature",
        "timestampHeader": "X-Grafana-Alerting-Timestamp",
    }
    webhook = {
        "uid": GOVERNOR,
        "type": "webhook",
        "settings": {
            "url": "$TIDEMILL_GOVERNOR_URL/v1/webhooks/grafana",
            "httpMethod": "POST",
            # The most alerts in one notification; the governor counts the truncated ones.
            "maxAlerts": "50",
            "hmacConfig": signature,
        },
    }
    mail = {"uid": PEOPLE, "type": "email", "settings": {"addresses": "$TIDEMILL_ALERT_ADDRESSES"}}
    points = [
        {"orgId": 1, "name": GOVERNOR, "receivers": [webhook]},
        {"orgId": 1, "name": PEOPLE, "receivers": [mail]},
    ]
    return HEADER + dump_yaml({"apiVersion": 1, "contactPoints": points})


def render_policies() -> str:
    """Return the routes: every alert to people, and those that a new model can help against to the governor too."""
    retrain = {
        "receiver": GOVERNOR,
        "object_matchers": [["action", "=", "retrain"], ["alertname", "!~", _NOT_AN_ALERT]],
        "group_by": ["problem", "alertname"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "4h",
        # Continue with the next route, so that people receive it as well.
        "continue": True,
    }
    people = {"receiver": PEOPLE, "object_matchers": [["severity", "=~", "page|ticket"]]}
    policy = {"orgId": 1, "receiver": PEOPLE, "group_by": ["problem", "alertname"], "routes": [retrain, people]}
    return HEADER + dump_yaml({"apiVersion": 1, "policies": [policy]})


def render_datasource() -> str:
    """Return the Prometheus that rules and dashboards query."""
    source = {
        "name": "Tidemill Prometheus",
        "uid": DATASOURCE,
        "type": "prometheus",
        "access": "proxy",
        "url": "$TIDEMILL_PROMETHEUS_URL",
        "jsonData": {"timeInterval": "15s", "httpMethod": "POST"},
    }
    return HEADER + dump_yaml({"apiVersion": 1, "datasources": [source]})


def render_dashboard_provider() -> str:
    """Return the provider of the dashboards: the folder that the chart mounts."""
    provider = {
        "name": "tidemill",
        "orgId": 1,
        "folder": FOLDER,
        "type": "file",
        # Dashboards are code: a change in the browser would be lost.
        "allowUiUpdates": False,
        "options": {"path": "$TIDEMILL_DASHBOARDS_FOLDER"},
    }
    return HEADER + dump_yaml({"apiVersion": 1, "providers": [provider]})


def _rule(alert: Alert) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": DATASOURCE}
    return {
        "uid": rule_uid(alert),
        # Grafana sets alertname to the title; the governor knows the alert by that name.
        "title": alert.key,
        "condition": "C",
        "data": [
            {
                "refId": "A",
                "relativeTimeRange": {"from": _RANGE_SECONDS, "to": 0},
                "datasourceUid": DATASOURCE,
                "model": {"refId": "A", "datasource": source, "expr": alert.query, "instant": True, "range": False},
            },
            _threshold(alert),
        ],
        "for": write_duration(alert.wait_seconds),
        # No data is no alert, as in Prometheus; an alert on absence has a query that returns data.
        "noDataState": "OK",
        # A Prometheus that does not answer must not start a training run: the state does not change.
        "execErrState": "KeepLast" if alert.action == "retrain" else "Error",
        "labels": alert.all_labels,
        "annotations": {
            "summary": fill_template(alert.summary, _VALUE),
            "description": fill_template(alert.description, _VALUE),
            "threshold": f"{alert.operator} {alert.threshold:g}: {alert.limit.reason}",
            "dashboard": alert.dashboard,
        },
        "isPaused": False,
    }


def rule_uid(alert: Alert) -> str:
    """Return the rule's id in Grafana: at most 40 of a-z, 0-9 and hyphens, stable over time."""
    digest = hashlib.sha256(f"{alert.problem} {alert.key}".encode()).hexdigest()[:8]
    return f"{alert.key[:31].lower()}-{digest}"


def _threshold(alert: Alert) -> dict[str, Any]:
    evaluator = {"type": EVALUATORS[alert.operator], "params": [alert.threshold]}
    model = {
        "refId": "C",
        "datasource": {"type": _EXPRESSION, "uid": _EXPRESSION},
        "type": "threshold",
        "expression": "A",
        "conditions": [{"type": "query", "evaluator": evaluator}],
    }
    return {
        "refId": "C",
        "relativeTimeRange": {"from": _RANGE_SECONDS, "to": 0},
        "datasourceUid": _EXPRESSION,
        "model": model,
    }
