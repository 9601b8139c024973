"""From a monitoring result to a webhook: the exporter, a real Prometheus and a real Alertmanager on loopback."""

import contextlib
import operator
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from components.alerting.alertmanager import render_alertmanager
from components.alerting.alerts import list_alerts
from components.alerting.grafana.dashboards import dashboard_queries
from components.alerting.grafana.rules import render_alert_rules
from components.alerting.prometheus_rules import render_rules
from components.alerting.types import Pace
from components.base.run_records import write_record
from components.exporter.server import Timing, running_exporter
from components.governor.webhooks import read_notification
from components.monitoring.results import write_result
from pipelines.simulation.prometheus_config import render_prometheus
from tests.contracts.running_prometheus import running_alertmanager, running_prometheus, running_sink, wait_until
from tests.debian_programs import find_program
from tests.unit.alerting.watched import PROBLEM
from tests.unit.base.test_run_records import make_run
from tests.unit.monitoring import documents

# Five minutes of waiting are one second, two days of freshness nearly ten minutes.
PACE = Pace(scale=300, scrape_seconds=1)
EVERY_SCRAPE = Timing(refresh_seconds=0)


def write_now(store, result, age_seconds: float = 0) -> None:
    write_result(store, result.model_copy(update={"computed_at": datetime.now(UTC) - timedelta(seconds=age_seconds)}))


@contextlib.contextmanager
def watching(store, folder, alertmanager="127.0.0.1:9"):
    """Run the exporter and a Prometheus with the alerts of the contract at the test's pace."""
    rules = folder / "rules.yaml"
    rules.write_text(render_rules(PROBLEM.name, list_alerts(PROBLEM, PACE), PACE))
    with running_exporter([PROBLEM], store, timing=EVERY_SCRAPE) as exporter:
        targets = {"exporter": f"127.0.0.1:{exporter.port}"}
        config = render_prometheus(PROBLEM.name, targets, rules, alertmanager, PACE)
        with running_prometheus(folder, config) as prometheus:
            yield prometheus


def test_a_bad_result_becomes_a_webhook_and_a_good_one_clears_it(store, tmp_path):
    (tmp_path / "token").write_text("not-in-the-file")
    write_now(store, documents.concept_shift())
    with running_sink() as sink, contextlib.ExitStack() as stack:
        config = render_alertmanager(sink.url, tmp_path / "token", PACE)
        assert "not-in-the-file" not in config
        alertmanager = stack.enter_context(running_alertmanager(tmp_path, config))
        prometheus = stack.enter_context(watching(store, tmp_path, alertmanager))
        wait_until(lambda: sink.has("PerformanceBelowLimit", "firing"), "the alert arrives")
        wait_until(lambda: sink.has("ValueBelowLimit", "firing"), "the other alert arrives")
        path, headers, _ = sink.received[0]
        assert (path, headers["Authorization"]) == ("/v1/webhooks/alertmanager", "Bearer not-in-the-file")
        heard = {signal.name for signal in signals(sink) if signal.is_firing}
        assert heard == {"PerformanceBelowLimit", "ValueBelowLimit"}
        fired = next(a for a in sink.alerts() if a["labels"]["alertname"] == "PerformanceBelowLimit")
        expected = {"problem": "flight-delays", "action": "retrain", "severity": "ticket"}
        assert expected.items() <= fired["labels"].items()
        assert set(fired["labels"]) == {"alertname", "runbook", *expected}
        assert "roc_auc on matured labels is 0.582 at best" in fired["annotations"]["summary"]
        write_now(store, documents.recovered())
        wait_until(lambda: sink.has("PerformanceBelowLimit", "resolved"), "the alert is cleared")
        assert "PerformanceBelowLimit" not in prometheus.firing()
        assert {signal.name for signal in signals(sink) if not signal.is_firing} >= {"PerformanceBelowLimit"}


def signals(sink):
    """Return what the governor would hear in the notifications."""
    known = {PROBLEM.name: PROBLEM}
    notifications = [read_notification(raw, "alertmanager", known) for _, _, raw in list(sink.received)]
    return [signal for notification in notifications for signal in notification.signals]


def test_a_stale_result_triggers_nothing_but_that_it_is_stale(store, tmp_path):
    fresh = 2 * 86400 / PACE.scale
    write_now(store, documents.concept_shift(), age_seconds=fresh + 60)
    with watching(store, tmp_path) as prometheus:
        wait_until(lambda: prometheus.query("tidemill_performance_score_high < 0.62"), "the bad score is known")
        wait_until(lambda: "MonitoringStale" in prometheus.firing(), "the stale result is noticed")
        active = {found["metric"]["alertname"] for found in prometheus.query("ALERTS")}
    assert not active & {"PerformanceBelowLimit", "ValueBelowLimit", "DriftMatters", "LabelsMissing"}


def test_what_grafana_would_ask_raises_the_same_alerts(store, tmp_path):
    write_now(store, documents.concept_shift())
    rules = yaml.safe_load(render_alert_rules(PROBLEM.name, list_alerts(PROBLEM, PACE)))["groups"][0]["rules"]
    with watching(store, tmp_path) as prometheus:
        wait_until(lambda: "PerformanceBelowLimit" in prometheus.firing(), "the alert fires")
        active = {found["metric"]["alertname"] for found in prometheus.query("ALERTS")}
        raised = {Path(rule["labels"]["runbook"]).stem for rule in rules if is_raised(rule, prometheus)}
    assert raised == active
    assert {"PerformanceBelowLimit", "ValueBelowLimit", "EndpointDown"} <= raised
    assert not raised & {"MonitoringStale", "FeaturesStale", "LabelsMissing", "PipelineFailed"}


def is_raised(rule, prometheus) -> bool:
    """Do what Grafana does with [A: instant query] -> [C: threshold]."""
    query, threshold = (node["model"] for node in rule["data"])
    evaluator = threshold["conditions"][0]["evaluator"]
    compare = {"gt": operator.gt, "lt": operator.lt}[evaluator["type"]]
    values = [float(found["value"][1]) for found in prometheus.query(query["expr"])]
    return any(compare(value, evaluator["params"][0]) for value in values)


def test_every_query_of_the_dashboards_is_answered(store, tmp_path):
    write_now(store, documents.recovered())
    write_record(store, make_run(1, "training"))
    measured = {"source_age_hours": {"flights": 3.0}, "source_changes": {"flights": 0}}
    write_record(store, make_run(2, "monitoring", **measured))
    with watching(store, tmp_path) as prometheus:
        wait_until(lambda: prometheus.query("tidemill_monitoring_rows"), "the first scrape")
        queries = dashboard_queries(PROBLEM.name, interval="10s")
        empty = {query for query in queries if not prometheus.query(query.expr)}
    # Endpoint and governor are not running here; whatever the exporter shows must be there.
    others = ("tidemill_predictor_", "tidemill_prediction_log_", "tidemill_governor_", "process_", "request_", "ALERTS")
    missing = [query for query in empty if not any(name in query.expr for name in (*others, "up{"))]
    assert missing == []


@pytest.mark.parametrize("scale", [1, 60, 52560])
def test_prometheus_and_alertmanager_take_their_configuration(tmp_path, scale):
    pace = Pace(scale=scale, scrape_seconds=15 if scale == 1 else 1)
    (tmp_path / "rules.yaml").write_text(render_rules(PROBLEM.name, list_alerts(PROBLEM, pace), pace))
    targets = {"predictor": "127.0.0.1:1", "exporter": "127.0.0.1:2", "governor": "127.0.0.1:3"}
    prometheus = render_prometheus(PROBLEM.name, targets, tmp_path / "rules.yaml", "127.0.0.1:4", pace)
    (tmp_path / "prometheus.yaml").write_text(prometheus)
    (tmp_path / "alertmanager.yaml").write_text(render_alertmanager("http://127.0.0.1:3", tmp_path / "token", pace))
    for command in (
        ["promtool", "check", "config", "prometheus.yaml"],
        ["amtool", "check-config", "alertmanager.yaml"],
    ):
        done = subprocess.run([find_program(command[0]), *command[1:]], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    jobs = {scrape["job_name"]: scrape for scrape in yaml.safe_load(prometheus)["scrape_configs"]}
    assert jobs["tidemill-predictor"]["static_configs"][0]["labels"] == {"problem": "flight-delays"}
