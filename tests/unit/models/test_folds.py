"""Folds in time order: the properties that keep the future out of the past."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.base.errors import DataError
from components.base.statistics.folds import sample_evenly, sample_fits, sample_folds, sample_tables, split_folds

START = pd.Timestamp("2013-01-01", tz="UTC")


@settings(max_examples=80, deadline=None)
@given(
    hours=st.lists(st.integers(0, 2000), min_size=30, max_size=120),
    delays=st.integers(1, 80),
    folds=st.integers(2, 5),
    gap_hours=st.integers(0, 30),
    seed=st.integers(0, 99),
)
def test_every_label_of_a_fit_is_known_before_the_first_scored_prediction(hours, delays, folds, gap_hours, seed):
    times = pd.Series(START + pd.to_timedelta(hours, unit="h"))
    labels = times + pd.to_timedelta(np.random.default_rng(seed).integers(1, delays + 1, len(hours)), unit="h")
    gap = pd.Timedelta(hours=gap_hours)
    try:
        split = split_folds(times, labels, folds, gap)
    except DataError:
        return
    for fold in split:
        start = times.iloc[fold.score].min()
        assert times.iloc[fold.fit].max() <= start - gap
        assert times.iloc[fold.fit].max() < start
        assert labels.iloc[fold.fit].max() <= start
    scored = np.concatenate([fold.score for fold in split])
    assert len(scored) == len(set(scored))
    for earlier, later in itertools.pairwise(split):
        assert times.iloc[earlier.score].max() < times.iloc[later.score].min()
        assert set(earlier.fit) <= set(later.fit)


def test_scored_rows_are_the_newer_half_and_every_fold_fits_on_the_older_one():
    times = pd.Series(pd.date_range(START, periods=400, freq="h"))
    split = split_folds(times, times + pd.Timedelta(hours=1), 3, pd.Timedelta(0))
    assert np.concatenate([fold.score for fold in split]).tolist() == list(range(200, 400))
    assert split[0].fit.tolist() == list(range(200))


def test_folds_without_history_are_refused():
    times = pd.Series([START] * 8)
    with pytest.raises(DataError, match=re.escape("rows to fit on and to score, but got none in fold [1, 2] of")):
        split_folds(times, times, 2, pd.Timedelta(hours=1))


def test_sample_keeps_the_share_of_every_season():
    sampled = sample_evenly(np.arange(1000), 100)
    assert np.histogram(sampled, bins=10)[0].tolist() == [10] * 10
    assert sample_evenly(np.arange(5), 9).tolist() == [0, 1, 2, 3, 4]


def test_sampling_thins_every_fold_by_the_same_share():
    times = pd.Series(pd.date_range(START, periods=600, freq="h"))
    split = split_folds(times, times, 3, pd.Timedelta(0))
    assert [(len(fold.fit), len(fold.score)) for fold in split] == [(300, 100), (400, 100), (500, 100)]
    assert [(len(fold.fit), len(fold.score)) for fold in sample_fits(split, 50)] == [(30, 100), (40, 100), (50, 100)]
    assert [(len(fold.fit), len(fold.score)) for fold in sample_folds(split, 300)] == [(150, 50), (200, 50), (250, 50)]
    assert sample_fits(split, 10_000)[2].fit.tolist() == split[2].fit.tolist()


@settings(deadline=None)
@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=4).filter(any), rows=st.integers(1, 40))
def test_sample_of_tables_is_the_sample_of_all_their_rows(sizes, rows):
    numbers = np.arange(sum(sizes))
    tables = [pd.DataFrame({"number": part}) for part in np.split(numbers, np.cumsum(sizes)[:-1])]
    together = pd.concat(tables, ignore_index=True)
    expected = together.iloc[sample_evenly(numbers, rows)].reset_index(drop=True)
    pd.testing.assert_frame_equal(sample_tables(tables, rows), expected)
