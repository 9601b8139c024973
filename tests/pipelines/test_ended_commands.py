"""However a command is ended, by a signal, a kill or its disk, it says so in words and leaves a recorded state."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from components.base import documents
from components.base.local_run import LocalRun
from components.base.run_lock import claim_run
from components.base.settings import Settings
from pipelines.commands.app import main
from tests.pipelines.test_killed_run import find_processes, has_begun, running_command, wait_for


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signal_ends_a_run_in_words_with_its_record(tmp_path: Path, number: signal.Signals) -> None:
    home = tmp_path / "home"
    with running_command(home, "run", "refresh", "--as-of", "2013-02-01") as run:
        wait_for(lambda: has_begun(home, "ingest"), "the step ingest")
        run.send_signal(number)
        assert run.wait(120) == 128 + number
        wait_for(lambda: not find_processes(home), "the end of every process of the run")
    shown = (tmp_path / "run.out").read_text()
    assert f"tidemill run: {number.name} has ended it." in shown
    assert "`tidemill runs` lists the runs" in shown
    assert "Traceback" not in shown
    (file,) = home.glob("runs/*/run.json")
    record = documents.read(LocalRun, file)
    assert (record.status, record.steps[-1].name, record.steps[-1].status) == ("failed", "ingest", "failed")


def test_run_that_was_killed_is_listed_as_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    with running_command(home, "run", "refresh", "--as-of", "2013-02-01") as run:
        wait_for(lambda: has_begun(home, "ingest"), "the step ingest")
        run.kill()
        run.wait()
    monkeypatch.setenv("TIDEMILL_HOME", str(home))
    assert main(["runs", "--problem", "flight-delays"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"refresh\s+flight-delays\s+2013-02-01\s+died", shown)
    assert "goes on from what it finished" in shown


def test_killed_ui_leaves_no_process(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running_command(home, "ui") as ui:
        wait_for(lambda: any("uvicorn" in one.cmdline() for one in find_processes(home)), "MLflow")
        ui.kill()
        ui.wait()
        wait_for(lambda: not find_processes(home), "the end of every process of the command")


def mount(folder: Path, options: str) -> None:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("only a user who may mount can fill a disk: run as root to see this test")


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest):
    folder = tmp_path / "disk"
    mount(folder, request.param)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("disk", ["ro"], indirect=True)
@pytest.mark.parametrize(
    "command", [["run", "refresh"], ["demo-data"], ["serve"], ["ui"], ["why"], ["rulings", "list"]]
)
def test_home_that_is_read_only_is_told_in_words(
    disk: Path, command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDEMILL_HOME", str(disk / "home"))
    assert main(command) == 1
    words = " ".join(capsys.readouterr().err.split())
    assert "must" in words
    assert "Read-only file system" in words


@pytest.mark.parametrize("disk", ["ro"], indirect=True)
def test_runs_are_listed_from_a_home_that_is_read_only(
    disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    with claim_run(disk / "runs" / "july"):
        pass
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    monkeypatch.setenv("TIDEMILL_HOME", str(disk))
    assert main(["runs"]) == 0
    assert "died" in capsys.readouterr().out


@pytest.mark.parametrize("disk", ["size=1m"], indirect=True)
def test_disk_that_is_full_ends_a_run_in_words(
    disk: Path, store_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The object store is elsewhere, and the run's own files find no room."""
    settings = store_settings.model_copy(update={"home": disk / "home"})
    (disk / "home").mkdir()
    with (disk / "ballast").open("wb", buffering=0) as ballast:
        while True:
            try:
                ballast.write(b"\0" * 4096)
            except OSError:
                break
    for name, value in settings.child_environment().items():
        if name.startswith("TIDEMILL_"):
            monkeypatch.setenv(name, value)
    assert main(["run", "refresh", "--as-of", "2012-06-01", "--no-seed"]) == 1
    assert "No space left on device" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("command", "next_command"),
    [
        (["runs"], "tidemill demo"),
        (["serve"], "make demo"),
        (["why"], "make demo"),
        (["adopt"], "tidemill run training"),
        (["rollback", "--reason", "ticket 12"], "make demo"),
        (["rulings", "list"], "No ruling yet"),
    ],
)
def test_empty_home_is_answered_with_the_next_command(
    tmp_path: Path,
    command: list[str],
    next_command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TIDEMILL_HOME", str(tmp_path / "home"))
    main(command)
    shown = capsys.readouterr()
    assert next_command in " ".join((shown.out + shown.err).split())
