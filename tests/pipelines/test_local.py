"""A local run that fails says where, why and what to do; the next one goes on from what is still valid."""

import json
import os
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines.commands.app import main
from pipelines.runners.kfp_log import StepRun
from pipelines.runners.terminal import Terminal


def run(home: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, dict[str, Any]]:
    monkeypatch.setenv("TIDEMILL_HOME", str(home))
    code = main(["run", "training", *arguments])
    return code, json.loads((home / "last-run.json").read_text())


def list_ends(record: dict[str, Any]) -> list[tuple[str, str]]:
    return [(step["name"], step["status"]) for step in record["steps"]]


STOPPED_AT_INGEST = [("frame", "done"), ("ingest", "failed")]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_run_without_data_stops_at_ingest_and_the_next_one_resumes(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, record = run(home, monkeypatch, "--as-of", "2012-06-01")
    shown = capsys.readouterr().out
    assert code == 1
    assert record["status"] == "failed"
    assert list_ends(record) == STOPPED_AT_INGEST
    assert "ingest failed" in shown
    assert "flights" in record["error"]
    assert "Traceback" not in shown
    assert Path(record["log"]).is_file()

    code, record = run(home, monkeypatch, "--as-of", "2012-06-01")
    assert code == 1
    assert list_ends(record) == STOPPED_AT_INGEST


class StoreKiller(Terminal):
    """Kills the object store of the run's own home as soon as ingest has ended."""

    def step_finished(self, step: StepRun) -> None:
        super().step_finished(step)
        if step.name == "ingest":
            for child in psutil.Process().children(recursive=True):
                if child.name() == "weed" and os.environ["TIDEMILL_HOME"] in " ".join(child.cmdline()):
                    child.kill()


def test_run_whose_object_store_dies_says_so_and_the_next_one_goes_on(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.runners.terminal.Terminal", StoreKiller)
        code, record = run(home, monkeypatch, "--as-of", "2013-02-01")
    assert code == 1
    assert list_ends(record)[1:] == [("ingest", "done"), ("validate", "failed")]
    assert record["error"].startswith(
        "components.base.errors.StoreUnavailableError: get s3://tidemill/flight-delays/snap"
    )
    assert "must answer" in record["error"]

    code, record = run(home, monkeypatch, "--as-of", "2013-02-01")
    statuses = {step["name"]: step["status"] for step in record["steps"]}
    assert (statuses["validate"], statuses["build"]) == ("done", "done")
    # One month is too short for three roles of the contract: the next fault is the data's own.
    assert (code, statuses["prepare"]) == (1, "failed")
    assert "rows" in record["error"]


@pytest.mark.parametrize("arguments", [("--as-of", "July"), ("--problem", "flight-delays", "--as-of", "2013-7-1")])
def test_wrong_date_is_refused_before_anything_starts(
    arguments: tuple[str, ...], home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDEMILL_HOME", str(home))
    assert main(["run", "training", *arguments]) == 1
    assert "must be an ISO 8601 date" in " ".join(capsys.readouterr().err.split())
    assert not home.exists()


def test_unknown_problem_is_refused_before_anything_starts(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDEMILL_HOME", str(home))
    assert main(["demo", "--problem", "flight-delay"]) == 1
    assert "Did you mean 'flight-delays'?" in " ".join(capsys.readouterr().err.split())
    assert not home.exists()
