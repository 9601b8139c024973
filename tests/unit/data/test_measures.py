"""Freshness and volume against the limits of the contract."""

from datetime import UTC, datetime

import pytest

from components.base.adapters.duckdb import connect_duckdb
from components.base.contract.problem import Freshness, Volume
from components.data.measures import measure_freshness, measure_volume
from tests.unit.data.trips import make_problem


@pytest.fixture(scope="module")
def connection():
    with connect_duckdb(threads=1) as opened:
        yield opened


def trips(**limits):
    return make_problem(limits).sources["trips"]


def accept(connection, *times):
    values = ", ".join(f"(TIMESTAMPTZ '{time}:00+00')" for time in times)
    connection.execute(
        f"CREATE OR REPLACE VIEW trips AS SELECT t AS started_at, t AS known_at FROM (VALUES {values}) AS v(t)"
    )


@pytest.mark.parametrize(
    ("as_of", "status", "age_hours"),
    [
        (datetime(2013, 3, 2, tzinfo=UTC), "pass", 24),
        (datetime(2013, 3, 2, 1, tzinfo=UTC), "warn", 25),
        (datetime(2013, 3, 3, 1, tzinfo=UTC), "stop", 49),
    ],
)
def test_freshness_is_the_age_of_the_newest_row(connection, as_of, status, age_hours):
    accept(connection, "2013-01-01 00:00", "2013-03-01 00:00")
    found = measure_freshness(connection, "trips", trips(freshness=Freshness(warn_hours=24, stop_hours=48)), as_of)
    assert (found.status, found.age_hours) == (status, age_hours)
    assert found.newest == datetime(2013, 3, 1, tzinfo=UTC)


def test_source_without_limits_has_no_freshness(connection):
    accept(connection, "2013-01-01 00:00")
    assert measure_freshness(connection, "trips", trips(), datetime(2013, 3, 1, tzinfo=UTC)) is None


def months_of(rows, as_of, connection):
    """Rows by month of 2013, spread over the month's first 28 days."""
    accept(connection, *(f"2013-{month:02d}-{day % 28 + 1:02d} 12:00" for month, n in rows.items() for day in range(n)))
    return measure_volume(connection, "trips", trips(volume=Volume(minimum_ratio=0.6, maximum_ratio=1.6)), as_of)


def test_newest_whole_month_is_compared_with_the_median_of_earlier_ones(connection):
    volume = months_of({1: 62, 2: 56, 3: 620, 4: 30}, datetime(2013, 5, 1, tzinfo=UTC), connection)
    assert [month.rows_per_day for month in volume.months] == [2, 2, 20, 1]
    assert [month.ratio for month in volume.months] == [None, None, 10, 0.5]
    assert [month.status for month in volume.months] == ["pass", "pass", "thick", "thin"]
    assert (volume.newest_month, volume.status) == ("2013-04", "stop")


def test_running_month_is_shown_and_not_compared(connection):
    volume = months_of({1: 62, 2: 56, 3: 62, 4: 1}, datetime(2013, 4, 10, tzinfo=UTC), connection)
    assert (volume.newest_month, volume.status) == ("2013-03", "pass")
    assert volume.months[-1].is_complete is False


def test_last_month_without_a_row_stops(connection):
    volume = months_of({1: 62, 2: 56}, datetime(2013, 4, 1, tzinfo=UTC), connection)
    assert (volume.newest_month, volume.ratio, volume.status) == ("2013-03", 0, "stop")


def test_one_earlier_month_is_too_few(connection):
    volume = months_of({1: 62, 2: 2}, datetime(2013, 3, 1, tzinfo=UTC), connection)
    assert volume.status == "not judged"
