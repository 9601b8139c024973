"""Cron arithmetic: the due times around a time, and the longest gap, against a plain walk over the minutes."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import islice, pairwise

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from components.base.errors import ContractError
from components.base.schedule import find_longest_gap, find_next, find_previous

TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))


def field(low, high):
    number = st.integers(low, high)
    pair = st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}")
    several = st.lists(number, min_size=1, max_size=3).map(lambda numbers: ",".join(map(str, numbers)))
    return st.just("*") | pair | several | st.integers(1, high).map(lambda step: f"*/{step}")


# No day after the 28th: some days do not exist in some months, and then no time may match.
SCHEDULES = st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)).map(" ".join)


@given(SCHEDULES, TIMES)
def test_a_time_lies_between_its_previous_and_its_next_due_time(schedule, time):
    previous, following = find_previous(schedule, time), find_next(schedule, time)
    assert previous <= time < following
    assert find_next(schedule, previous) == following
    assert find_previous(schedule, following) == following
    assert find_previous(schedule, following - timedelta(microseconds=1)) == previous


@given(SCHEDULES, TIMES, st.integers(-12, 12))
def test_a_time_of_another_zone_is_read_in_utc(schedule, time, hours):
    elsewhere = time.astimezone(timezone(timedelta(hours=hours)))
    assert find_previous(schedule, elsewhere) == find_previous(schedule, time)
    assert find_next(schedule, elsewhere).utcoffset() == timedelta(0)


@settings(max_examples=30)
@given(SCHEDULES, st.integers(2024, 2027))
def test_no_gap_of_a_year_is_longer_than_the_longest(schedule, year):
    due = islice(CronSim(schedule, datetime(year, 1, 1, tzinfo=UTC)), 400)
    longest = find_longest_gap(schedule)
    assert all(later - earlier <= longest for earlier, later in pairwise(due) if later.year == year)


@pytest.mark.parametrize(
    ("schedule", "gap"),
    [
        ("0 6 * * *", timedelta(days=1)),
        ("* * * * *", timedelta(minutes=1)),
        ("*/5 * * * *", timedelta(minutes=5)),
        ("0 6 * * 1-5", timedelta(days=3)),
        # From July to January are 184 days, from January to July 181 or 182.
        ("0 4 1 1,7 *", timedelta(days=184)),
        # From 17:50 to 8:00 on the next day.
        ("*/10 8-17 * * *", timedelta(hours=14, minutes=10)),
        # From 31 January, 23:55, to 1 December: so many times a month hide no gap between months.
        ("*/5 * * 1,12 *", timedelta(days=304, minutes=5)),
        # From 29 February 2024 to 29 February 2028.
        ("0 0 29 2 *", timedelta(days=4 * 365 + 1)),
    ],
)
def test_the_longest_gap_is_within_a_day_or_between_two_due_days(schedule, gap):
    assert find_longest_gap(schedule) == gap


@pytest.mark.parametrize("schedule", ["0 66 * * *", "0 0 30 2 *", "often"])
@pytest.mark.parametrize("find", [find_previous, find_next])
def test_a_line_that_never_comes_true_is_refused(schedule, find):
    with pytest.raises(ContractError, match="must be five cron fields that come true, but got "):
        find(schedule, datetime(2026, 1, 1, tzinfo=UTC))
