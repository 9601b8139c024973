"""The one screen of an installation: what is there, and what cannot be read, each in its line."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest

from components.base.adapters.s3 import open_store
from components.base.run_records import PipelineRun, write_record
from components.base.settings import load_settings
from pipelines.cluster.status import read_counted_rows, read_status
from pipelines.commands.app import main

NOW = datetime(2026, 5, 1, 4, tzinfo=UTC)


@pytest.fixture
def screen(store_settings, tmp_path):
    """The screen of an installation of one problem."""
    store_settings.home.mkdir()
    (tmp_path / "problems").mkdir()
    shutil.copy(store_settings.problems / "flight-delays.yaml", tmp_path / "problems")
    installed = store_settings.model_copy(update={"problems": tmp_path / "problems"})

    def read(settings=installed):
        return {section.title: " | ".join(section.lines) for section in read_status(settings)}

    return read


def test_an_empty_installation_says_what_is_not_there_yet(screen):
    found = screen()
    assert "flight-delays" in found
    assert "refresh     never; due " in found["runs"]
    assert "retraining  is not paused" in found["runs"]
    assert found["model"] == "registry: no version | endpoint flight-delays: none"
    assert "the online store was never filled" in found["fresh"]
    assert "no result yet" in found["fresh"]
    assert found["alerts"] == "no Prometheus is configured: look at Grafana"


def test_the_last_run_of_each_pipeline_is_said_with_its_end(store_settings, screen):
    run = PipelineRun(
        pipeline="monitoring",
        problem="flight-delays",
        name="m",
        as_of=NOW,
        status="failed",
        started=NOW,
        ended=NOW + timedelta(seconds=90),
        seconds=90.0,
    )
    write_record(open_store(store_settings), run)
    assert "monitoring  failed 1 May 2026, 04:01 in 1.5 minutes; due " in screen()["runs"]


def test_what_cannot_be_read_takes_its_line_and_nothing_else(store_settings, screen, tmp_path):
    broken = store_settings.model_copy(
        update={
            "mlflow_uri": "http://127.0.0.1:9",
            "prometheus_url": "http://127.0.0.1:9",
            "governor_database": "postgresql+psycopg://a:b@127.0.0.1:9/c",
        }
    )
    found = screen(broken)
    assert "retraining  cannot be read: governor database" in found["runs"]
    assert "b@" not in found["runs"]
    assert found["model"].startswith("cannot be read: ")
    assert found["alerts"].startswith("cannot be read: prometheus http://127.0.0.1:9")
    assert "the online store was never filled" in found["fresh"]


def test_a_predictor_that_prometheus_does_not_know_is_asked_itself():
    text = """
# TYPE tidemill_predictor_rows_total counter
tidemill_predictor_rows_total{model_version="3",problem="flight-delays"} 1.2e+03
tidemill_predictor_rows_total{model_version="4",problem="flight-delays"} 7.0
tidemill_predictor_rows_created{model_version="4",problem="flight-delays"} 1.7e+09
"""
    assert read_counted_rows(text) == {"3": 1200, "4": 7}


def test_the_command_prints_the_screen(store_settings, screen, monkeypatch, capsys):
    for name, value in store_settings.child_environment().items():
        monkeypatch.setenv(name, value)
    load_settings()
    assert main(["status"]) == 0
    shown = capsys.readouterr().out
    assert "model     registry: no version" in shown
    assert "          endpoint flight-delays: none" in shown
