"""A step is tried again after a transient fault alone, and leaves the reason of its end under the run's id."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from components.base.errors import DataError, StoreUnavailableError
from components.base.step_faults import StepFault, read_faults, write_fault
from components.base.step_process import run_step

RUN = {"STEP_ATTEMPTS": "4", "STEP_RUN_ID": "run-1"}


class Work:
    """Raises the given errors one after the other, then succeeds."""

    def __init__(self, *errors):
        self.errors, self.calls, self.waits = list(errors), 0, []

    def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)


def away():
    return StoreUnavailableError("store: it must answer, but got nothing.")


def settings_of(monkeypatch, settings):
    for name, value in settings.child_environment().items():
        monkeypatch.setenv(name, value)


def test_a_transient_fault_is_tried_again_after_growing_waits():
    work = Work(away(), away(), away())
    run_step(work, "ingest", RUN, work.waits.append)
    assert (work.calls, work.waits) == (4, [15.0, 30.0, 60.0])


def test_a_permanent_fault_ends_the_step_at_once_and_leaves_its_reason(monkeypatch, store_settings, store):
    settings_of(monkeypatch, store_settings)
    work = Work(DataError("validate: flights are older than they may be."))
    with pytest.raises(DataError):
        run_step(work, "validate", RUN, work.waits.append)
    (fault,) = read_faults(store, "run-1")
    assert (work.calls, work.waits) == (1, [])
    assert (fault.step, fault.reason) == ("validate", "validate: flights are older than they may be.")
    assert not fault.is_transient


def test_a_transient_fault_that_lasts_ends_the_step_after_its_attempts(monkeypatch, store_settings, store):
    settings_of(monkeypatch, store_settings)
    work = Work(*(away() for _ in range(9)))
    with pytest.raises(StoreUnavailableError):
        run_step(work, "build", RUN, work.waits.append)
    assert work.calls == 4
    assert [fault.is_transient for fault in read_faults(store, "run-1")] == [True]


def test_an_error_that_nobody_foresaw_is_named_with_its_kind(monkeypatch, store_settings, store):
    settings_of(monkeypatch, store_settings)
    with pytest.raises(KeyError):
        run_step(Work(KeyError("flights")), "explore", RUN)
    assert read_faults(store, "run-1")[0].reason == "KeyError: 'flights'"


def test_a_store_that_is_away_does_not_hide_the_error(monkeypatch, store_settings):
    settings_of(monkeypatch, store_settings)
    monkeypatch.setenv("TIDEMILL_S3_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match="the data"):
        run_step(Work(DataError("the data")), "ingest", {"STEP_RUN_ID": "run-1"})


def test_a_step_of_one_machine_has_one_attempt_and_leaves_no_object(monkeypatch, store_settings, store):
    settings_of(monkeypatch, store_settings)
    work = Work(away())
    with pytest.raises(StoreUnavailableError):
        run_step(work, "ingest", {}, work.waits.append)
    assert (work.calls, list(store.list_objects())) == (1, [])


def test_faults_of_a_run_are_read_in_the_order_of_time(store):
    for hour, step in ((9, "prepare"), (8, "explore")):
        at = datetime(2026, 1, 1, hour, tzinfo=UTC)
        write_fault(store, "run-1", StepFault(step=step, reason="no", is_transient=False, at=at))
    assert [fault.step for fault in read_faults(store, "run-1")] == ["explore", "prepare"]
    assert read_faults(store, "run-2") == []


def test_the_process_of_a_step_gives_the_sdks_their_variables_as_in_a_pod(tmp_path):
    module = tmp_path / "ephemeral_component.py"
    module.write_text("import os\n\ndef ingest():\n    print('endpoint', os.environ['AWS_ENDPOINT_URL_S3'])\n")
    command = [sys.executable, "-m", "components.base.step_process", "--function_to_execute", "ingest"]
    outputs = json.dumps({"outputs": {"outputFile": str(tmp_path / "out.json")}})
    settings = {
        "TIDEMILL_S3_ENDPOINT": "http://store:8333",
        "TIDEMILL_S3_ACCESS_KEY": "a",
        "TIDEMILL_S3_SECRET_KEY": "b",
    }
    done = subprocess.run(
        [*command, "--component_module_path", str(module), "--executor_input", outputs],
        capture_output=True,
        text=True,
        env={"_KFP_RUNTIME": "true", "PATH": "", "TIDEMILL_HOME": str(tmp_path), **settings},
    )
    assert done.returncode == 0, done.stderr
    assert "endpoint http://store:8333" in done.stdout
