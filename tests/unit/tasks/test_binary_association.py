import numpy as np
import pytest
from sklearn.metrics import mutual_info_score, roc_auc_score

from components.base.statistics.clusters import difference_of_means
from components.tasks.binary.explore.association import (
    count_outcomes,
    cramers_v,
    held_out_auc,
    information_ratio,
    rate_by_bin,
)


def draw(rows=6000, seed=1):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 5, rows)
    y = (rng.random(rows) < 0.1 + 0.15 * codes).astype(float)
    return codes, y, rng.integers(0, 60, rows)


def test_information_agrees_with_scikit_learn_up_to_its_bias():
    codes, y, _ = draw()
    entropy = -sum(p * np.log(p) for p in (y.mean(), 1 - y.mean()))
    expected = (mutual_info_score(codes, y) - 4 / (2 * len(y))) / entropy
    assert information_ratio(count_outcomes(codes, y, 5)) == pytest.approx(expected)


def test_noise_with_many_categories_does_not_look_informative():
    rng = np.random.default_rng(2)
    table = count_outcomes(rng.integers(0, 200, 20_000), rng.integers(0, 2, 20_000).astype(float), 200)
    assert information_ratio(table) < 0.001
    assert cramers_v(table) < 0.03


def test_a_feature_that_is_the_outcome_has_full_information():
    codes, y, days = np.tile([0, 1], 500), np.tile([0.0, 1.0], 500), np.repeat(np.arange(10), 100)
    table = count_outcomes(codes, y, 2)
    assert information_ratio(table) == pytest.approx(1, abs=0.002)
    assert cramers_v(table) == pytest.approx(1, abs=0.002)
    assert held_out_auc(codes, y, days, 2) == pytest.approx(1)


def test_held_out_auc_agrees_with_scikit_learn_on_the_held_out_days():
    codes, y, days = draw()
    rates = np.array([y[(codes == c) & (days % 2 == 0)].mean() for c in range(5)])
    back = np.array([y[(codes == c) & (days % 2 == 1)].mean() for c in range(5)])
    odd = days % 2 == 1
    expected = np.mean([roc_auc_score(y[odd], rates[codes[odd]]), roc_auc_score(y[~odd], back[codes[~odd]])])
    assert held_out_auc(codes, y, days, 5) == pytest.approx(expected)


def test_held_out_auc_of_one_day_is_unknown():
    codes, y, _ = draw(100)
    assert np.isnan(held_out_auc(codes, y, np.zeros(100, dtype=int), 5))


def test_intervals_of_rates_cover_the_truth_when_days_are_correlated():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(300):
        level = np.repeat(rng.beta(2, 6, 60), 40)  # one rate a day, 0.25 on average
        y = (rng.random(2400) < level).astype(float)
        (rate,) = rate_by_bin(np.zeros(2400, dtype=int), y, np.repeat(np.arange(60), 40), 1)
        covered += rate.low <= 0.25 <= rate.high
    assert 0.91 <= covered / 300 <= 0.98


def test_rate_of_a_single_day_has_no_interval():
    (rate, empty) = rate_by_bin(np.zeros(4, dtype=int), np.array([0, 1, 1, 0.0]), np.zeros(4, dtype=int), 2)
    assert (rate.rows, rate.rate, empty.rows) == (4, 0.5, 0)
    assert np.isnan([rate.low, rate.high, empty.rate]).all()


def test_difference_of_means_agrees_with_a_bootstrap_over_days():
    codes, y, days = draw(4000)
    group = codes == 4
    difference, low, high = difference_of_means(group, y, days)
    rng, draws = np.random.default_rng(4), []
    for _ in range(400):
        weights = np.bincount(rng.integers(0, 60, 60), minlength=60)[days]
        draws.append(np.average(y[group], weights=weights[group]) - np.average(y[~group], weights=weights[~group]))
    assert difference == pytest.approx(y[group].mean() - y[~group].mean())
    assert [low, high] == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.01)
