"""Bootstrap draws against means of the rows really repeated, and intervals against closed forms."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from components.base.statistics.resampling import bound_gain, bound_interval, draw_resamples, resample_mean


def hourly(rows, per_day):
    return pd.Series(pd.date_range("2013-06-01", periods=rows, freq=pd.Timedelta(days=1) / per_day, tz="UTC"))


def test_interval_of_a_mean_is_students_interval_over_the_days():
    """Rows of a day are equal, so the mean is a mean of 40 independent day values."""
    days = np.random.default_rng(2).normal(10, 3, size=40)
    resamples = draw_resamples(hourly(40 * 12, 12), seed=1, resamples=4000)
    interval = bound_interval(days.mean(), resample_mean(np.repeat(days, 12), resamples), resamples)
    low, high = stats.t.interval(0.95, 39, days.mean(), days.std(ddof=1) / np.sqrt(40))
    assert interval.low == pytest.approx(low, abs=0.12)
    assert interval.high == pytest.approx(high, abs=0.12)


def test_dependent_rows_give_a_wider_interval_than_independent_ones():
    generator = np.random.default_rng(4)
    resamples = draw_resamples(hourly(30 * 24, 24), seed=1)
    alike, apart = np.repeat(generator.normal(size=30), 24), generator.normal(size=720)
    widths = [np.ptp(resample_mean(rows, resamples)) for rows in (alike, apart)]
    assert widths[0] > 3 * widths[1]


def test_few_days_are_replaced_by_runs_of_rows():
    resamples = draw_resamples(hourly(200, 100), seed=0)
    assert resamples.unit == "run"
    assert resamples.counts.shape[1] == 50
    assert np.bincount(resamples.blocks).tolist() == [4] * 50


def test_same_seed_gives_the_same_draws():
    first, second = (draw_resamples(hourly(480, 24), seed=9) for _ in range(2))
    assert (first.counts == second.counts).all()
    assert (first.counts.sum(axis=1) == 20).all()


def test_selected_rows_keep_their_draws():
    losses = np.random.default_rng(0).random(480)
    resamples = draw_resamples(hourly(480, 24), seed=3, resamples=5)
    rows = losses > 0.3
    draws = resample_mean(losses[rows], resamples.select(rows))
    times = resamples.counts[0][resamples.blocks[rows]].astype(int)
    assert draws[0] == pytest.approx(np.repeat(losses[rows], times).mean())


def test_interval_of_one_block_has_no_bounds():
    resamples = draw_resamples(hourly(480, 24), seed=3).select(np.arange(480) < 5)
    interval = bound_interval(0.5, np.full(1000, 0.5), resamples)
    assert interval.estimate == 0.5
    assert np.isnan([interval.low, interval.high]).all()


def test_gain_that_the_first_model_proves_is_not_proven_by_a_later_one_of_the_same_rows():
    """Two standard errors above nothing: more than 1.645 of one side at 95 %, less than 2.326 at 99 %."""
    days = np.random.default_rng(3).normal(size=200)
    days += 2 * days.std(ddof=1) / np.sqrt(len(days)) - days.mean()
    resamples = draw_resamples(hourly(200 * 12, 12), seed=1, resamples=4000)
    draws = resample_mean(np.repeat(days, 12), resamples)
    first = bound_gain(days.mean(), draws, resamples)
    later = bound_gain(days.mean(), draws, dataclasses.replace(resamples, confidence=0.99))
    assert (first.confidence, later.confidence) == (0.95, 0.99)
    assert first.floor > 0 > later.floor
    assert first.low < first.floor < first.estimate < first.high
