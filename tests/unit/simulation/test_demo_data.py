"""Demonstration data land as monthly deliveries and snapshots, the same ones every time."""

import csv
import io
import re

import pytest

from components.base.errors import PermanentError
from pipelines.simulation.demo_data import Landed, land_deliveries


@pytest.fixture
def landing(store, store_settings, monkeypatch):
    """The landing zone of a fresh bucket, named by the environment."""
    for name, value in store_settings.child_environment().items():
        monkeypatch.setenv(name, value)
    return store


def names(store):
    return [entry.key.removeprefix("landing/flight-delays/") for entry in store.list_objects("landing/flight-delays/")]


def table(store, name):
    return list(csv.DictReader(io.StringIO(store.get_bytes(f"landing/flight-delays/{name}").decode())))


def test_months_land_one_after_the_other_and_registers_as_snapshots(landing):
    assert land_deliveries("flight-delays", "2013-02-01") == Landed(written=5, kept=0)
    assert names(landing) == [
        "airlines/2013-01-01.csv",
        "airports/2013-01-01.csv",
        "flights/2013-01.csv",
        "planes/2013-01-01.csv",
        "weather/2013-01.csv",
    ]
    assert land_deliveries("flight-delays", "2013-03-01T00:00:00+00:00") == Landed(written=2, kept=5)
    assert len(table(landing, "flights/2013-01.csv")) == 27_004
    assert {row["month"] for row in table(landing, "flights/2013-02.csv")} == {"2"}


def test_missing_values_land_as_empty_fields(landing):
    land_deliveries("flight-delays", "2013-01-02")
    for name in ("flights/2013-01.csv", "weather/2013-01.csv", "planes/2013-01-01.csv", "airports/2013-01-01.csv"):
        values = {value for row in table(landing, name) for value in row.values()}
        assert "" in values
        assert not values & {"NA", "\\N"}


def test_changed_delivery_is_landed_again(landing):
    land_deliveries("flight-delays", "2013-01-02")
    landing.put_bytes("landing/flight-delays/weather/2013-01.csv", b"half")
    assert land_deliveries("flight-delays", "2013-01-02") == Landed(written=1, kept=4)


def test_multiplied_flights_keep_their_distributions_and_have_distinct_keys(landing):
    land_deliveries("flight-delays", "2013-01-02", multiply=3)
    rows = table(landing, "flights/2013-01.csv")
    keys = {(r["carrier"], r["flight"], r["origin"], r["dest"], r["time_hour"], r["minute"]) for r in rows}
    assert len(rows) == len(keys) == 3 * 27_004
    assert rows[27_004]["dep_delay"] == rows[0]["dep_delay"]
    assert all(int(row["sched_dep_time"]) == int(row["hour"]) * 100 + int(row["minute"]) for row in rows)


def test_problem_with_its_own_systems_lands_nothing(landing):
    assert land_deliveries("another-problem") == Landed(written=0, kept=0)
    assert landing.list_objects() == []


def test_multiple_beyond_the_minutes_of_an_hour_is_refused(landing):
    with pytest.raises(
        PermanentError, match=re.escape("demo data: multiply must be 1 to 60 (minutes of an hour), but got 61.")
    ):
        land_deliveries("flight-delays", multiply=61)
