import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.base.dataset import Feature
from components.base.errors import DataError
from components.base.statistics.counts import CategoryCounts, NumericCounts, measure_output_psi, measure_psi
from components.features.explore.profile import (
    CATEGORIES_KEPT,
    NUMERIC_BINS,
    add_scores,
    build_profile,
    count_rows,
    merge_profiles,
    profile_names,
    profile_numbers,
    read_profile,
    write_profile,
)
from components.monitoring.drift import limit_psi

FEATURES = (
    Feature("size", "numeric", "request", "A size"),
    Feature("colour", "categorical", "request", "A colour"),
)
ROW = st.tuples(
    st.floats(allow_nan=True, allow_infinity=True, width=32),
    st.sampled_from(["red", "green", "blue", "", None]),
    st.sampled_from([0.0, 1.0, float("nan")]),
)


def counts_of(profile):
    """Leave out the sums, whose last digits depend on the order of adding."""
    sums = {"sums": (), "squares": 0.0}
    return profile.model_copy(
        update={"numeric": {name: bins.model_copy(update=sums) for name, bins in profile.numeric.items()}}
    )


def table(rows):
    sizes, colours, outcomes = zip(*rows, strict=True) if rows else ((), (), ())
    return pd.DataFrame(
        {
            "size": np.array(sizes, dtype="float64"),
            "colour": pd.Series(colours, dtype=object),
            "late": np.array(outcomes, dtype="float64"),
        }
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=40), st.lists(ROW, max_size=40), st.lists(ROW, max_size=40))
def test_profiles_of_two_parts_add_up_to_the_profile_of_the_whole(known, first, second):
    reference = build_profile(table(known), FEATURES, "late")
    parts = [count_rows(reference, table(part), "late") for part in (first, second)]
    assert counts_of(merge_profiles(*parts)) == counts_of(count_rows(reference, table(first + second), "late"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), max_size=40), st.lists(st.floats(-1e6, 1e6), max_size=40))
def test_means_and_deviation_of_two_parts_add_up_to_those_of_the_whole(first, second):
    bins = NumericCounts(edges=(-10.0, 0.0, 10.0), counts=(), missing=0)
    merged = bins.count(first).add(bins.count(second))
    values = np.array(first + second)
    wanted = [values[bins.code(values) == place].sum() for place in range(4)]
    np.testing.assert_allclose(merged.sums, wanted, rtol=1e-9, atol=1e-6)
    assert merged.deviation() == pytest.approx(values.std() if len(values) else 0.0, rel=1e-9, abs=1e-6)


def test_an_infinite_value_counts_as_the_nearest_edge_in_sums():
    bins = NumericCounts(edges=(1.0, 5.0), counts=(), missing=0).count([-np.inf, 2.0, np.inf, np.nan])
    assert (bins.counts, bins.sums) == ((1, 1, 1), (1.0, 2.0, 5.0))
    assert np.isfinite(NumericCounts(edges=(0.0,), counts=(), missing=0).count([1.7e308] * 9).deviation())


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=60))
def test_every_row_is_counted_once_in_every_feature(rows):
    profile = build_profile(table(rows), FEATURES, "late")
    assert all(bins.vector().sum() == len(rows) for bins in profile.columns.values())
    assert profile.rows == len(rows)


def test_counting_the_reference_rows_again_gives_the_reference():
    rows = table([(float(i % 37), "red" if i % 3 else None, float(i % 2)) for i in range(500)])
    reference = build_profile(rows, FEATURES, "late")
    assert count_rows(reference, rows, "late") == reference


def test_bins_hold_about_equal_numbers_of_reference_rows():
    bins = profile_numbers(pd.Series(np.random.default_rng(0).normal(size=10_000)))
    assert len(bins.counts) == NUMERIC_BINS
    assert max(bins.counts) - min(bins.counts) <= 2


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-3, 3) | st.floats(-1e9, 1e9), min_size=1, max_size=80))
def test_value_of_more_rows_than_a_bin_holds_is_a_bin_of_its_own(values):
    numbers = np.array(values, dtype=np.float64)
    bins = profile_numbers(pd.Series(numbers))
    found, rows = np.unique(numbers, return_counts=True)
    for value in found[rows * NUMERIC_BINS > len(numbers)]:
        others = [*numbers[numbers != value], np.nextafter(value, np.inf), np.nextafter(value, -np.inf)]
        assert bins.code([value]) not in bins.code(others)


@pytest.mark.parametrize(
    ("training", "served"),
    [
        (np.repeat([0.0, 1.0], [970, 30]), np.ones(900)),
        (np.repeat([0.0, 1.0, 4.0], [960, 20, 20]), np.repeat([0.0, 3.0], [360, 540])),
        (np.full(1000, 5.0), np.full(900, 9.0)),
        (np.repeat([0.0, 1.0], [30, 970]), np.zeros(900)),
    ],
    ids=["rare flag", "rare counts", "constant", "frequent flag"],
)
def test_number_with_most_rows_at_one_value_is_seen_to_move(training, served):
    before = profile_numbers(pd.Series(training))
    now = before.count(served)
    assert measure_psi(before, now) > limit_psi(before, now, 0.25)
    assert measure_output_psi(training, served) > 0.25
    assert measure_psi(before, before.count(training)) == measure_output_psi(training, training) == 0


def test_numbers_beyond_the_reference_fall_into_the_outer_bins():
    bins = profile_numbers(pd.Series(np.arange(100.0)))
    counted = bins.count(np.array([-1e9, 1e9, np.inf, np.nan]))
    assert (counted.counts[0], counted.counts[-1], counted.missing) == (1, 2, 1)


def test_a_feature_that_is_always_missing_has_one_empty_bin():
    assert profile_numbers(pd.Series([np.nan, np.nan])) == NumericCounts(edges=(), counts=(0,), missing=2, sums=(0.0,))


def test_rare_categories_are_counted_as_other():
    values = pd.Series([f"c{i:03}" for i in range(80) for _ in range(100 * (80 - i))], dtype=object)
    rows = pd.DataFrame({"colour": values, "late": 0.0})
    counts = build_profile(rows, FEATURES[1:], "late").categorical["colour"]
    assert len(counts.counts) == CATEGORIES_KEPT
    assert "c000" in counts.counts
    assert counts.other / counts.vector().sum() == pytest.approx(30 * 31 / (80 * 81), abs=0.01)
    later = counts.count(pd.Series(["c000", "c079", "c999", None], dtype=object))
    assert (later.counts["c000"], later.other, later.unseen, later.missing) == (1, 1, 1, 1)


@pytest.mark.parametrize("names", [40, 1000, 20_000])
def test_later_rows_of_the_same_categories_stay_below_the_noise(names):
    """Of 100 windows, the 0.999 quantile is exceeded in none or one; the same names in another order are no drift."""
    random = np.random.default_rng(names)
    shares = 1 / np.arange(1, names + 1) ** 0.7
    every = np.array([f"N{place:05}" for place in range(names)], dtype=object)
    training, *windows = (
        pd.Series(random.choice(every, rows, p=shares / shares.sum())) for rows in (60_000, *[25_000] * 100)
    )
    bins = profile_names(training)
    later = [bins.count(window) for window in windows]
    beyond = sum(measure_psi(bins, one) > limit_psi(bins, one, 0.0) for one in later)
    assert beyond <= 3
    moved = bins.count(windows[0].where(random.random(25_000) > 0.1, "N00001"))
    assert measure_psi(bins, moved) > limit_psi(bins, moved, 0.0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["kept", "also kept", "rare", "rarer", "unseen", None]), max_size=40))
def test_codes_of_categories_count_up_to_their_counts(names):
    bins = CategoryCounts(counts={"kept": 0, "also kept": 0}, other=0, missing=0, rare=("rare", "rarer"))
    values = pd.Series(names, dtype=object)
    counted = bins.count(values).vector()
    assert np.bincount(bins.code(values), minlength=len(counted)).tolist() == counted.tolist()


def test_profiles_with_other_bins_cannot_be_merged():
    rows = [(float(i), "red", 0.0) for i in range(50)]
    one, other = (build_profile(table(part), FEATURES, "late") for part in (rows, rows[:20]))
    with pytest.raises(DataError, match=re.escape("profile: both profiles must have the same bins, but size differ.")):
        merge_profiles(one, other)


def test_a_profile_survives_its_file_and_holds_no_row(tmp_path):
    rows = table([(float(i) + 0.123456, "red", 1.0) for i in range(1000)])
    profile = add_scores(build_profile(rows, FEATURES, "late"), np.linspace(0, 1, 1000))
    write_profile(profile, tmp_path / "profile.json")
    assert read_profile(tmp_path / "profile.json") == profile
    assert (tmp_path / "profile.json").stat().st_size < 3000


def test_scores_of_later_rows_are_counted_in_the_edges_of_the_reference():
    profile = add_scores(build_profile(table([(1.0, "red", 1.0)]), FEATURES, "late"), np.linspace(0, 1, 100))
    later = add_scores(profile, [0.99, 1.0], edges=profile.scores.edges)
    assert later.scores.edges == profile.scores.edges
    assert later.scores.counts[-1] == 2


def test_shift_equals_the_hand_made_index():
    """50/50 against 20/80, half a row added to each of the two bins that are not empty in both.

    sum (q - p) ln(q / p) over shares of 101 rows: bins 50.5 and 50.5 against 20.5 and 80.5.
    """
    one = CategoryCounts(counts={"a": 50, "b": 50}, other=0, missing=0)
    other = CategoryCounts(counts={"a": 20, "b": 80}, other=0, missing=0)
    by_hand = (20.5 - 50.5) / 101 * np.log(20.5 / 50.5) + (80.5 - 50.5) / 101 * np.log(80.5 / 50.5)
    assert measure_psi(one, other) == pytest.approx(by_hand)
    assert measure_psi(one, one) == 0
