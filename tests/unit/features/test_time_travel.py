"""Time travel passes through the states that a refresh would have made, and ends in the same one."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from components.base.settings import load_settings
from components.features.build import build_tables
from components.features.online.materialize import fill_online_store
from components.features.online.store import open_online_features
from components.features.online.time_travel import open_time_travel, plan_time_travel

ROW = {"origin": "EWR", "carrier": "UA", "route": "EWR-IAH", "tailnum": "N1"}


@pytest.fixture
def features(problem, tmp_path, write_accepted, make):
    flights = make.flights(make.flight(n, n * 60, n, tailnum="N1" if n < 20 else "N2") for n in range(1, 40))
    build_tables(problem, write_accepted(tmp_path / "accepted", flights), tmp_path / "features")
    return str(tmp_path / "features")


def _filled(problem, features, home, as_of):
    settings = load_settings({"TIDEMILL_HOME": str(home)})
    fill_online_store(settings, problem, features, as_of)
    return settings


def _held(settings):
    with closing(sqlite3.connect(settings.online_store)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: sorted(
                connection.execute(f'SELECT entity_key, feature_name, value, event_ts FROM "{table}"').fetchall()
            )
            for table in tables
            if table != "tidemill_fillings"
        }


def _travel(problem, features, settings, start, times, withheld=()):
    with open_time_travel(problem, Path(settings.online_store)) as travel:
        for step in plan_time_travel(problem, features, start, times):
            travel.advance(step, withheld)


@pytest.mark.parametrize("hours", [1, 5, 24])
def test_time_travel_ends_with_what_a_refresh_at_the_end_would_hold(problem, features, tmp_path, make, hours):
    start, end = make.start + timedelta(hours=12), make.start + timedelta(hours=36)
    settings = _filled(problem, features, tmp_path / "travelled", start)
    stops = [start + timedelta(hours=n) for n in range(hours, 24, hours)]
    _travel(problem, features, settings, start, [*stops, end])
    assert _held(settings) == _held(_filled(problem, features, tmp_path / "refreshed", end))


def test_a_time_on_the_way_is_served_as_it_was(problem, features, tmp_path, make):
    start, middle = make.start + timedelta(hours=12), make.start + timedelta(hours=20)
    settings = _filled(problem, features, tmp_path / "travelled", start)
    _travel(problem, features, settings, start, [middle])
    (served,) = open_online_features(problem, settings).read([ROW])
    (wanted,) = open_online_features(problem, _filled(problem, features, tmp_path / "other", middle)).read([ROW])
    assert served.values == wanted.values
    assert served.missing == wanted.missing


def test_a_withheld_view_grows_old_and_is_served_as_missing(problem, features, tmp_path, make):
    start, end = make.start + timedelta(hours=12), make.start + timedelta(hours=36)
    settings = _filled(problem, features, tmp_path / "home", start)
    _travel(problem, features, settings, start, [end], withheld=["origin_weather"])
    (served,) = open_online_features(problem, settings).read([ROW])
    assert "weather_pressure" in served.missing
    assert "carrier_late_ratio_24h" not in served.missing


def test_an_open_reader_follows_with_its_clock(problem, features, tmp_path, make):
    start, middle = make.start + timedelta(hours=12), make.start + timedelta(hours=20)
    settings = _filled(problem, features, tmp_path / "travelled", start)
    reader = open_online_features(problem, settings)
    assert reader.read([ROW])[0].read_at == start.timestamp()
    _travel(problem, features, settings, start, [middle])
    (served,) = reader.read([ROW])
    assert served.read_at == middle.timestamp()
    assert 0 <= served.ages["origin_weather"] <= 3600
