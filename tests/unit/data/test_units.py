"""A number that comes in another unit is told from one that moved."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data.units import LEVELS, find_conversion

RANDOM = np.random.default_rng(0)
# A month each, with the shapes of a temperature, a speed, a distance and a visibility that is mostly 10 miles.
NUMBERS = {
    "degrees Fahrenheit": RANDOM.normal(72, 9, 2000),
    "miles per hour": RANDOM.gamma(4, 2.5, 2000),
    "miles": RANDOM.lognormal(6.7, 0.7, 2000),
    "minutes": RANDOM.gamma(2, 60, 2000),
}
CONVERTED = [
    ("degrees Fahrenheit", "degrees Celsius", lambda numbers: (numbers - 32) * 5 / 9),
    ("miles per hour", "metres per second", lambda numbers: numbers * 0.44704),
    ("miles per hour", "kilometres per hour", lambda numbers: numbers * 1.609),
    ("miles", "kilometres", lambda numbers: numbers * 1.609),
    ("minutes", "seconds", lambda numbers: numbers * 60),
    ("minutes", "hours", lambda numbers: numbers / 60),
]


def quantiles(numbers):
    return tuple(np.quantile(numbers, LEVELS, method="inverted_cdf"))


@pytest.mark.parametrize(("unit", "after", "convert"), CONVERTED)
def test_another_unit_is_named_also_where_the_next_month_is_another(unit, after, convert):
    before = NUMBERS[unit]
    # The next month is 8 % higher.
    conversion = find_conversion(quantiles(before), quantiles(convert(before * 1.08)), unit)
    assert (conversion.before, conversion.after) == (unit, after)


def test_factor_is_named_where_the_contract_has_no_known_unit():
    before = NUMBERS["miles"]
    assert find_conversion(quantiles(before), quantiles(before * 1000), None).factor == 1000
    constant = np.full(200, 10.0)
    assert find_conversion(quantiles(constant), quantiles(constant * 1.609), None).factor == pytest.approx(
        1.609, abs=0.01
    )


def test_one_day_beyond_all_of_before_is_named_by_where_it_would_be():
    before, day = NUMBERS["degrees Fahrenheit"], RANDOM.normal(75, 3, 200)
    conversion = find_conversion(quantiles(before), quantiles((day - 32) * 5 / 9), "degrees Fahrenheit")
    assert conversion.after == "degrees Celsius"


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(NUMBERS)), st.integers(0, 2**32 - 1), st.floats(0.85, 1.2), st.integers(200, 2000))
def test_rows_of_another_day_or_month_have_no_other_unit(unit, seed, moved, rows):
    later = np.random.default_rng(seed).choice(NUMBERS[unit], rows) * moved
    assert find_conversion(quantiles(NUMBERS[unit]), quantiles(later), unit) is None


def test_a_median_that_a_day_before_had_is_no_other_unit():
    before = NUMBERS["miles per hour"]
    calm = quantiles(before * 0.447)
    assert find_conversion(quantiles(before), calm, "miles per hour", days=(4.0, 20.0)) is None
    assert find_conversion(quantiles(before), calm, "miles per hour", days=(7.0, 20.0)) is not None


def test_nothing_is_said_without_numbers():
    assert find_conversion((), quantiles(NUMBERS["miles"]), "miles") is None
    assert find_conversion(quantiles(NUMBERS["miles"]), (), "miles") is None
