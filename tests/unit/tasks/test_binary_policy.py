"""The threshold policy: what it decides, and which threshold earns most under a capacity."""

import numpy as np
import pandas as pd
import pytest

from components.base.contract.binary import BinaryBusiness, DecisionValues
from components.base.statistics.capacity import limit_actions
from components.tasks.binary.policy import (
    ThresholdPolicy,
    choose_threshold,
    operate,
    trace_thresholds,
    value_per_1000,
    value_rows,
)

VALUES = DecisionValues(true_positive=1000, false_positive=-400, false_negative=-50, true_negative=5)


def business(capacity):
    return BinaryBusiness(
        currency="USD", values=VALUES, reasoning="a test", capacity_per_day=capacity, minimum_lift_per_1000=0
    )


def times(*texts):
    return pd.Series(pd.to_datetime(list(texts), utc=True).astype("datetime64[us, UTC]"))


def test_action_is_wanted_from_the_threshold_on():
    """The last probability is the threshold but for a rounding error of another order of summation."""
    p = np.array([0.2, 0.3, 0.31, 0.3 - 1e-13])
    assert ThresholdPolicy(threshold=0.3).apply(p[:, None]).tolist() == [False, True, True, True]


def test_logged_share_of_requests_has_its_share_of_the_capacity_but_an_action_a_period():
    moments = times(*[f"2013-06-01 {hour:02}:00" for hour in range(24)])
    wanted, p = np.ones(24, dtype=bool), np.full(24, 0.5)
    assert operate(wanted, p, moments, business(20), logged_ratio=0.25).sum() == 5
    assert operate(wanted, p, moments, business(20), logged_ratio=0.001).sum() == 1


def test_value_is_the_cell_of_the_confusion_matrix():
    worth = value_rows([1, 0, 1, 0], np.array([True, True, False, False]), VALUES)
    assert worth.tolist() == [1000, -400, -50, 5]
    moments = times(*["2013-06-01 08:00"] * 4)
    assert value_per_1000([1, 0, 1, 0], np.array([0.9, 0.8, 0.1, 0.2]), 0.5, moments, business(None)) == 138_750


def test_chosen_threshold_of_a_single_day_earns_most_of_every_possible_one():
    generator = np.random.default_rng(3)
    p = generator.random(120).round(2)
    y = (generator.random(120) < p).astype(float)
    moments = pd.Series(pd.date_range("2013-06-01", periods=120, freq="10min", tz="UTC"))
    best = max(value_per_1000(y, p, threshold, moments, business(6)) for threshold in [*np.unique(p), 2.0])
    assert choose_threshold(y, p, moments, business(6)).value_per_1000 == pytest.approx(best)


@pytest.mark.parametrize("seed", range(5))
def test_chosen_threshold_is_the_nearest_to_break_even_of_those_that_noise_cannot_tell_from_the_best(seed):
    generator = np.random.default_rng(seed)
    p = generator.random(400).round(2)
    y = (generator.random(400) < p).astype(float)
    moments = pd.Series(pd.date_range("2013-06-01", periods=400, freq="h", tz="UTC"))
    limits, days = business(6), moments.dt.floor("D")

    def by_day(threshold):
        worth = value_rows(y, limit_actions(p >= threshold, p, moments, 6), VALUES)
        return pd.Series(worth).groupby(days).sum()

    worth = {point.threshold: by_day(point.threshold) for point in trace_thresholds(y, p, moments, limits)}
    best = max(worth.values(), key=lambda series: series.sum())
    chosen = choose_threshold(y, p, moments, limits)
    for threshold, series in worth.items():
        behind = best - series
        if 0 < behind.sum() <= behind.std() * len(behind) ** 0.5:
            assert abs(chosen.threshold - 405 / 1455) <= abs(threshold - 405 / 1455)
    lost = best - worth[chosen.threshold]
    assert lost.sum() <= lost.std() * len(lost) ** 0.5


def test_threshold_without_capacity_is_the_break_even_of_the_values():
    """Acting gains 1,050 on a positive row and costs 405 on a negative one: break-even at 405 / 1,455 = 0.278."""
    p = np.repeat(np.arange(0.005, 1, 0.01), 200)
    place = np.tile(np.arange(200), 100)
    y = (place < np.round(p * 200)).astype(float)
    moments = pd.Series(pd.date_range("2013-06-01", periods=len(p), freq="min", tz="UTC"))
    assert choose_threshold(y, p, moments, business(None)).threshold == pytest.approx(405 / 1455, abs=0.011)


def test_a_harmful_action_is_never_taken():
    moments = times(*["2013-06-01 08:00"] * 3)
    point = choose_threshold(np.zeros(3), np.array([0.1, 0.5, 0.9]), moments, business(None))
    assert (point.actions, point.value_per_1000) == (0, 5000.0)


def test_threshold_curve_counts_those_beyond_the_capacity():
    moments = times(*["2013-06-01 08:00"] * 4)
    curve = trace_thresholds(np.array([1.0, 0, 1, 0]), np.array([0.1, 0.2, 0.3, 0.4]), moments, business(3))
    assert [(point.actions, point.over_capacity) for point in curve] == [(3, 1), (3, 0), (2, 0), (1, 0), (0, 0)]
    assert np.isnan(curve[-1].precision)
    assert curve[0].recall == 0.5
