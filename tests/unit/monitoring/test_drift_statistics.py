"""The three distances against SciPy, closed forms and simulation."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2, wasserstein_distance

from components.base.statistics.counts import CategoryCounts, NumericCounts, measure_psi
from components.features.explore.profile import profile_numbers
from components.monitoring.drift import limit_psi, measure_jensen_shannon, measure_wasserstein

COUNTS = st.lists(st.integers(0, 500), min_size=3, max_size=12)
NUMBERS = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60)
RANDOM = np.random.default_rng(0)
NORMAL = RANDOM.normal(size=40_000)


def name_counts(numbers):
    names = {f"c{place}": number for place, number in enumerate(numbers[:-2])}
    return CategoryCounts(counts=names, other=numbers[-2], missing=numbers[-1])


def pair(first, second):
    size = min(len(first), len(second))
    return name_counts(first[:size]), name_counts(second[:size])


@settings(max_examples=200, deadline=None)
@given(COUNTS, COUNTS)
def test_jensen_shannon_is_that_of_scipy(first, second):
    one, other = pair(first, second)
    found = measure_jensen_shannon(one, other)
    if not one.vector().any() or not other.vector().any():
        assert found is None
        return
    assert found == pytest.approx(jensenshannon(one.vector(), other.vector(), base=2), abs=1e-7)
    assert 0 <= found <= 1 + 1e-12
    assert found == pytest.approx(measure_jensen_shannon(other, one), abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(COUNTS, COUNTS)
def test_shift_is_symmetric_never_negative_and_zero_of_itself(first, second):
    one, other = pair(first, second)
    assert measure_psi(one, other) == pytest.approx(measure_psi(other, one), abs=1e-12)
    assert measure_psi(one, other) >= 0
    assert measure_psi(one, one) == 0


def test_shift_of_normals_is_that_of_the_closed_form():
    """Jeffreys' divergence of N(0, 1) and N(0.5, 1) is 0.25; ten or twenty bins keep nearly all of it."""
    reference = profile_numbers(pd.Series(NORMAL))
    shift = measure_psi(reference, reference.count(RANDOM.normal(0.5, 1, 40_000)))
    assert shift == pytest.approx(0.25, rel=0.06)


@settings(max_examples=100, deadline=None)
@given(NUMBERS, NUMBERS)
def test_wasserstein_of_one_value_a_bin_is_that_of_scipy(first, second):
    """With an edge at every value, a bin holds one value and its mean says all."""
    edges = np.unique(np.array([*first, *second]) + 0.0)
    bins = NumericCounts(edges=tuple(edges.tolist()), counts=(), missing=0)
    one, other = bins.count(first), bins.count(second)
    found = measure_wasserstein(one, other)
    wanted = wasserstein_distance(first, second)
    if np.std(first) < 1e-6:
        assert found is None or found >= 0
    else:
        assert found * one.deviation() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    ("values", "tolerance"),
    [
        (RANDOM.normal(0.1, 1, 20_000), 0.01),
        (RANDOM.normal(2.0, 1, 20_000), 0.01),
        (RANDOM.normal(0.0, 1.5, 20_000), 0.02),
        (RANDOM.standard_t(3, 20_000), 0.02),
        (RANDOM.exponential(1, 20_000) - 1, 0.03),
        (np.full(20_000, 30.0), 0.01),
    ],
    ids=["shifted", "far away", "wider", "heavy tails", "skewed", "one value"],
)
def test_wasserstein_of_the_profile_is_near_that_of_all_values(values, tolerance):
    reference = profile_numbers(pd.Series(NORMAL))
    wanted = wasserstein_distance(NORMAL, values) / NORMAL.std()
    assert measure_wasserstein(reference, reference.count(values)) == pytest.approx(wanted, abs=tolerance)


@settings(max_examples=100, deadline=None)
@given(NUMBERS, NUMBERS)
def test_wasserstein_is_not_below_the_difference_of_means(first, second):
    bins = NumericCounts(edges=(-10.0, 0.0, 10.0), counts=(), missing=0)
    one, other = bins.count(first), bins.count(second)
    found = measure_wasserstein(one, other)
    if found is not None:
        assert found * one.deviation() >= abs(np.mean(first) - np.mean(second)) - 1e-6
        assert measure_wasserstein(one, one) == 0


@pytest.mark.parametrize("rows", [500, 5000])
@pytest.mark.parametrize("shape", ["bins", "names"])
def test_noise_alone_goes_beyond_the_limit_once_in_a_thousand(rows, shape):
    """Windows of the reference's own distribution: 21 equal bins, or 50 names of which the rarest is one in 225."""
    random = np.random.default_rng([rows, len(shape)])
    truth = np.full(21, 1 / 21) if shape == "bins" else 1 / np.arange(1, 51) / np.sum(1 / np.arange(1, 51))
    windows = 8000
    beyond = 0
    reference = name_counts([*random.multinomial(20_000, truth).tolist(), 0, 0])
    for numbers in random.multinomial(rows, truth, windows).tolist():
        current = name_counts([*numbers, 0, 0])
        beyond += measure_psi(reference, current) > limit_psi(reference, current, 1e-9)
    # 8 are expected; more than 18 come once in a thousand runs of a test whose rate is 0.001.
    assert beyond <= 18


def test_limit_is_the_quantile_of_noise_or_that_of_the_contract():
    one = name_counts([100, 200, 300, 0, 0])
    other = name_counts([10, 20, 30, 0, 40])
    noise = chi2.ppf(0.999, 3) * (1 / 600 + 1 / 100)
    assert limit_psi(one, other, 1e-9) == pytest.approx(noise)
    assert limit_psi(one, other, 0.25) == 0.25
    assert limit_psi(one, name_counts([0, 0, 0, 0, 0]), 0.25) == 0.25
