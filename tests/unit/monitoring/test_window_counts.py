"""Counting a window batch by batch: the parts add up, and neither order nor batches matter."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.base.errors import DataError
from components.base.statistics.counts import measure_psi
from components.monitoring.drift import describe_features
from components.monitoring.window_counts import count_window, list_counted_columns
from components.serving.prediction_log.schema import SegmentHeader
from tests.unit.monitoring.window_rows import LIMITS, TASK, draw_reference, draw_rows, serve

REFERENCE = draw_reference()
ROW = st.tuples(
    st.one_of(st.just(float("nan")), st.floats(-5000, 5000)),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(["EWR", "JFK", "", "SFO", None]),
)
ROWS = st.lists(ROW, max_size=30)


def table(rows):
    distances, winds, origins = zip(*rows, strict=True) if rows else ((), (), ())
    numbers = {"distance": np.array(distances, "float64"), "wind": np.array(winds, "float64")}
    return pd.DataFrame({**numbers, "origin": pd.Series(origins, dtype=object)})


def counts_of(counted):
    """Return all counts without the sums, whose last digits depend on the order of adding."""
    sums = {"sums": (), "squares": 0.0}
    profile = counted.profile
    numeric = {name: bins.model_copy(update=sums) for name, bins in profile.numeric.items()}
    scores = profile.scores.model_copy(update=sums)
    return profile.model_copy(update={"numeric": numeric, "scores": scores}), counted.outside, counted.ages


def batch(rows):
    return serve(table(rows), probabilities=np.linspace(0, 1, len(rows)))


@settings(max_examples=60, deadline=None)
@given(ROWS, ROWS)
def test_counts_of_two_windows_add_up_to_those_of_both(first, second):
    batches = [batch(first), batch(second)]
    parts = [count_window(REFERENCE, [one]) for one in batches]
    assert counts_of(parts[0].add(parts[1])) == counts_of(count_window(REFERENCE, batches))


@settings(max_examples=60, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, random):
    whole = batch(rows)
    order = list(range(len(rows)))
    random.shuffle(order)
    shuffled = whole.take(pa.array(order, pa.int64()))
    one, other = count_window(REFERENCE, [whole]), count_window(REFERENCE, [shuffled])
    assert counts_of(one) == counts_of(other)
    for name, bins in one.profile.columns.items():
        assert measure_psi(bins, other.profile.columns[name]) == 0


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_every_row_is_counted_once_in_every_column(rows):
    counted = count_window(REFERENCE, [batch(rows)])
    assert counted.rows == len(rows)
    assert {bins.vector().sum() for bins in counted.profile.columns.values()} == {len(rows)}
    assert {ages.rows for ages in counted.ages.values()} == {len(rows)}


def test_the_size_of_the_batches_does_not_matter():
    rows = draw_rows(2000, moved=0.4)
    whole = serve(rows)
    pieces = [whole.slice(start, 7) for start in range(0, 2000, 7)]
    one, other = (describe_features(REFERENCE, count_window(REFERENCE, given), LIMITS) for given in ([whole], pieces))
    for state, again in zip(one, other, strict=True):
        assert (state.wasserstein or 0) == pytest.approx(again.wasserstein or 0, rel=1e-9)
        assert state.model_copy(update={"wasserstein": None}) == again.model_copy(update={"wasserstein": None})


def test_counting_the_training_rows_gives_their_profile():
    rows = draw_rows(5000, seed=1)
    counted = count_window(REFERENCE, [serve(rows)])
    reference = REFERENCE.profile
    assert counted.profile.numeric == reference.numeric
    assert counted.profile.categorical == reference.categorical


@pytest.mark.parametrize(
    "convert",
    [
        lambda column: column.dictionary_encode(),
        lambda column: column.cast(pa.large_string()),
    ],
    ids=["dictionary", "large string"],
)
def test_texts_are_counted_whatever_their_type(convert):
    whole = serve(draw_rows(500))
    place = whole.schema.get_field_index("feature__origin")
    changed = whole.set_column(place, "feature__origin", convert(whole.column(place)))
    assert (
        count_window(REFERENCE, [changed]).profile.categorical == count_window(REFERENCE, [whole]).profile.categorical
    )


def test_columns_of_nulls_are_missing_values():
    whole = serve(draw_rows(300))
    for name in ("feature__origin", "feature__wind", "age_seconds__plane"):
        whole = whole.set_column(whole.schema.get_field_index(name), name, pa.nulls(300))
    counted = count_window(REFERENCE, [whole])
    assert (counted.profile.categorical["origin"].missing, counted.profile.numeric["wind"].missing) == (300, 300)
    assert counted.ages["plane"].unknown == 300


def test_all_missing_columns_are_named_at_once():
    whole = serve(draw_rows(10)).drop_columns(["feature__wind", "age_seconds__plane"])
    with pytest.raises(DataError, match=re.escape("but age_seconds__plane, feature__wind are missing.")):
        count_window(REFERENCE, [whole])


def test_the_log_holds_every_column_that_is_counted():
    views = [view.name for view in REFERENCE.views]
    schema = SegmentHeader.of(TASK, REFERENCE.features, views, "1", {}).schema()
    names = list_counted_columns(REFERENCE)
    empty = schema.empty_table().select(names).to_batches()
    assert count_window(REFERENCE, empty).rows == 0
    assert set(names) <= set(schema.names)


def test_counted_columns_are_read_and_no_others():
    names = list_counted_columns(REFERENCE)
    counted = count_window(REFERENCE, [serve(draw_rows(50)).select(names)])
    assert counted.rows == 50
    assert "request_id" not in names
