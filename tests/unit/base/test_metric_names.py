"""The catalogue of metrics against the programs that count: what a query may ask for is really shown."""

import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from components.alerting.alerts import list_alerts
from components.base.metric_names import EXPORTER, GOVERNOR, PREDICTOR, exported_series
from components.governor.archive import Archive
from components.governor.inbox import Inbox
from components.governor.metrics import GovernorMetrics
from components.governor.schema import Database
from components.governor.store import RulingStore
from tests.unit.alerting.watched import PROBLEM, ROOT, with_field

SHOW_PREDICTOR = """
from prometheus_client import REGISTRY, generate_latest
from pathlib import Path
from components.base.contract.load import load_problems
from components.serving.predictor import metrics as predictor_metrics
from components.tasks import open_task
predictor_metrics._request_seconds(50.0)
tasks = map(open_task, load_problems(Path("pipelines/problems")).values())
for one in {series for task in tasks for series in task.output_series}:
    predictor_metrics._output_histogram(one)
print(generate_latest(REGISTRY).decode())
"""


def kinds(text):
    """Return the kind of each family, under the name that it is stored by; times of creation are the client's own."""
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: family.type
        for family in text_string_to_metric_families(text)
        if family.name.startswith("tidemill_") and not family.name.endswith("_created")
    }


def test_the_predictor_shows_what_the_catalogue_says():
    done = subprocess.run([sys.executable, "-c", SHOW_PREDICTOR], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert kinds(done.stdout) == PREDICTOR


@pytest.mark.parametrize("milliseconds", [50.0, 33.3, 250.0, 1000.0])
def test_the_latency_alert_asks_for_a_bucket_that_the_predictor_has(milliseconds):
    code = SHOW_PREDICTOR.replace("_request_seconds(50.0)", f"_request_seconds({milliseconds}).labels('x', 'v1')")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    edges = set(re.findall(r'tidemill_predictor_request_seconds_bucket\{le="([^"]+)"', done.stdout))
    alerts = list_alerts(with_field(PROBLEM, "serving.p99_milliseconds", milliseconds))
    asked = {edge for alert in alerts for edge in re.findall(r'le="([^"]+)"', alert.query)}
    assert len(asked) == 1
    assert asked < edges


def test_the_governor_shows_what_the_catalogue_says(tmp_path):
    database, now = Database(f"sqlite:///{tmp_path}/governor.db"), datetime(2013, 7, 1, tzinfo=UTC)
    Inbox(database).add_problem(PROBLEM.name, now)
    metrics = GovernorMetrics({PROBLEM.name: PROBLEM}, Archive(database), RulingStore(database), lambda: now)
    assert kinds(metrics.render().decode()) == GOVERNOR


@pytest.mark.parametrize("name", sorted({*EXPORTER, *PREDICTOR, *GOVERNOR}))
def test_names_follow_prometheus(name):
    kind = EXPORTER[name].kind if name in EXPORTER else {**PREDICTOR, **GOVERNOR}[name]
    assert name.endswith("_total") == (kind == "counter")
    assert not name.endswith(("_bucket", "_count", "_sum", "_percent", "_milliseconds", "_hours"))


def test_a_histogram_is_asked_for_by_its_series():
    series = exported_series()
    assert "tidemill_predictor_request_seconds_bucket" in series
    assert "tidemill_predictor_request_seconds" not in series
