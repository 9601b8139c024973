"""What had landed at a time, and what had not."""

import re
from datetime import UTC, date, datetime

import pytest

from components.base.adapters.s3 import StoredObject
from components.base.errors import DataError
from components.data.landing import Delivery, find_deliveries, missing_months
from tests.unit.data.trips import AS_OF

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def objects(*names):
    return [StoredObject(f"landing/trips/{name}", 1, f"etag-{name}", MOMENT) for name in names]


def names(deliveries):
    return [delivery.key.removeprefix("landing/trips/") for delivery in deliveries]


def test_deliveries_come_in_the_order_of_landing_and_corrections_after_what_they_correct(problem):
    stored = objects("trips/2013-02-corrected.csv", "trips/2013-02.csv", "trips/2013-01.csv", "cities/2013-01.csv")
    assert names(find_deliveries(problem, stored, AS_OF)["trips"]) == [
        "trips/2013-01.csv",
        "trips/2013-02.csv",
        "trips/2013-02-corrected.csv",
    ]


def test_delivery_of_a_period_that_begins_at_as_of_has_not_landed(problem):
    stored = objects("trips/2013-03.csv", "trips/2013-04.csv", "cities/2013-01.csv")
    assert names(find_deliveries(problem, stored, AS_OF)["trips"]) == ["trips/2013-03.csv"]


def test_newest_landed_snapshot_replaces_the_older_ones(problem):
    stored = objects("trips/2013-03.csv", "cities/2013-01-01.csv", "cities/2013-03-15.csv", "cities/2013-05-01.csv")
    assert names(find_deliveries(problem, stored, AS_OF)["cities"]) == ["cities/2013-03-15.csv"]


def test_all_faults_of_all_sources_are_reported_at_once(problem):
    stored = objects("trip/2013-01.csv", "cities/newest.csv", "cities/2013-13.csv")
    with pytest.raises(DataError) as caught:
        find_deliveries(problem, stored, AS_OF)
    words = str(caught.value)
    assert words.startswith("ingest trips: 3 faults.")
    assert "trips: a delivery must have landed as landing/trips/trips/*.csv by 2013-04-01, but none has." in words
    assert "Did you mean 'trip'?" in words
    assert "landing/trips/cities/newest.csv: the name must begin with its period such as 2013-06" in words
    assert "landing/trips/cities/2013-13.csv: the name must begin with its period" in words


def test_star_in_a_path_stays_within_its_folder(problem):
    stored = objects("trips/2013-01.csv", "trips/rejected/2013-02.csv", "trips/2013-03.CSV", "cities/2013-01-01.csv")
    assert names(find_deliveries(problem, stored, AS_OF)["trips"]) == ["trips/2013-01.csv"]


def test_too_early_as_of_names_the_oldest_delivery(problem):
    stored = objects("trips/2013-05.csv", "cities/2013-01-01.csv")
    words = "but the oldest is landing/trips/trips/2013-05.csv. Choose a later as_of."
    with pytest.raises(DataError, match=re.escape(words)):
        find_deliveries(problem, stored, AS_OF)


def test_months_that_never_came_are_named_up_to_as_of():
    deliveries = [Delivery("trips", "k", "e", date(2012, 11, 5)), Delivery("trips", "k", "e", date(2013, 1, 1))]
    assert list(missing_months(deliveries, AS_OF)) == ["2012-12", "2013-02", "2013-03"]
    assert list(missing_months([], AS_OF)) == []
