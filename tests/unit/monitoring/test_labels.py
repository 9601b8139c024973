"""The ledger of delayed labels, over a real object store."""

import re
from datetime import timedelta

import pandas as pd
import pytest

from components.base.errors import DataError
from components.monitoring.labels import count_labels, join_labels, read_labels, update_labels
from components.monitoring.predictions import fetch_predictions
from components.tasks import open_task
from tests.unit.monitoring.flights_world import (
    AS_OF,
    PROBLEM,
    START,
    TASK,
    WINDOW,
    allow_duckdb,
    log_rows,
    make_flights,
    put_flights,
    put_log,
)

MIDDLE = START + timedelta(days=10)


@pytest.fixture(autouse=True)
def _environment(store_settings, monkeypatch):
    allow_duckdb(store_settings, monkeypatch)


@pytest.fixture
def flights():
    return make_flights(days=20, per_day=24)


@pytest.fixture
def predictions(store, flights, tmp_path):
    put_log(store, log_rows(flights))
    return fetch_predictions(TASK, store, WINDOW, tmp_path / "window")


@pytest.fixture
def update(store, predictions, tmp_path):
    """Append what is known at a moment, with some outcomes changed, and return the number of appended labels."""

    def run(flights, moment, changed=()):
        moved = flights.assign(late=flights["late"] ^ flights["flight"].isin(changed))
        accepted = put_flights(tmp_path / f"accepted-{moment:%d%H}-{len(changed)}", moved)
        return update_labels(TASK, accepted, [predictions], moment, store)

    return run


def read(store, moment):
    return read_labels(PROBLEM, store, moment).to_pandas().sort_values("flight", ignore_index=True)


def ledger(store):
    return {entry.key: store.get_bytes(entry.key) for entry in store.list_objects(f"{PROBLEM.name}/labels/")}


def test_labels_join_their_predictions_as_they_mature(store, flights, predictions, update):
    assert update(flights, MIDDLE) == (flights["outcome_at"] <= MIDDLE).sum() == 235
    assert update(flights, AS_OF) == 480 - 235
    joined = join_labels(PROBLEM, predictions, read_labels(PROBLEM, store, AS_OF), ["output__probability"]).to_pandas()
    pd.testing.assert_series_equal(joined["output__probability"], flights["probability"], check_names=False)
    assert (joined["label"] == flights["late"]).all()
    assert (joined["label_at"] == flights["outcome_at"]).all()


def test_label_is_unknown_before_it_matures(store, flights, predictions, update):
    update(flights, MIDDLE)
    joined = join_labels(PROBLEM, predictions, read_labels(PROBLEM, store, MIDDLE), ["event_time"]).to_pandas()
    assert (joined["label"].notna() == (flights["outcome_at"] <= MIDDLE)).all()


def test_flight_that_was_never_predicted_is_not_in_the_ledger(store, flights, update):
    strangers = flights.assign(flight=flights["flight"] + 5000)
    assert update(pd.concat([flights, strangers]), AS_OF) == 480


def test_changed_label_is_a_new_version_and_the_old_one_stays(store, flights, update):
    update(flights, MIDDLE)
    assert update(flights, MIDDLE + timedelta(hours=1), changed=(3, 7)) == 2 + 1
    before, now = read(store, MIDDLE), read(store, AS_OF)
    assert (before["version"] == 1).all()
    assert now.loc[now["version"] == 2, "flight"].tolist() == [3, 7]
    assert now.loc[now["is_changed"], "flight"].tolist() == [3, 7]
    assert (now["label"].head(10) != before["label"].head(10)).tolist() == [f in (3, 7) for f in range(1, 11)]


def test_label_that_changes_back_is_a_third_version(store, flights, update):
    update(flights, MIDDLE)
    update(flights, MIDDLE + timedelta(days=1), changed=(3,))
    update(flights, MIDDLE + timedelta(days=2))
    assert read(store, AS_OF).loc[2, "version"] == 3


def test_same_moment_again_writes_the_same_bytes(store, flights, update):
    update(flights, MIDDLE)
    update(flights, MIDDLE + timedelta(hours=1), changed=(3,))
    first = ledger(store)
    update(flights, MIDDLE + timedelta(hours=1), changed=(3,))
    update(flights, MIDDLE)
    assert ledger(store) == first


def test_older_moment_after_a_newer_one_leaves_the_newer_labels(store, flights, update):
    update(flights, AS_OF, changed=(3,))
    newer, newest = ledger(store), read(store, AS_OF)
    update(flights, MIDDLE)
    assert {key: content for key, content in ledger(store).items() if key in newer} == newer
    now = read(store, AS_OF)
    pd.testing.assert_frame_equal(now.drop(columns="is_changed"), newest.drop(columns="is_changed"))
    assert len(read(store, MIDDLE)) == 235


def test_ledger_that_nobody_wrote_is_empty(store, predictions):
    labels = read_labels(PROBLEM, store, AS_OF)
    joined = join_labels(PROBLEM, predictions, labels, ["event_time"]).to_pandas()
    assert (labels.num_rows, len(joined), joined["label"].notna().sum()) == (0, 480, 0)


def test_new_labels_are_counted_from_all_examples(flights, tmp_path):
    accepted = put_flights(tmp_path, flights)
    assert count_labels(TASK, accepted, MIDDLE, AS_OF) == 480 - 235


def test_key_that_no_caller_sends_cannot_be_joined(store, predictions, tmp_path):
    document = PROBLEM.model_dump()
    document["examples"]["request"].remove("dest")
    words = "key column `dest` must be one of `examples.request`, but is not."
    with pytest.raises(DataError, match=re.escape(words)):
        update_labels(open_task(type(PROBLEM).model_validate(document)), tmp_path, [predictions], AS_OF, store)
