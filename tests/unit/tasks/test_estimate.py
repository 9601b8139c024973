"""Expected scores against the mean over drawn outcomes, on a covariate shift, and where they must fail."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.tasks.binary.metrics import METRICS
from tests.unit.monitoring.flights_world import sigmoid

ESTIMATED = [name for name, metric in METRICS.items() if metric.estimate]

THRESHOLD = 0.3
# Twice the standard error of a score on 20,000 rows is below 0.01; the truth must be as near as that.
BAND = 0.015
DRAWS = 300


def estimate(metric, p):
    return METRICS[metric].estimate(p[:, None], p >= THRESHOLD)


def score(metric, y, p):
    return METRICS[metric].score(y.astype(float), p[:, None], p >= THRESHOLD)


def test_calibration_alone_has_no_estimate():
    assert set(METRICS) - set(ESTIMATED) == {"calibration_error"}


@pytest.mark.parametrize("metric", ESTIMATED)
@pytest.mark.parametrize("digits", [1, 8], ids=["ties", "no ties"])
def test_estimate_is_the_mean_score_over_drawn_outcomes(metric, digits):
    generator = np.random.default_rng(1)
    p = generator.beta(2, 5, size=400).round(digits)
    scores = [score(metric, generator.random(400) < p, p) for _ in range(DRAWS)]
    # Four standard errors of the mean over the draws, and the 1/n of the ratio.
    band = 4 * np.std(scores) / np.sqrt(DRAWS) + 0.5 / 400
    assert estimate(metric, p) == pytest.approx(np.mean(scores), abs=band)


@pytest.mark.parametrize("metric", ESTIMATED)
@pytest.mark.parametrize("moved", [-1.0, 1.0], ids=["to fewer late flights", "to more late flights"])
def test_estimate_follows_a_covariate_shift(metric, moved):
    """Rows are drawn anew by x, and p(y | x) stays: the score moves, and the estimate with it, before labels come."""
    generator = np.random.default_rng(2)
    x = generator.normal(size=200_000)
    y = generator.random(len(x)) < sigmoid(1.5 * x - 1)
    before = score(metric, y[:20_000], sigmoid(1.5 * x[:20_000] - 1))
    weights = np.exp(moved * x)
    chosen = generator.choice(len(x), 20_000, p=weights / weights.sum())
    p = sigmoid(1.5 * x[chosen] - 1)
    truth = score(metric, y[chosen], p)
    assert estimate(metric, p) == pytest.approx(truth, abs=BAND)
    # Not every score moves far.
    if metric == "average_precision":
        assert abs(truth - before) > 2 * BAND


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_estimate_is_blind_to_a_change_of_concept(metric):
    """The documented weakness: the inputs are as ever, x means less than it did, and the estimate does not notice."""
    generator = np.random.default_rng(3)
    x = generator.normal(size=20_000)
    p = sigmoid(1.5 * x - 1)
    before = score(metric, generator.random(len(x)) < p, p)
    after = score(metric, generator.random(len(x)) < sigmoid(0.3 * x - 1), p)
    assert estimate(metric, p) == pytest.approx(before, abs=BAND)
    assert after < before - 10 * BAND


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_expected_ranking_is_that_of_all_outcomes(values):
    """The pairs, counted one by one."""
    p = np.array(values)
    pairs = [(i, j) for i in range(len(p)) for j in range(len(p)) if i != j]
    weight = sum(p[i] * (1 - p[j]) for i, j in pairs)
    right = sum(p[i] * (1 - p[j]) * ((p[i] > p[j]) + 0.5 * (p[i] == p[j])) for i, j in pairs)
    if weight > 1e-6:
        assert estimate("roc_auc", p) == pytest.approx(right / weight, abs=1e-6)


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=20))
def test_certain_probabilities_promise_their_own_score(values):
    p = np.array(values)
    assert estimate("brier", p) == 0
    if 0 < p.sum() < len(p):
        assert estimate("roc_auc", p) == pytest.approx(1)
    if p.sum():
        assert estimate("average_precision", p) == pytest.approx(1)
        assert estimate("f1", p) == pytest.approx(1)


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "brier", "log_loss"])
def test_estimate_of_no_rows_is_not_a_number(metric):
    assert np.isnan(estimate(metric, np.array([])))
