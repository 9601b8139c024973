"""The regression's statistics, against what is known of the numbers or computed by another way."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression

from components.base.contract.regression import UnitCosts
from components.tasks.regression.explore.association import explained_share, held_out_r2
from components.tasks.regression.interval import ConformalRegressor, calibrate, replace_core
from components.tasks.regression.metrics import build_metrics, row_interval_score
from components.tasks.regression.policy import PositionPolicy, choose_position, critical_quantile, value_rows
from components.tasks.regression.rule import GroupQuantiles, describe_rule, restore_rule


def make_rows(rows, seed, spread=lambda x: 1 + x):
    """Outcomes whose spread grows with the one feature."""
    generator = np.random.default_rng(seed)
    x = generator.uniform(0, 10, rows)
    return pd.DataFrame({"x": x, "y": 3 * x + spread(x) * generator.normal(size=rows)})


def fit_line(rows):
    return LinearRegression().fit(rows[["x"]], rows["y"])


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("groups", [1, 10])
def test_an_interval_holds_the_share_of_new_outcomes_that_it_promises(coverage, groups):
    first, new = make_rows(4000, 1), make_rows(20_000, 2)
    interval = ConformalRegressor(fit_line(make_rows(2000, 3)), coverage, groups).fit(first[["x"]], first["y"])
    prediction, low, high = interval.predict_interval(new[["x"]]).T
    assert ((low <= new["y"]) & (new["y"] <= high)).mean() == pytest.approx(coverage, abs=0.02)
    assert (low <= prediction).all()
    assert (prediction <= high).all()


def test_an_interval_by_size_is_wider_where_outcomes_spread_more_and_is_chosen():
    train, first, second = (make_rows(4000, seed) for seed in (1, 2, 3))
    chosen, record = calibrate(fit_line(train), ["x"], "y", 0.8, first, second)
    assert record["method"] == "by_prediction"
    assert record["interval_score"]["by_prediction"] < record["interval_score"]["constant"]
    assert record["coverage"] == pytest.approx(0.8, abs=0.03)
    width = np.diff(chosen.predict_interval(pd.DataFrame({"x": [1.0, 9.0]}))[:, 1:], axis=1)[:, 0]
    assert width[1] > 2 * width[0]


def test_few_rows_get_one_width():
    first = make_rows(150, 1)
    chosen, _ = calibrate(fit_line(first), ["x"], "y", 0.8, first, make_rows(150, 2))
    assert len(chosen.low_) == 1


def test_another_core_keeps_the_interval():
    first = make_rows(1000, 1)
    interval = ConformalRegressor(fit_line(first), 0.8, 1).fit(first[["x"]], first["y"])
    other = replace_core(interval, DummyRegressor(strategy="constant", constant=7.0).fit(first[["x"]], first["y"]))
    assert other.predict_interval(first[["x"]].head(1))[0] == pytest.approx(7 + np.r_[0, interval.low_, interval.high_])
    assert replace_core("no interval", "core") == "core"


def test_the_interval_score_is_lowest_at_the_true_quantiles():
    y = np.random.default_rng(0).normal(size=50_000)
    scores = {
        z: row_interval_score(y, np.tile([0.0, -z, z], (len(y), 1)), 0.8).mean() for z in (0.9, 1.1, 1.2816, 1.45, 1.7)
    }
    assert min(scores, key=scores.get) == 1.2816


def test_the_coverage_gap_counts_both_ends_as_inside():
    y, output = np.array([1.0, 2.0, 3.0, 9.0]), np.tile([2.0, 1.0, 3.0], (4, 1))
    assert build_metrics(0.5)["coverage_gap"].score(y, output, output[:, 0]) == pytest.approx(0.25)


@pytest.mark.parametrize(("short", "surplus"), [(3.0, 1.0), (1.0, 1.0), (1.0, 4.0)])
def test_the_position_of_calibrated_intervals_plans_the_newsvendors_quantile(short, surplus):
    costs = UnitCosts(short=short, surplus=surplus)
    y = np.random.default_rng(0).normal(20, 5, 40_000)
    output = np.tile([20.0, *(20 + 5 * np.array([-1.2816, 1.2816]))], (len(y), 1))
    search = choose_position(y, output, costs)
    planned = PositionPolicy(position=search.chosen.position).apply(output)[0]
    assert (y < planned).mean() == pytest.approx(critical_quantile(costs), abs=0.04)
    assert search.chosen.value_per_1000 == max(point.value_per_1000 for point in search.curve)


def test_an_output_without_width_is_planned_as_it_is():
    y = np.arange(100.0)
    assert choose_position(y, np.repeat(y[:, None], 3, axis=1), UnitCosts(short=3, surplus=1)).chosen.position == 0


@given(st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=1, max_size=20))
def test_no_plan_is_worth_more_than_the_outcome_itself_and_planning_nothing_is_worth_nothing(pairs):
    (y, planned), costs = np.array(pairs).T, UnitCosts(short=3, surplus=1)
    assert (value_rows(y, y, costs) >= value_rows(y, planned, costs) - 1e-9).all()
    assert value_rows(y, np.zeros_like(y), costs) == pytest.approx(0)


def test_the_explained_share_is_the_adjusted_r2_of_a_regression_on_the_bins():
    generator = np.random.default_rng(4)
    codes = generator.integers(0, 6, 800)
    y = np.array([0.0, 1, 2, 3, 2, 1])[codes] + generator.normal(0, 2, 800)
    dummies = (codes[:, None] == np.arange(6)).astype(float)
    fitted = dummies @ np.linalg.lstsq(dummies, y, rcond=None)[0]
    r2 = 1 - ((y - fitted) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    assert explained_share(codes, y, 6) == pytest.approx(1 - (1 - r2) * (800 - 1) / (800 - 6))


def test_a_copy_of_the_outcome_is_found_on_other_days_and_noise_is_not():
    generator = np.random.default_rng(5)
    y, days = generator.exponential(20, 3000), np.arange(3000) // 100
    copy = np.searchsorted(np.quantile(y, np.linspace(0, 1, 21)[1:-1]), y)
    assert held_out_r2(copy, y, days, 20) > 0.7
    assert held_out_r2(generator.integers(0, 20, 3000), y, days, 20) < 0.02
    assert np.isnan(held_out_r2(copy, y, np.zeros(3000, dtype=int), 20))


def test_the_rule_predicts_the_median_of_large_groups_and_of_all_for_others():
    rows = pd.DataFrame({"shop": ["A"] * 50 + ["B"] * 2 + [None] * 48})
    y = np.r_[np.full(50, 10.0), [99.0, 99.0], np.arange(48.0)]
    rule = restore_rule(describe_rule(GroupQuantiles(["shop"], 20, 0.8).fit(rows, y)))
    asked = pd.DataFrame({"shop": ["A", "B", "new", None]})
    assert rule.predict(asked).tolist() == [10.0, np.median(y), np.median(y), 23.5]
    assert rule.predict_interval(asked.head(1)).tolist() == [[10.0, 10.0, 10.0]]
