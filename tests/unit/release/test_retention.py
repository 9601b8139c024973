"""`tidemill prune`: what a contract keeps no longer goes, and nothing that a version in charge needs."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from components.base.adapters import mlflow as tracking
from components.base.contract.load import load_problem
from components.base.contract.problem import Keep
from components.base.errors import ContractError
from components.base.home_lock import hold_alone
from components.base.local_run import LocalRun
from components.release.retention import delete_expired, find_expired
from pipelines.commands import prune
from pipelines.commands.app import main
from pipelines.runners.records import delete_runs, find_expired_runs, read_records, write_record
from tests.unit.conftest import PROBLEM

FLIGHTS = Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml"
KEPT = PROBLEM.model_copy(update={"keep": Keep(snapshot_days=30, prediction_days=30)})


@pytest.fixture
def versions(store, monkeypatch):
    """A registry by its answers: what each version was made of, which aliases there are."""
    made = {"1": "old", "2": "older", "3": "held", "4": "lost"}
    uri = store.uri("flight-delays/{}/{}")

    def find_version(problem, version, settings):
        tags = {
            "snapshot": uri.format("snapshots", made[version]) + "/",
            "features": uri.format("features", made[version]),
        }
        return tracking.VersionRecord(version, "s3://b/m", tags)

    monkeypatch.setattr(tracking, "find_version", find_version)
    monkeypatch.setattr(tracking, "find_aliases", lambda *_: {"champion": "1", "challenger": "3"})
    monkeypatch.setattr(tracking, "find_previous_champion", lambda *_: "2")


def put_folder(store, part, name, marker):
    for file in ("a.parquet", marker):
        store.put_bytes(f"flight-delays/{part}/{name}/{file}", b"content")


def put_all(store, *names):
    for name in names:
        put_folder(store, "snapshots", name, "snapshot.json")
        put_folder(store, "features", name, "features.json")


def names_of(expired):
    return sorted(folder.uri.partition("/flight-delays/")[2] for folder in expired)


def later(store, days, key="flight-delays/snapshots/newest/snapshot.json"):
    return store.describe(key).modified_at + timedelta(days=days)


def test_what_a_version_in_charge_was_made_of_and_the_newest_stay(store, store_settings, versions):
    put_all(store, "old", "older", "held", "lost", "nobody")
    # S3 counts the time in seconds.
    time.sleep(1.1)
    put_all(store, "newest")
    found = find_expired(KEPT, later(store, 40), store, store_settings)
    assert names_of(found) == ["features/lost", "features/nobody", "snapshots/lost", "snapshots/nobody"]
    assert {folder.size_bytes for folder in found} == {14}
    delete_expired(found, store)
    left = {entry.key.split("/")[2] for entry in store.list_objects("flight-delays/")}
    assert left == {"old", "older", "held", "newest"}
    assert find_expired(KEPT, later(store, 40), store, store_settings) == []


def test_what_was_used_again_is_young(store, store_settings, versions):
    put_all(store, "nobody", "newest")
    time.sleep(1.1)
    put_all(store, "newest")
    now = later(store, 30)
    assert names_of(find_expired(KEPT, now, store, store_settings)) == ["features/nobody", "snapshots/nobody"]
    store.touch("flight-delays/snapshots/nobody/snapshot.json")
    assert names_of(find_expired(KEPT, now, store, store_settings)) == ["features/nobody"]


def test_what_makes_a_folder_visible_goes_first(store, store_settings, versions):
    put_all(store, "nobody")
    time.sleep(1.1)
    put_all(store, "newest")
    for folder in find_expired(KEPT, later(store, 40), store, store_settings):
        assert folder.keys[0].endswith(".json")


def test_days_of_predictions_go_by_the_day_on_which_they_were_logged(store, store_settings, versions):
    key = "flight-delays/predictions/day=2013-07-01/segment.parquet"
    store.put_bytes(key, b"content")
    assert find_expired(KEPT, later(store, 30, key), store, store_settings) == []
    expired = find_expired(KEPT, later(store, 31, key), store, store_settings)
    assert names_of(expired) == ["predictions/day=2013-07-01"]


def test_a_contract_that_keeps_everything_has_nothing_that_expires(store, store_settings):
    put_all(store, "nobody")
    assert (
        find_expired(PROBLEM, later(store, 9999, "flight-delays/snapshots/nobody/snapshot.json"), store, store_settings)
        == []
    )


def save_run(home, name, pipeline, started):
    folder = home / "runs" / name
    folder.mkdir(parents=True)
    run = LocalRun(
        name=name, pipeline=pipeline, problem="flight-delays", as_of=started, status="done", started=started,
        log=str(folder / "run.log"),
    )  # fmt: skip
    write_record(home, run)


def test_runs_go_by_their_start_and_the_newest_of_each_pipeline_stays(tmp_path):
    for name, pipeline, day in (("a", "training", 1), ("b", "training", 2), ("c", "refresh", 1), ("d", "training", 9)):
        save_run(tmp_path, name, pipeline, f"2026-01-0{day}T00:00:00+00:00")
    kept = PROBLEM.model_copy(update={"keep": Keep(run_days=7)})
    expired = find_expired_runs(tmp_path, kept, datetime(2026, 1, 9, 12, tzinfo=UTC))
    assert [folder.name for folder in expired] == ["a", "b"]
    delete_runs(expired)
    assert sorted(record.name for record in read_records(tmp_path)) == ["c", "d"]
    assert find_expired_runs(tmp_path, PROBLEM, datetime(2099, 1, 1, tzinfo=UTC)) == []


def test_the_command_shows_first_and_then_deletes(store, store_settings, versions, tmp_path, monkeypatch, capsys):
    put_all(store, "nobody")
    time.sleep(1.1)
    put_all(store, "newest")
    contract = FLIGHTS.read_text() + "\nkeep: {snapshot_days: 1}\n"
    (tmp_path / FLIGHTS.name).write_text(contract)
    for name, value in {**store_settings.child_environment(), "TIDEMILL_PROBLEMS": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(prune, "find_now", lambda: later(store, 2))
    with hold_alone(store_settings.home, "refresh of flight-delays"):
        assert main(["prune"]) == 1
    assert "refresh of flight-delays: one at a time must be under way" in capsys.readouterr().err
    assert main(["prune", "--plan"]) == 0
    assert "2 folders of the object store, 0 runs would be deleted." in capsys.readouterr().out
    assert store.exists("flight-delays/snapshots/nobody/snapshot.json")
    assert main(["prune"]) == 0
    assert not store.exists("flight-delays/snapshots/nobody/snapshot.json")
    assert store.exists("flight-delays/snapshots/newest/snapshot.json")


def test_predictions_that_monitoring_still_reads_cannot_expire(tmp_path):
    file = tmp_path / FLIGHTS.name
    file.write_text(FLIGHTS.read_text() + "\nkeep: {prediction_days: 5}\n")
    with pytest.raises(ContractError, match=r"`keep.prediction_days` must be at least 3\d, a window of monitoring"):
        load_problem(file)
