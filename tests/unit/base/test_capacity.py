"""Actions under a capacity: first come, first served within a period; of one time the highest priority first."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from components.base.statistics.capacity import limit_actions


def at(*texts):
    return pd.Series(pd.to_datetime(list(texts), utc=True).astype("datetime64[us, UTC]"))


def act(priority, threshold, times, capacity, periods=1):
    """Rows want the action from a threshold of their priority on."""
    return limit_actions(priority >= threshold, priority, times, capacity, periods)


def test_first_rows_of_the_day_above_the_threshold_get_the_action():
    """Capacity 2: on the first day rows 1 and 2 get the action, row 3 is too late; a new day starts again."""
    times = at("2013-06-01 08:00", "2013-06-01 09:00", "2013-06-01 10:00", "2013-06-01 11:00", "2013-06-02 08:00")
    decided = act(np.array([0.2, 0.6, 0.5, 0.9, 0.7]), 0.5, times, 2)
    assert decided.tolist() == [False, True, True, False, True]


def test_order_of_the_table_does_not_change_who_is_served():
    times = at("2013-06-01 10:00", "2013-06-01 08:00", "2013-06-01 09:00")
    assert act(np.array([0.9, 0.6, 0.6]), 0.5, times, 2).tolist() == [False, True, True]


def test_row_of_highest_priority_of_one_time_is_served_first():
    times = at("2013-06-01 08:00", "2013-06-01 08:00", "2013-06-01 08:00")
    assert act(np.array([0.6, 0.9, 0.7]), 0.5, times, 2).tolist() == [False, True, True]


@settings(max_examples=60, deadline=None)
@given(
    hours=st.lists(st.integers(0, 24 * 2), min_size=1, max_size=300),
    capacity=st.one_of(st.none(), st.integers(24, 120)),
    periods=st.sampled_from([1, 2, 8, 24]),
    seed=st.integers(0, 1000),
)
def test_no_period_exceeds_its_capacity_and_no_capacity_is_left_while_a_row_waits(hours, capacity, periods, seed):
    p = np.random.default_rng(seed).random(len(hours))
    times = pd.Series(pd.Timestamp("2013-06-01", tz="UTC") + pd.to_timedelta(hours, unit="h"))
    decided = act(p, 0.5, times, capacity, periods)
    assert not (decided & (p < 0.5)).any()
    starts = times.dt.floor(f"{24 // periods}h")
    for start in starts.unique():
        in_period = (starts == start).to_numpy()
        wanted = int((p[in_period] >= 0.5).sum())
        assert decided[in_period].sum() == (wanted if capacity is None else min(wanted, capacity // periods))
