"""The metrics against scikit-learn and tables whose answers are in the docstrings; draws against repeated rows."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from components.base.statistics.resampling import draw_resamples
from components.tasks.binary.metrics import METRICS, bin_calibration

REFERENCES = {
    "average_precision": sk.average_precision_score,
    "roc_auc": sk.roc_auc_score,
    "log_loss": sk.log_loss,
    "brier": sk.brier_score_loss,
    "f1": lambda y, p: sk.f1_score(y, p >= 0.5, zero_division=0),
}


def score(metric, y, p, threshold=0.5):
    """Score probabilities, with decisions at a threshold."""
    return METRICS[metric].score(np.asarray(y, dtype=float), np.asarray(p, dtype=float)[:, None], p >= threshold)


def resample(metric, y, p, resamples, threshold=0.5):
    return METRICS[metric].resample(y, p[:, None], p >= threshold, resamples)


def hourly(rows):
    return pd.Series(pd.date_range("2013-06-01", periods=rows, freq="h", tz="UTC"))


def forecast(rows, seed=0):
    generator = np.random.default_rng(seed)
    p = generator.random(rows).round(2)
    return (generator.random(rows) < p).astype(float), p


@st.composite
def forecasts(draw):
    """Outcomes of both classes and probabilities with ties."""
    y = draw(st.lists(st.integers(0, 1), min_size=2, max_size=40).filter(lambda ys: 0 < sum(ys) < len(ys)))
    tenths = draw(st.lists(st.integers(0, 10), min_size=len(y), max_size=len(y)))
    return np.array(y, dtype=float), np.array(tenths) / 10


@pytest.mark.parametrize("metric", REFERENCES)
@settings(max_examples=40, deadline=None)
@given(forecast=forecasts())
def test_score_equals_scikit_learn(metric, forecast):
    y, p = forecast
    assert score(metric, y, p) == pytest.approx(REFERENCES[metric](y, p), abs=1e-12)


def test_calibration_error_of_two_groups_is_the_mean_of_their_gaps():
    """60 rows forecast 0.2, 12 happen (gap 0); 40 rows forecast 0.8, 20 happen (gap 0.3): 0.4 * 0.3 = 0.12."""
    y = np.r_[np.ones(12), np.zeros(48), np.ones(20), np.zeros(20)]
    p = np.r_[np.full(60, 0.2), np.full(40, 0.8)]
    assert score("calibration_error", y, p) == pytest.approx(0.12)


def test_calibration_curve_leaves_no_row_out():
    generator = np.random.default_rng(1)
    p = generator.random(997)
    groups = bin_calibration((generator.random(997) < p).astype(float), p)
    assert sum(group.rows for group in groups) == 997
    assert [group.mean_probability for group in groups] == sorted(group.mean_probability for group in groups)


def test_constant_forecast_is_one_calibration_bin():
    assert [group.rows for group in bin_calibration(np.array([0.0, 1, 1, 0]), np.full(4, 0.5))] == [4]


@pytest.mark.parametrize("metric", ["average_precision", "roc_auc"])
def test_ranking_of_one_class_is_not_a_number(metric):
    assert np.isnan(score(metric, np.zeros(5), np.linspace(0, 1, 5)))


@pytest.mark.parametrize("metric", METRICS)
def test_gain_is_positive_for_the_better_forecast_in_every_metric(metric):
    y = np.array([0.0, 0, 0, 1, 1, 1])
    good, bad = np.array([0.1, 0.1, 0.1, 0.9, 0.9, 0.9]), np.array([0.9, 0.9, 0.1, 0.1, 0.1, 0.9])
    assert METRICS[metric].gain(score(metric, y, good), score(metric, y, bad)) > 0
    assert METRICS[metric].gain(score(metric, y, bad), score(metric, y, good)) < 0


@pytest.mark.parametrize("metric", METRICS)
def test_score_refuses_rows_that_do_not_match(metric):
    with pytest.raises(ValueError, match=re.escape("same rows, at least one, but got (outcomes=2, output=3)")):
        score(metric, [0, 1], np.array([0.1, 0.2, 0.3]))
    with pytest.raises(ValueError, match=re.escape("at least one")):
        score(metric, [], np.array([]))


@pytest.mark.parametrize("metric", [metric for metric in METRICS if metric != "calibration_error"])
def test_draw_equals_the_score_of_the_repeated_rows(metric):
    y, p = forecast(360)
    resamples = draw_resamples(hourly(360), seed=5, resamples=20)
    draws = resample(metric, y, p, resamples, threshold=0.4)
    for draw, counts in zip(draws, resamples.counts, strict=True):
        times = counts[resamples.blocks].astype(int)
        assert draw == pytest.approx(score(metric, np.repeat(y, times), np.repeat(p, times), 0.4), abs=1e-6)


def test_draw_of_all_days_once_is_the_calibration_error_itself():
    y, p = forecast(360)
    resamples = draw_resamples(hourly(360), seed=5, resamples=1)
    once = type(resamples)(resamples.blocks, np.ones_like(resamples.counts), "day")
    assert resample("calibration_error", y, p, once)[0] == pytest.approx(score("calibration_error", y, p))


@pytest.mark.parametrize("metric", ["average_precision", "roc_auc"])
def test_draw_without_a_positive_row_is_not_a_number(metric):
    resamples = draw_resamples(hourly(240), seed=0, resamples=10)
    assert np.isnan(resample(metric, np.zeros(240), np.full(240, 0.5), resamples)).all()
