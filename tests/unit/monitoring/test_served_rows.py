"""Rows of a window: who is scored, who gets the action, and how traffic and labels are counted."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.base.statistics.capacity import limit_actions
from components.monitoring.served_rows import describe_labels, describe_traffic
from components.tasks import open_task
from tests.unit.monitoring.flights_world import PROBLEM, TASK, make_flights, make_rows


def with_capacity(capacity, periods=1):
    """Return the task with another capacity a day."""
    business = PROBLEM.business.model_copy(update={"capacity_per_day": capacity, "capacity_periods_per_day": periods})
    return open_task(PROBLEM.model_copy(update={"business": business}))


def operate(task, rows):
    """Decide as the monitor does."""
    return task.operate(rows.decisions, rows.output, rows.event_time, rows.logged_ratio)


def test_row_that_was_labelled_early_is_not_scored():
    """Its label is there because it came early: what is late, say, comes later."""
    rows = make_rows(make_flights())
    early = rows.labelled & ~rows.due
    assert early.sum() == 18 * 60 / 24
    assert not (rows.scored & early).any()


@given(st.integers(1, 400), st.sampled_from([1, 24]))
def test_decisions_are_those_that_training_counted_on(capacity, periods):
    rows = make_rows(make_flights(days=2))
    p = rows.output[:, 0]
    expected = limit_actions(p >= 0.3, p, rows.event_time, capacity * periods, periods)
    assert (operate(with_capacity(capacity * periods, periods), rows) == expected).all()


def test_each_row_has_the_decision_of_the_policy_that_served_it():
    flights = make_flights(days=2)
    thresholds = np.where(np.arange(len(flights)) % 2, 0.2, 0.6)
    rows = make_rows(flights, thresholds=thresholds)
    assert (operate(with_capacity(None), rows) == (flights["probability"] >= thresholds)).all()


def test_logged_share_of_requests_has_that_share_of_the_capacity():
    flights = make_flights(days=4)
    rows = make_rows(flights, thresholds=0.0, weights=np.full(len(flights), 4.0))
    by_day = pd.Series(operate(with_capacity(20), rows)).groupby(flights["event_time"].dt.date)
    assert by_day.sum().tolist() == [5] * 4


def test_traffic_is_counted_by_day_and_version():
    flights = make_flights(days=3)
    rows = make_rows(flights, versions=pd.Series(["1"] * 100 + ["2"] * 80))
    traffic = describe_traffic(TASK, rows, repeated_rows=7, reused_keys=2)
    assert traffic.versions == {"1": 100, "2": 80}
    assert [day.day for day in traffic.by_day] == ["2013-06-01", "2013-06-02", "2013-06-03"]
    assert (traffic.rows, traffic.repeated_rows) == (sum(day.rows for day in traffic.by_day), 7)
    assert traffic.reused_keys == 2
    assert traffic.actions == sum(day.actions for day in traffic.by_day) > 0
    assert traffic.mean_output == pytest.approx(flights["probability"].mean())


def test_labels_are_covered_by_age():
    rows = make_rows(make_flights())
    labels = describe_labels(rows, new_since_training=12)
    assert (labels.rows, labels.due, labels.overdue, labels.coverage_ratio) == (1800, 29 * 60 + 1, 0, 1.0)
    assert (labels.lag_hours_median, labels.new_since_training) == (6.0, 12)
    ages = {age.age_days: (age.rows, age.labelled) for age in labels.by_age}
    assert ages[0] == (59, 45)
    assert ages[29] == (60, 60)


def test_label_that_never_came_is_overdue():
    flights = make_flights()
    outcomes = np.where(np.arange(len(flights)) < 90, np.nan, flights["late"])
    labels = describe_labels(make_rows(flights, outcomes=outcomes), 0)
    assert labels.overdue == 90
    assert labels.coverage_ratio == pytest.approx(1 - 90 / labels.due)


def test_empty_window_counts_nothing():
    rows = make_rows(make_flights(days=1).head(0))
    traffic, labels = describe_traffic(TASK, rows, 0, 0), describe_labels(rows, 0)
    assert (traffic.rows, traffic.mean_output, traffic.by_day) == (0, None, ())
    assert (labels.rows, labels.coverage_ratio, labels.lag_hours_p95, labels.by_age) == (0, None, None, ())
