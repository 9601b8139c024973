from dataclasses import replace

import pytest

from components.base.statistics.resampling import Interval
from components.base.text.wording import (
    format_time,
    join_words,
    name_first,
    say_plainly,
    write_bounds,
    write_bytes,
    write_capacity,
    write_count,
    write_date,
    write_gain,
    write_money,
    write_number,
    write_percent,
    write_points,
    write_quantity,
    write_score,
    write_span,
)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (write_count(112034), "112,034"),
        (write_percent(0.2341), "23.4%"),
        (write_percent(0.00069), "0.069%"),
        (write_percent(0.0), "0.0%"),
        (write_percent(1.0, 0), "100%"),
        (write_points(0.034), "+3.4 points"),
        (write_points(-0.5), "-50.0 points"),
        (write_money(81234.4, "USD"), "81,234 USD"),
        (write_money(-6193.2, "USD"), "-6,193 USD"),
        (write_money(-0.3, "USD"), "0 USD"),
        (write_number(1016.31), "1,016"),
        (write_number(2.5), "2.5"),
        (write_number(0.05617), "0.0562"),
        (write_number(-12.0), "-12"),
        (write_number(0.0), "0"),
        (write_quantity(0.653, "share of flights"), "65.3%"),
        (write_quantity(59.31, "minutes"), "59.3 minutes"),
        (write_quantity(3.0, None), "3"),
        (write_score(0.5), "0.500"),
        (write_date("2013-07-01T00:00:00+00:00"), "1 July 2013"),
        (write_gain(8420.2, "USD"), "+8,420 USD"),
        (write_gain(-0.2, "USD"), "0 USD"),
        (write_gain(None, "USD"), "n/a"),
        (format_time("2013-07-01T04:05:00+00:00"), "1 July 2013, 04:05"),
        (write_span(86_400), "1 day"),
        (write_span(151_200), "1.8 days"),
        (write_span(1_750), "29.2 minutes"),
        (write_span(0.2), "0 seconds"),
        (write_span(None), "n/a"),
        (write_bytes(634_100), "634.1 kB"),
        (write_capacity(150, 1), "150 actions a day"),
        (write_capacity(288, 24), "288 actions a day, 12 in each of 24 periods"),
        (write_bytes(12), "12 B"),
        (join_words(["a", "b", "c"]), "a, b and c"),
        (join_words([]), ""),
        (say_plainly("beats_current_solution"), "beats current solution"),
    ],
)
def test_numbers_are_written_for_people(written, expected):
    assert written == expected


@pytest.mark.parametrize("write", [write_count, write_percent, write_points, write_number, write_score])
@pytest.mark.parametrize("unknown", [None, float("nan")])
def test_unknown_numbers_are_said_to_be_unknown(write, unknown):
    assert write(unknown) == "n/a"


@pytest.mark.parametrize("unknown", [None, float("nan")])
def test_bounds_are_written_only_where_both_are_known(unknown):
    known = Interval(0.5, 0.4, 0.6)
    assert write_bounds(known, write_score) == "95% interval 0.400 to 0.600"
    assert write_bounds(known, write_score, 0.9875) == "98.75% interval 0.400 to 0.600"
    for estimate in (None, replace(known, low=unknown), replace(known, high=unknown)):
        assert write_bounds(estimate, write_score) == "no interval: too few rows"


@pytest.mark.parametrize(("count", "words"), [(0, ""), (1, "1"), (3, "1, 2 and 3"), (560, "1, 2, 3 and 557 more")])
def test_long_lists_name_the_first_and_count_the_others(count, words):
    assert name_first([str(number) for number in range(1, count + 1)], 3) == words
