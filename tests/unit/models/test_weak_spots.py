"""The search of weak spots finds what was planted and confirms nothing where nothing is."""

import numpy as np
import pytest

from components.models.gates import gate_weak_spots
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


def plant_spot(small, share=0.03):
    """Rows of 400 days, of which a share is of a shop that the output gets wrong; output and truth."""
    rows = small.make_rows(0, 400, seed=8)
    spot = np.random.default_rng(1).random(len(rows)) < share
    rows.loc[spot, "shop"] = "D"
    right = truth(rows)
    rows["late"] = (np.random.default_rng(2).random(len(rows)) < right).astype("int8")
    return rows, np.where(spot, 1 - right, right)[:, None], right[:, None]


def test_planted_spot_of_three_percent_blocks_the_release(task, small):
    rows, output, right = plant_spot(small)
    spots = find_weak_spots(open_rows(task, rows), output, small.NAMES, right)
    gate = gate_weak_spots(spots, "champion", 0.05)
    assert gate.verdict == "fail"
    assert gate.reason.startswith("Where shop is D (")
    assert "from that of the champion (limit 0.05)" in gate.reason


def test_spot_in_which_the_champion_is_as_weak_does_not_block(task, small):
    rows, output, _ = plant_spot(small)
    spots = find_weak_spots(open_rows(task, rows), output, small.NAMES, output)
    assert any(spot.is_confirmed for spot in spots)
    assert gate_weak_spots(spots, "champion", 0.05).verdict == "pass"


def test_right_model_is_accused_in_at_most_five_percent_of_the_tests(task, small):
    """Beyond the 99.9 % quantile of the binomial distribution of 80 tests at 5 % it would be no chance."""
    from scipy.stats import binom

    accused = 0
    for seed in range(80):
        rows = small.make_rows(0, 60, seed=seed)
        rows["late"] = (np.random.default_rng(seed).random(len(rows)) < truth(rows)).astype("int8")
        accused += any(
            one.is_confirmed for one in find_weak_spots(open_rows(task, rows), truth(rows)[:, None], ["shop", "warmth"])
        )
    assert accused <= binom.ppf(0.999, 80, 0.05)


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
