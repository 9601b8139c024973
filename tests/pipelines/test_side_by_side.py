"""Commands of one home work side by side, as serve, ask, monitor is the natural order; two of one kind do not."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from components.base.adapters.seaweedfs import running_object_store
from components.base.home_lock import hold_alone
from components.base.settings import load_settings
from pipelines.commands.app import main


@pytest.fixture
def busy_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home in which another command is at work with the object store, as `make serve` and `make demo` are."""
    home = tmp_path / "home"
    # boto3 keeps the credentials of the first store of a process.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("TIDEMILL_HOME", str(home))
    with running_object_store(load_settings()):
        yield home


def test_files_land_and_pages_are_read_while_a_training_and_an_endpoint_are_under_way(
    busy_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with hold_alone(busy_home, "training of flight-delays"), hold_alone(busy_home, "endpoint flight-delays"):
        assert main(["demo-data", "--until", "2013-02-01"]) == 0
        assert main(["runs"]) == 0
        # There is no champion to explain: that is what it says, and not that somebody is at work.
        assert main(["why"]) == 1
    shown = capsys.readouterr()
    assert "files landed" in shown.out
    assert "there is no champion" in " ".join(shown.err.split())


def test_monitoring_and_refresh_begin_while_a_training_and_an_endpoint_are_under_way(
    busy_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with hold_alone(busy_home, "training of flight-delays"), hold_alone(busy_home, "endpoint flight-delays"):
        for pipeline in ("refresh", "monitoring"):
            # Nothing was delivered by then, so that each ends soon, by a fault of the data.
            assert main(["run", pipeline, "--as-of", "2012-06-01"]) == 1
    shown = capsys.readouterr()
    assert shown.out.count("✓ frame") == 2
    assert "one at a time" not in shown.err


def test_two_trainings_of_one_problem_are_refused_in_words(busy_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with hold_alone(busy_home, "training of flight-delays"):
        assert main(["run", "training", "--as-of", "2013-07-01", "--no-seed"]) == 1
    assert "training of flight-delays: one at a time must be under way" in " ".join(capsys.readouterr().err.split())
    assert not list(busy_home.glob("runs/*/lock"))
