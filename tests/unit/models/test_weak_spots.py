"""The search of weak spots finds what was planted and confirms nothing where nothing is."""

import numpy as np
import pytest

from components.models.scorecard import open_rows
from components.models.weak_spots import find_weak_spots, mean_below_zero_p_value


def truth(rows):
    shift = rows["shop"].map({"A": -0.8, "B": 0.0, "C": 0.8}).fillna(0).to_numpy(dtype=float)
    return 1 / (1 + np.exp(-(1.5 * rows["warmth"].fillna(0).to_numpy() + shift - 1)))


def test_planted_weak_spot_is_found_and_confirmed(task, small):
    rows = small.make_rows(0, 60, seed=5)
    wrong_way = np.where(rows["shop"] == "C", 1 - truth(rows), truth(rows))
    found = find_weak_spots(open_rows(task, rows), wrong_way[:, None], small.NAMES)
    assert found[0].conditions == ("shop is C",)
    assert found[0].is_confirmed
    assert found[0].confirmed.advantage < 0
    assert found[0].found.rows + found[0].confirmed.rows == (rows["shop"] == "C").sum()


def test_nothing_is_confirmed_where_the_model_is_right(task, small):
    rows = small.make_rows(0, 60, seed=6)
    found = find_weak_spots(open_rows(task, rows), truth(rows)[:, None], small.NAMES)
    assert len(found) <= 5
    assert not any(spot.is_confirmed for spot in found)


def test_halves_share_no_day(task, small):
    """All errors on even days: whatever is found there must not be confirmed on odd days."""
    rows = small.make_rows(0, 60, seed=7)
    even = (rows["predicted_at"].dt.dayofyear % 2 == 1).to_numpy()
    found = find_weak_spots(open_rows(task, rows), np.where(even, 1 - truth(rows), truth(rows))[:, None], small.NAMES)
    assert not any(spot.is_confirmed for spot in found)


def test_p_value_of_independent_rows_is_students():
    from scipy import stats

    values = np.random.default_rng(0).normal(-0.2, 1, 60)
    expected = stats.ttest_1samp(values, 0, alternative="less").pvalue
    assert mean_below_zero_p_value(values, np.arange(60)) == pytest.approx(expected)
    assert mean_below_zero_p_value(values, np.zeros(60, dtype=int)) == 1.0


def test_dependent_rows_prove_less():
    values = np.repeat(np.random.default_rng(0).normal(-0.3, 1, 20), 30)
    assert mean_below_zero_p_value(values, np.repeat(np.arange(20), 30)) > mean_below_zero_p_value(
        values, np.arange(600)
    )
