"""A contract that a run keeps has the name of its content, and comes back as it was."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from components.base import run_order
from components.base.contract.load import load_problem, write_problem
from components.base.contract.stored import fetch_problem, store_problem
from components.base.errors import ContractError, ObjectMissingError
from components.base.steps import frame

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml")


def test_the_same_contract_has_the_same_uri_and_another_one_has_another(store, store_settings):
    uri = store_problem(PROBLEM, store)
    changed = PROBLEM.model_copy(update={"title": "Another title"})
    assert store_problem(PROBLEM, store) == uri
    assert store_problem(changed, store) != uri
    assert fetch_problem(uri, store_settings) == PROBLEM


def test_a_path_of_this_machine_is_read_without_a_store(tmp_path, store_settings):
    write_problem(PROBLEM, tmp_path / "problem.json")
    assert fetch_problem(str(tmp_path / "problem.json"), store_settings) == PROBLEM


def test_a_contract_that_is_gone_is_named(store, store_settings):
    with pytest.raises(ObjectMissingError, match="contracts/0"):
        fetch_problem(store.uri("flight-delays/contracts/0.json"), store_settings)


def test_frame_gives_the_time_of_the_run_or_the_one_for_which_it_was_due(monkeypatch, store_settings, store):
    for name, value in store_settings.child_environment().items():
        monkeypatch.setenv(name, value)
    contract, as_of = frame.python_func(problem="flight-delays", as_of="2013-07-01", due="not read")
    assert (fetch_problem(contract, store_settings), as_of) == (PROBLEM, "2013-07-01T00:00:00+00:00")
    again, due = frame.python_func(problem="flight-delays", as_of="", due="2026-11-26T05:00:00Z")
    assert (again, due) == (contract, "2026-11-26T05:00:00+00:00")


def test_frame_refuses_features_that_the_contract_cannot_name(monkeypatch, store_settings, tmp_path):
    contract = Path(store_settings.problems / "flight-delays.yaml").read_text()
    clashing = contract.replace("      distance:", "      plane_seats:").replace("distance]", "plane_seats]")
    (tmp_path / "flight-delays.yaml").write_text(clashing.replace("f.distance", "f.plane_seats"))
    for name, value in store_settings.child_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TIDEMILL_PROBLEMS", str(tmp_path))
    with pytest.raises(ContractError, match="but got plane_seats twice"):
        frame.python_func(problem="flight-delays", as_of="2013-07-01", due="not read")


def test_a_run_waits_for_the_pipeline_before_it_only_when_its_schedule_started_it(monkeypatch, store_settings):
    for name, value in store_settings.child_environment().items():
        monkeypatch.setenv(name, value)
    waited = []
    monkeypatch.setattr(run_order, "wait_for_earlier", lambda *seen: waited.append(seen[2:]))
    frame.python_func(problem="flight-delays", as_of="", due="2026-11-26T06:00:00Z", after="refresh")
    frame.python_func(problem="flight-delays", as_of="2026-11-26", due="2026-11-26T06:00:00Z", after="refresh")
    assert waited == [
        ("refresh", datetime(2026, 11, 26, 6, tzinfo=UTC)),
        ("", datetime(2026, 11, 26, tzinfo=UTC)),
    ]
