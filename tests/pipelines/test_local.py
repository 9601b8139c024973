"""A local run that fails says where, why and what to do; the next one goes on from what is still valid."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.local import main


def run(home: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, dict[str, Any]]:
    monkeypatch.setenv("TIDEMILL_HOME", str(home))
    code = main(arguments)
    return code, json.loads((home / "last-run.json").read_text())


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
    assert [(step["name"], step["status"]) for step in record["steps"]] == [("frame", "done"), ("ingest", "failed")]
    assert "ingest failed" in shown
    assert "flights" in record["error"]
    assert "Traceback" not in shown
    assert Path(record["log"]).is_file()

    code, record = run(home, monkeypatch, "--as-of", "2012-06-01")
    assert code == 1
    assert [(step["name"], step["status"]) for step in record["steps"]] == [("frame", "reused"), ("ingest", "failed")]


def test_unknown_problem_is_refused_before_anything_starts(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDEMILL_HOME", str(home))
    assert main(["--problem", "flight-delay"]) == 1
    assert "Did you mean 'flight-delays'?" in " ".join(capsys.readouterr().out.split())
    assert not home.exists()
