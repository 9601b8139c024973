"""How far windows of days move within the same rows, and which shift is usual."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.base.statistics.counts import population_stability_index
from components.base.statistics.shifts import accept_shifts, choose_window_days, count_by_day, measure_windows

FLOOR = 0.25


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=200),
    st.integers(1, 9),
)
def test_each_window_is_compared_with_the_rows_outside_it(rows, window_days):
    days, codes = np.array(rows).T
    psi = measure_windows(count_by_day(codes, days, 4), window_days, minimum_rows=1)
    assert len(psi) == max(days.max() + 1 - window_days + 1, 0)
    for start, found in enumerate(psi):
        inside = (days >= start) & (days < start + window_days)
        if inside.any() and not inside.all():
            ours, others = (np.bincount(codes[rows_of], minlength=4) for rows_of in (inside, ~inside))
            assert found == pytest.approx(population_stability_index(others, ours))
        else:
            assert np.isnan(found)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 150), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_in_19_of_20_windows_no_feature_exceeds_what_is_accepted(windows, features, seed):
    psi = np.random.default_rng(seed).exponential(np.linspace(0.01, 2, features), (windows, features))
    accepted = accept_shifts(psi, FLOOR)
    exceeding = (psi > np.maximum(accepted, FLOOR)).any(axis=1).sum()
    assert exceeding <= windows / 20
    # Never further than the feature has been, so that a new place is always seen.
    assert (accepted <= psi.max(axis=0)).all()


def test_the_accepted_shift_of_one_feature_is_its_95_percent_quantile():
    psi = np.random.default_rng(0).permutation(np.arange(1.0, 101.0))[:, None]
    assert accept_shifts(psi, FLOOR).tolist() == [95.0]


def test_windows_with_few_rows_are_left_out():
    by_day = np.array([[500, 500], [500, 500], [1, 0], [500, 500]])
    psi = measure_windows(by_day, 1, minimum_rows=100)
    assert np.isnan(psi).tolist() == [False, False, True, False]
    assert accept_shifts(psi[:, None], FLOOR)[0] < 0.01
    assert accept_shifts(np.full((3, 2), np.nan), FLOOR).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("wanted", "days", "chosen"), [(30, 122, 30), (30, 60, 30), (30, 59, 29), (7, 3, 1), (7, 1, 0)]
)
def test_windows_are_as_long_as_wanted_where_two_of_them_fit(wanted, days, chosen):
    assert choose_window_days(wanted, days) == chosen


def test_without_a_day_to_spare_there_is_no_window():
    by_day = np.ones((1, 3))
    assert measure_windows(by_day, choose_window_days(7, 1), 1).size == 0
    assert accept_shifts(np.empty((0, 2)), FLOOR).tolist() == [0, 0]
