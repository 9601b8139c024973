"""The exporter, asked over HTTP, with a real object store behind it."""

import dataclasses
import os
import re
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from components.base.adapters.s3 import ObjectStore
from components.base.contract.limits import list_limits
from components.base.metric_names import EXPORTER
from components.base.run_records import write_record
from components.base.settings import S3Endpoint
from components.exporter.server import Timing, main, running_exporter
from components.monitoring.results import write_result
from tests.debian_programs import find_program
from tests.unit.alerting.watched import PROBLEM, ROOT
from tests.unit.base.test_run_records import make_run
from tests.unit.monitoring import documents

NOW = Timing(refresh_seconds=0, patience_seconds=10)
CLIENT = httpx.Client(trust_env=False, timeout=60)
CONTRACT = ROOT / "pipelines" / "problems" / "flight-delays.yaml"


def scrape(exporter) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return the value of each series, by name and labels without the problem."""
    answer = CLIENT.get(exporter.url)
    answer.raise_for_status()
    return {
        (sample.name, tuple(sorted((k, v) for k, v in sample.labels.items() if k != "problem"))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def names(series) -> set[str]:
    return {name for name, _ in series}


@pytest.fixture
def full(store):
    """A store with a result and runs of every pipeline."""
    for result in (*documents.healthy(), documents.concept_shift()):
        write_result(store, result)
    write_record(store, make_run(1, "training", seconds=61.0))
    measured = {"source_age_hours": {"flights": 30.0, "weather": 1.5}, "source_changes": {"flights": 0, "weather": 2}}
    write_record(store, make_run(2, "refresh", **measured))
    write_record(store, make_run(3, "monitoring"))
    write_record(store, make_run(4, "monitoring", status="failed"))
    return store


def test_the_newest_result_is_shown_number_by_number(full):
    result = documents.concept_shift()
    with running_exporter([PROBLEM], full, timing=NOW) as exporter:
        shown = scrape(exporter)
    auc = result.performance.scores["roc_auc"]
    gain = result.value.contenders["current_solution"].gain_of_served_per_1000
    feature = result.features[0]
    by = {"feature": (("feature", feature.name),), "auc": (("metric", "roc_auc"),)}
    rule = (("contender", "current_solution"),)
    expected = {
        ("tidemill_monitoring_last_success_timestamp_seconds", ()): result.computed_at.timestamp(),
        ("tidemill_monitoring_rows", ()): result.model_rows,
        ("tidemill_feature_psi", by["feature"]): feature.psi,
        ("tidemill_feature_missing_ratio", by["feature"]): feature.missing_ratio,
        ("tidemill_drift_relevant_psi_ratio", ()): result.drift.greatest_relevant_psi,
        ("tidemill_performance_score", by["auc"]): auc.estimate,
        ("tidemill_performance_score_low", by["auc"]): auc.low,
        ("tidemill_performance_score_high", by["auc"]): auc.high,
        ("tidemill_performance_limit", by["auc"]): result.performance.limit,
        ("tidemill_value_gain_per_1000_high", rule): gain.high,
        ("tidemill_label_coverage_ratio", ()): result.labels.coverage_ratio,
        ("tidemill_exporter_last_read_success", ()): 1,
    }
    assert {key: shown.get(key) for key in expected} == expected


def test_pipelines_are_shown_by_their_last_run_and_their_last_success(full):
    with running_exporter([PROBLEM], full, timing=NOW) as exporter:
        shown = scrape(exporter)
    monitoring = (("pipeline", "monitoring"),)
    expected = {
        ("tidemill_pipeline_last_run_failed", monitoring): 1,
        ("tidemill_pipeline_last_run_failed", (("pipeline", "training"),)): 0,
        ("tidemill_pipeline_last_success_timestamp_seconds", monitoring): make_run(3).ended.timestamp(),
        ("tidemill_pipeline_last_run_seconds", (("pipeline", "training"),)): 61,
        ("tidemill_pipeline_runs_total", (*monitoring, ("status", "failed"))): 1,
        ("tidemill_pipeline_runs_total", (*monitoring, ("status", "done"))): 1,
        ("tidemill_data_age_seconds", (("source", "flights"),)): 30 * 3600,
        ("tidemill_data_changes", (("source", "flights"),)): 0,
        ("tidemill_data_changes", (("source", "weather"),)): 2,
    }
    assert {key: shown.get(key) for key in expected} == expected


def test_limits_are_those_of_the_contract(store):
    with running_exporter([PROBLEM], store, timing=NOW) as exporter:
        shown = scrape(exporter)
    limits = {
        dict(labels)["field"]: value for (name, labels), value in shown.items() if name.endswith("contract_limit")
    }
    assert limits == list_limits(PROBLEM)
    assert limits["serving.p99_milliseconds"] == PROBLEM.serving.p99_milliseconds
    assert limits["sources.flights.freshness.warn_hours"] == PROBLEM.sources["flights"].freshness.warn_hours


def test_what_is_not_known_is_not_shown(store):
    write_result(store, documents.too_few())
    with running_exporter([PROBLEM], store, timing=NOW) as exporter:
        shown = names(scrape(exporter))
    unknown = {"tidemill_performance_score", "tidemill_value_per_1000", "tidemill_drift_relevant_psi_ratio"}
    assert shown & (unknown | {"tidemill_label_coverage_ratio", "tidemill_feature_psi", "tidemill_skew_ratio"}) == set()
    assert {"tidemill_monitoring_rows", "tidemill_label_due_rows"} <= shown


def test_promtool_finds_nothing_to_say(full):
    with running_exporter([PROBLEM], full, timing=NOW) as exporter:
        text = CLIENT.get(exporter.url).text
    promtool = find_program("promtool")
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    assert {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")} == set(EXPORTER)


def test_no_label_is_an_id():
    allowed = {"feature", "view", "metric", "contender", "pipeline", "status", "source", "severity", "field"}
    assert {label for family in EXPORTER.values() for label in family.labels} <= allowed | {"model_version"}


def test_a_new_result_replaces_the_old_one_at_the_next_read(store):
    write_result(store, documents.healthy()[0])
    with running_exporter([PROBLEM], store, timing=NOW) as exporter:
        before = scrape(exporter)
        write_result(store, documents.recovered())
        after = scrape(exporter)
    version = "tidemill_monitoring_model_info"
    assert (version, (("model_version", "1"),)) in before
    assert {key for key in after if key[0] == version} == {(version, (("model_version", "2"),))}


def test_the_store_is_read_no_more_often_than_asked(store, monkeypatch):
    listed = []
    list_objects = store.list_objects
    monkeypatch.setattr(store, "list_objects", lambda prefix="": listed.append(prefix) or list_objects(prefix))
    with running_exporter([PROBLEM], store, timing=Timing(refresh_seconds=60)) as exporter:
        for _ in range(3):
            scrape(exporter)
    assert sorted(listed) == ["flight-delays/monitoring/", "flight-delays/runs/"]


def test_values_outlive_a_dead_store_for_a_while_and_then_are_gone(full, monkeypatch):
    later = 0.0
    clock = SimpleNamespace(time=lambda: time.time() + later, monotonic=time.monotonic)
    monkeypatch.setattr("components.exporter.server.time", clock)
    with running_exporter([PROBLEM], full, timing=NOW) as exporter:
        assert "tidemill_monitoring_rows" in names(scrape(exporter))
        dead = ObjectStore(dataclasses.replace(full.endpoint, url="http://127.0.0.1:9"), full.bucket, attempts=1)
        with monkeypatch.context() as patch:
            patch.setattr(full, "list_objects", dead.list_objects)
            later = NOW.expire_seconds / 2
            shown = scrape(exporter)
            assert shown["tidemill_exporter_last_read_success", ()] == 0
            assert "tidemill_monitoring_rows" in names(shown)
            later = NOW.expire_seconds + 1
            left = scrape(exporter)
        again = scrape(exporter)
    own = {"tidemill_exporter_last_read_success", "tidemill_exporter_last_read_timestamp_seconds"}
    assert names(left) == own | {"tidemill_contract_limit"}
    assert again["tidemill_exporter_last_read_success", ()] == 1
    assert "tidemill_monitoring_rows" in names(again)


def test_a_store_that_hangs_keeps_no_scrape_waiting():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = S3Endpoint(f"http://127.0.0.1:{silent.getsockname()[1]}", "any", "any")
        store = ObjectStore(endpoint, "tidemill", attempts=1)
        with running_exporter([PROBLEM], store, timing=Timing(patience_seconds=0.2)) as exporter:
            started = time.monotonic()
            shown = scrape(exporter)
            assert time.monotonic() - started < 30  # a read gives up after 60
    assert shown["tidemill_exporter_last_read_success", ()] == 0


def test_a_damaged_result_is_a_failed_read(full):
    full.put_bytes("flight-delays/monitoring/2099-01-01T000000Z.json", b"{}")
    with running_exporter([PROBLEM], full, timing=NOW) as exporter:
        shown = scrape(exporter)
    assert shown["tidemill_exporter_last_read_success", ()] == 0
    assert "tidemill_monitoring_rows" not in names(shown)


def test_one_problem_that_cannot_be_read_hides_no_other(full):
    other = PROBLEM.model_copy(update={"name": "other"})
    full.put_bytes("other/monitoring/2099-01-01T000000Z.json", b"{}")
    with running_exporter([other, PROBLEM], full, timing=NOW) as exporter:
        text = CLIENT.get(exporter.url).text
    assert 'tidemill_exporter_last_read_success{problem="other"} 0.0' in text
    assert 'tidemill_exporter_last_read_success{problem="flight-delays"} 1.0' in text
    assert 'tidemill_monitoring_rows{problem="flight-delays"}' in text


def test_the_command_prints_its_free_port_answers_on_loopback_and_ends_with_a_signal(store_settings):
    environment = {**os.environ, **store_settings.child_environment()}
    command = [sys.executable, "-m", "components.exporter", "--problem", str(CONTRACT), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as process:
        try:
            line = process.stdout.readline()
            url = re.fullmatch(r"metrics: (http://127\.0\.0\.1:\d+/metrics)\n", line)
            assert url, line
            assert "tidemill_exporter_last_read_success" in CLIENT.get(url[1]).text
        finally:
            process.terminate()
            assert process.wait(60) == 0


def test_the_command_says_what_is_missing(monkeypatch, caplog):
    monkeypatch.delenv("TIDEMILL_S3_ENDPOINT", raising=False)
    assert main(["--problem", str(CONTRACT)]) == 1
    assert "metrics: TIDEMILL_S3_ENDPOINT must be set, but it is not." in caplog.text
