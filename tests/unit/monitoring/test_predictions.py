"""Reading the prediction log over a real object store."""

import re
from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from components.base.errors import DataError
from components.monitoring.predictions import fetch_predictions
from components.monitoring.results import Window
from tests.unit.monitoring.flights_world import (
    AS_OF,
    FEATURES,
    PROBLEM,
    START,
    TASK,
    WINDOW,
    allow_duckdb,
    log_rows,
    make_flights,
    put_log,
)


@pytest.fixture(autouse=True)
def _environment(store_settings, monkeypatch):
    allow_duckdb(store_settings, monkeypatch)


def test_window_counts_its_start_in_and_its_end_out(store, tmp_path):
    flights = make_flights(days=4, per_day=24)
    put_log(store, log_rows(flights))
    window = Window(start=START + timedelta(days=1), end=START + timedelta(days=2, hours=6))
    times = fetch_predictions(TASK, store, window, tmp_path).read(["event_time"])["event_time"]
    assert (len(times), times.min(), times.max()) == (30, window.start, window.end - timedelta(hours=1))


def test_first_logged_of_a_replayed_row_counts(store, tmp_path):
    flights = make_flights(days=2, per_day=24)
    rows = log_rows(flights)
    late = log_rows(flights.head(5), logged_at=flights["event_time"] + timedelta(hours=1), output__probability=0.99)
    # The replay lies in an object that is read before the original.
    put_log(store, late, segment="0")
    put_log(store, rows, segment="1")
    predictions = fetch_predictions(TASK, store, WINDOW, tmp_path)
    assert (predictions.rows, predictions.repeated_rows) == (48, 5)
    assert not (predictions.read(["output__probability"])["output__probability"] == 0.99).any()


def test_rows_of_one_request_are_no_replays(store, tmp_path):
    flights = make_flights(days=1, per_day=10)
    put_log(store, log_rows(flights, request_id="one", row=np.arange(10, dtype="int32")))
    predictions = fetch_predictions(TASK, store, WINDOW, tmp_path)
    assert (predictions.rows, predictions.repeated_rows) == (10, 0)


def test_one_key_with_other_content_counts_as_often_as_it_comes_and_is_named(store, tmp_path):
    flights = make_flights(days=2, per_day=24)
    put_log(store, log_rows(flights, request_id="one"), segment="0")
    put_log(store, log_rows(flights.head(3), request_id="one"), segment="1")
    predictions = fetch_predictions(TASK, store, WINDOW, tmp_path)
    assert (predictions.rows, predictions.repeated_rows, predictions.reused_keys) == (48, 3, 1)


def test_segments_with_other_features_are_read_together(store, tmp_path):
    put_log(store, log_rows(make_flights(days=1), features=FEATURES[:2]), segment="old")
    put_log(store, log_rows(make_flights(days=1, seed=1), version="2"), segment="new")
    predictions = fetch_predictions(TASK, store, WINDOW, tmp_path)
    read = predictions.read(["model_version", "feature__distance", "feature__scheduled_hour"])
    known = read.set_index("model_version").notna().groupby(level=0).mean()
    assert known.loc["1"].tolist() == [1, 0]
    assert known.loc["2"].tolist() == [1, 1]


def test_rows_of_format_1_are_read_with_those_of_format_2(store, tmp_path):
    """Format 1 named the probability without a prefix and repeated the threshold in every row."""
    flights = make_flights(days=2, per_day=24)
    first, output = log_rows(flights.head(24), version="1"), "output__probability"
    old = first.rename_columns(["probability" if name == output else name for name in first.column_names])
    put_log(store, old.append_column("threshold", pa.array(np.full(24, 0.3))), segment="old")
    put_log(store, log_rows(flights.tail(24), version="2"), segment="new")
    predictions = fetch_predictions(TASK, store, WINDOW, tmp_path)
    read = predictions.read([output, "decision"])
    np.testing.assert_allclose(read[output], flights["probability"])
    assert read["decision"].tolist() == (flights["probability"] >= 0.3).tolist()
    assert not {"probability", "threshold"} & set(predictions.columns)


def test_batches_hold_the_rows_of_one_version(store, tmp_path):
    flights = make_flights(days=3)
    put_log(store, log_rows(flights.head(100)), segment="old")
    put_log(store, log_rows(flights.tail(80), version="2"), segment="new")
    predictions = fetch_predictions(TASK, store, WINDOW, tmp_path)
    batches = list(predictions.iterate(["feature__carrier", "output__probability"], version="2"))
    table = pa.Table.from_batches(batches)
    assert table.column_names == ["feature__carrier", "output__probability"]
    np.testing.assert_allclose(table["output__probability"].to_numpy(), flights.tail(80)["probability"])


def test_window_without_predictions_is_an_empty_table(store, tmp_path):
    predictions = fetch_predictions(TASK, store, WINDOW, tmp_path)
    rows = predictions.read(["event_time", "scheduled_at", "output__probability", "model_version"])
    assert (predictions.rows, predictions.repeated_rows) == (0, 0)
    assert isinstance(rows["event_time"].dtype, pd.DatetimeTZDtype)
    assert rows["output__probability"].dtype == "float64"
    assert list(predictions.iterate(["output__probability"])) == []


def test_days_outside_the_window_are_not_opened(store, tmp_path):
    store.put_bytes(f"{PROBLEM.name}/predictions/day=2013-05-31/a.parquet", b"damaged")
    store.put_bytes(f"{PROBLEM.name}/predictions/day={AS_OF:%Y-%m-%d}/a.parquet", b"damaged")
    assert fetch_predictions(TASK, store, WINDOW, tmp_path).rows == 0


def test_damaged_segment_is_named(store, tmp_path):
    store.put_bytes(f"{PROBLEM.name}/predictions/day=2013-06-02/a.parquet", b"damaged")
    with pytest.raises(DataError, match=r"prediction log .*day=2013-06-02/a\.parquet: the segment must be whole"):
        fetch_predictions(TASK, store, WINDOW, tmp_path)


def test_columns_that_are_not_logged_are_named_together(store, tmp_path):
    put_log(store, log_rows(make_flights(days=1)))
    predictions = fetch_predictions(TASK, store, WINDOW, tmp_path)
    with pytest.raises(DataError, match=re.escape("`feature__distanc` must be logged, but is not. Did you mean")):
        predictions.read(["feature__distanc", "feature__nothing"])
