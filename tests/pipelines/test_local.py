"""A local run that fails says where, why and what to do; the next one goes on from what is still valid."""

import json
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import boto3
import pytest

from components.base.adapters.mlflow import find_aliases
from components.base.settings import load_settings
from components.serving.endpoint import start_endpoint
from pipelines.commands.app import main
from pipelines.commands.run import list_next_commands
from pipelines.runners.kfp_log import StepRun
from pipelines.runners.services import embedded_services
from pipelines.runners.terminal import Terminal
from tests.unit.conftest import fill_features, fit_model, make_prepared, register_made


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


def test_run_leaves_nothing_among_the_temporary_files_of_the_system(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = tmp_path / "system"
    system.mkdir()
    monkeypatch.setenv("TMPDIR", str(system))
    monkeypatch.setattr(tempfile, "tempdir", None)
    _, record = run(home, monkeypatch, "--as-of", "2012-06-01")
    assert list_ends(record) == STOPPED_AT_INGEST
    assert list(system.iterdir()) == []
    assert not (Path(record["log"]).parent / "tmp").exists()
    assert tempfile.gettempdir() == str(system)


class StoreKiller(Terminal):
    """Kills the object store of the run's own home as soon as ingest has ended."""

    def step_finished(self, step: StepRun) -> None:
        super().step_finished(step)
        if step.name == "ingest":
            os.kill(int((Path(os.environ["TIDEMILL_HOME"]) / "object-store" / "lock").read_text()), signal.SIGKILL)


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


def test_held_version_is_served_aside_and_promoted_by_hand_after_its_run_has_ended(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run has stopped the object store that holds the model: each command starts it again."""
    # boto3 keeps the credentials of the first store of a process.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("TIDEMILL_HOME", str(home))
    with embedded_services(load_settings()):
        fill_features(tmp_path / "features", load_settings())
        prepared = make_prepared(tmp_path / "prepared")
        fit_model(tmp_path / "model", prepared)
        register_made(tmp_path, prepared, "run-1", "hold", load_settings())

    with embedded_services(load_settings()), start_endpoint("flight-delays", load_settings(), version="1") as aside:
        assert aside.version == "1"
    assert main(["promote", "--version", "1", "--reason", "ticket 12", "--by", "Ada"]) == 0
    assert "version 1" in capsys.readouterr().out.lower()
    assert find_aliases("flight-delays", load_settings()) == {"champion": "1"}


@pytest.mark.parametrize(
    ("version", "champion", "commands"),
    [
        ("2", "2", ["make serve", "make why VERSION=2", "make ui", "make runs"]),
        (
            "2",
            "1",
            [
                "make serve",
                "make serve VERSION=2",
                'make promote VERSION=2 REASON="..."',
                "make why VERSION=2",
                "make ui",
                "make runs",
            ],
        ),
        (
            "1",
            None,
            [
                "make serve VERSION=1",
                'make promote VERSION=1 REASON="..."',
                "make why VERSION=1",
                "make ui",
                "make runs",
            ],
        ),
        (None, None, ["make ui", "make runs"]),
    ],
)
def test_run_ends_with_commands_that_work_then(version: str | None, champion: str | None, commands: list[str]) -> None:
    assert [command for command, _ in list_next_commands("flight-delays", version, champion)] == commands
    assert all("PROBLEM=wine" in one for one, _ in list_next_commands("wine", version, champion)[:-2])
