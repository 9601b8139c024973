"""Runs on one machine: a key begins once, outlives who started it, and its folder tells what became of it."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from components.base.errors import TransientError
from components.base.run_lock import claim_run, read_state
from components.base.runner import ListedRun, RunReport
from pipelines.runners.local import LocalRunner

ROOT = Path(__file__).parents[2]
RUN = (sys.executable, str(Path(__file__).with_name("governor_run.py")))
AS_OF = datetime(2013, 10, 1, tzinfo=UTC)
RECORD = {"name": "k", "problem": "flight-delays", "as_of": AS_OF.isoformat(), "started": AS_OF.isoformat(),
          "seconds": 1.0}  # fmt: skip
DONE = {"status": "done", "deployment": "kept", "verdict": "hold", "model_version": "3", "reasons": ["Too little."]}


STARTED: list[LocalRunner] = []


@pytest.fixture(autouse=True)
def every_child_ended():
    """Wait for the processes that a test has started: they outlive their runners, as they should."""
    yield
    for one in STARTED:
        for child in one._children.values():
            child.wait(30)
    STARTED.clear()


def runner(home: Path, command=RUN) -> LocalRunner:
    STARTED.append(LocalRunner(home, {**os.environ, "TIDEMILL_HOME": str(home)}, command))
    return STARTED[-1]


def wait(done, seconds=30):
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert done()


def ran(home: Path) -> list[str]:
    return (home / "ran.txt").read_text().splitlines() if (home / "ran.txt").exists() else []


def test_a_run_is_started_and_found_to_its_end(tmp_path):
    mine = runner(tmp_path)
    assert mine.find("k", "flight-delays") == RunReport("unknown")
    mine.start("k", "training", "flight-delays", AS_OF)
    wait(lambda: mine.find("k", "flight-delays").state == "succeeded")
    assert mine.find("k", "flight-delays") == RunReport("succeeded", "promoted", "2", ("It is better.",))


def test_eight_starts_at_once_are_one_run(tmp_path):
    runners = [runner(tmp_path) for _ in range(8)]
    for one in runners:
        one.start("k", "training", "flight-delays", AS_OF)
    wait(lambda: all(child.poll() == 0 for one in runners for child in one._children.values()))
    assert ran(tmp_path) == ["k"]
    runner(tmp_path).start("k", "training", "flight-delays", AS_OF)
    assert read_state(tmp_path / "runs" / "k") == "ended"


def test_a_run_that_is_killed_has_failed_and_never_runs_again(tmp_path):
    (tmp_path / "wait").touch()
    mine = runner(tmp_path)
    mine.start("k", "training", "flight-delays", AS_OF)
    wait(lambda: ran(tmp_path) == ["k"])
    assert mine.find("k", "flight-delays").state == "running"
    os.kill(int((tmp_path / "runs/k/lock").read_text()), signal.SIGKILL)
    wait(lambda: mine.find("k", "flight-delays").state == "failed")
    mine.start("k", "training", "flight-delays", AS_OF)
    assert runner(tmp_path).find("k", "flight-delays").state == "failed"
    assert ran(tmp_path) == ["k"]


def test_a_program_that_ends_before_it_began_says_its_last_words(tmp_path):
    mine = runner(tmp_path, (sys.executable, "-c", "import sys; sys.exit('no module named pipelines')"))
    mine.start("k", "training", "flight-delays", AS_OF)
    wait(lambda: mine.find("k", "flight-delays").state == "failed")
    assert "no module named pipelines" in mine.find("k", "flight-delays").reasons[0]


def test_a_program_that_cannot_be_started_is_tried_again_later(tmp_path):
    with pytest.raises(TransientError, match="its process must start"):
        runner(tmp_path, (str(tmp_path / "missing"),)).start("k", "training", "flight-delays", AS_OF)


def test_a_run_knows_nothing_of_the_governors_secrets(tmp_path):
    given = {**os.environ, "TIDEMILL_HOME": str(tmp_path), "TIDEMILL_GOVERNOR_TOKEN_FILE": "/secret/token"}
    show = "import json, os; print(json.dumps(sorted(os.environ)))"
    mine = LocalRunner(tmp_path, given, (sys.executable, "-c", show))
    mine.start("k", "training", "flight-delays", AS_OF)
    wait(lambda: mine._children["k"].poll() == 0)
    names = json.loads((tmp_path / "runs/k/launch.log").read_text())
    assert "TIDEMILL_HOME" in names
    assert not [name for name in names if "GOVERNOR" in name]


@pytest.mark.parametrize(
    ("record", "state", "outcome"),
    [
        (DONE, "succeeded", "held"),
        ({**DONE, "verdict": "refuse"}, "succeeded", "refused"),
        ({**DONE, "verdict": "promote"}, "succeeded", "held"),
        ({**DONE, "deployment": "refused", "verdict": "promote"}, "succeeded", "refused"),
        ({**DONE, "deployment": "promoted", "verdict": "promote"}, "succeeded", "promoted"),
        ({"status": "failed", "error": "ingest: no drop."}, "failed", None),
    ],
)
def test_the_record_tells_the_outcome(tmp_path, record, state, outcome):
    with claim_run(tmp_path / "runs/k") as is_ours:
        assert is_ours
        (tmp_path / "runs/k/run.json").write_text(json.dumps({**RECORD, **record}))
        assert runner(tmp_path).find("k", "flight-delays").state == "running"
    found = runner(tmp_path).find("k", "flight-delays")
    assert (found.state, found.outcome) == (state, outcome)


def test_a_record_that_was_cut_off_is_a_failure(tmp_path):
    with claim_run(tmp_path / "runs/k"):
        (tmp_path / "runs/k/run.json").write_text('{"status": "do')
    assert runner(tmp_path).find("k", "flight-delays").state == "failed"


def test_a_look_at_a_folder_does_not_keep_a_run_from_its_claim(tmp_path):
    """Thousands of looks while runs claim: each claim is granted."""
    folder = tmp_path / "runs"
    look = "import sys, pathlib; from components.base.run_lock import read_state\npath = pathlib.Path(sys.argv[1])"
    look += "\nwhile True: read_state(path)"
    for number in range(20):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "lock").touch()
    looker = subprocess.Popen([sys.executable, "-c", look, str(folder / "7")], cwd=ROOT)
    try:
        time.sleep(0.5)
        for number in range(20):
            with claim_run(folder / str(number)) as is_ours:
                assert is_ours
    finally:
        looker.kill()
        looker.wait()


def test_any_pipeline_can_be_started_and_its_name_reaches_the_program(tmp_path):
    show = "import json, sys; print(json.dumps(sys.argv[1:]))"
    mine = runner(tmp_path, (sys.executable, "-c", show))
    mine.start("k", "refresh", "wine", AS_OF)
    wait(lambda: mine._children["k"].poll() == 0)
    shown = json.loads((tmp_path / "runs/k/launch.log").read_text())
    assert shown == ["refresh", "--problem", "wine", "--as-of", AS_OF.isoformat(), "--run-id", "k", "--no-seed"]


def test_a_run_that_releases_nothing_succeeds_without_an_outcome(tmp_path):
    with claim_run(tmp_path / "runs/k"):
        (tmp_path / "runs/k/run.json").write_text(json.dumps({**RECORD, "status": "done"}))
    assert runner(tmp_path).find("k", "flight-delays") == RunReport("succeeded")


def test_runs_are_listed_with_their_records_the_oldest_first_and_then_those_that_run(tmp_path):
    mine = runner(tmp_path)
    assert (mine.list_runs(), mine.list_schedules()) == ([], [])
    common = {"pipeline": "training", "as_of": "2013-07-01T00:00:00+00:00", "seconds": 9.0, "report": None}
    for name, problem, second, status in (("b", "wine", 2, "failed"), ("a", "flight-delays", 1, "done")):
        (tmp_path / "runs" / name).mkdir(parents=True)
        record = {**common, "name": name, "problem": problem, "started": f"2026-11-24T10:00:0{second}+00:00"}
        (tmp_path / "runs" / name / "run.json").write_text(json.dumps({**record, "status": status, "verdict": "hold"}))
    with claim_run(tmp_path / "runs/c"):
        first, *others = mine.list_runs()
        assert [(run.key, run.state) for run in others] == [("b", "failed"), ("c", "running")]
    started = datetime(2026, 11, 24, 10, 0, 1, tzinfo=UTC)
    as_of = "2013-07-01T00:00:00+00:00"
    assert first == ListedRun("a", "training", "flight-delays", as_of, "succeeded", started, 9.0, "hold")
    assert [run.key for run in mine.list_runs("wine")] == ["b"]
