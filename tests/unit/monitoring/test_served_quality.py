"""Ages against their time to live, and values against the contract's range."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.base.contract.problem import Column
from components.monitoring.drift import describe_ages, describe_features
from components.monitoring.served_quality import count_ages, count_names_outside, count_numbers_outside, describe_age
from components.monitoring.window_counts import count_window
from tests.unit.monitoring.window_rows import LIMITS, draw_reference, draw_rows, serve

AGES = st.lists(st.one_of(st.just(float("nan")), st.floats(1, 3e8)), min_size=1, max_size=60)
REFERENCE = draw_reference()


@settings(max_examples=100, deadline=None)
@given(AGES)
def test_quantiles_of_ages_are_within_two_percent(ages):
    found = describe_age("plane", None, count_ages(np.array(ages), None), 0.0)
    known = np.array([age for age in ages if not np.isnan(age)])
    assert found.unknown_ratio == pytest.approx(np.isnan(ages).mean())
    if not len(known):
        assert (found.median_seconds, found.p95_seconds) == (None, None)
        return
    for value, level in ((found.median_seconds, 0.5), (found.p95_seconds, 0.95)):
        assert value == pytest.approx(np.quantile(known, level, method="inverted_cdf"), rel=0.02)


def test_an_age_of_exactly_the_time_to_live_has_not_expired():
    """As in the point-in-time join and in the online lookup."""
    ages = count_ages(np.array([3599.0, 3600.0, 3600.5, 9e9, np.nan]), 3600.0)
    found = describe_age("weather", 3600.0, ages, 0.0)
    assert (found.expired_ratio, found.unknown_ratio) == (2 / 5, 1 / 5)


@pytest.mark.parametrize(("in_training", "rise"), [(0.0, 2 / 5), (0.2, 2 / 5), (0.5, 0.1), (0.6, 0.0), (0.9, 0.0)])
def test_what_training_lacked_too_is_no_rise(in_training, rise):
    """Of five rows two are too old and one is unknown; training lacked the view in a share of its rows."""
    ages = count_ages(np.array([3599.0, 3600.0, 3600.5, 9e9, np.nan]), 3600.0)
    assert describe_age("weather", 3600.0, ages, in_training).expired_rise == pytest.approx(rise)


def test_a_view_without_time_to_live_never_expires():
    assert describe_age("plane", None, count_ages(np.array([1e12]), None), 0.0).expired_ratio == 0


def test_fresh_and_future_values_have_an_age_of_zero():
    found = describe_age("weather", 60.0, count_ages(np.array([-5.0, 0.0, 0.9]), 60.0), 0.0)
    assert (found.median_seconds, found.expired_ratio) == (0, 0)


def test_views_are_described_with_the_time_to_live_of_their_declaration():
    served = [serve(draw_rows(75), weather_ages=60.0), serve(draw_rows(25), weather_ages=7200.0, plane_ages=np.nan)]
    weather, plane = describe_ages(REFERENCE, count_window(REFERENCE, served))
    assert (weather.view, weather.ttl_seconds, weather.expired_ratio) == ("weather", 3600, 0.25)
    assert weather.median_seconds == pytest.approx(60, rel=0.02)
    assert weather.p95_seconds == pytest.approx(7200, rel=0.02)
    assert (plane.ttl_seconds, plane.unknown_ratio, plane.expired_ratio) == (None, 0.25, 0)


def test_numbers_are_judged_by_the_contract_and_missing_ones_are_not():
    column = Column(type="float", description="Distance", minimum=0, maximum=10)
    assert count_numbers_outside(np.array([-0.1, 0, 10, 10.1, np.nan, np.inf]), column) == 3
    assert count_numbers_outside(np.array([-1e9]), Column(type="float", description="Distance")) == 0


def test_texts_are_judged_by_the_list_and_the_pattern_of_the_contract():
    allowed = Column(type="string", description="Airport", allowed=["EWR"])
    pattern = Column(type="string", description="Airport", pattern="^[A-Z]{3}$")
    rows = {"EWR": 5, "ewr": 2, "EWRX": 1}
    assert (count_names_outside(rows, allowed), count_names_outside(rows, pattern)) == (3, 3)


def test_out_of_range_is_a_share_of_all_rows_and_views_have_no_range():
    rows = draw_rows(100)
    rows.loc[:9, "distance"] = 99_999.0
    rows.loc[:, "wind"] = -1e6
    states = describe_features(REFERENCE, count_window(REFERENCE, [serve(rows)]), LIMITS)
    found = {state.name: state.out_of_range_ratio for state in states}
    assert found == {"distance": 0.1, "wind": 0.0, "origin": 0.0}
