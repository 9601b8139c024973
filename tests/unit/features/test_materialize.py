"""The online store holds exactly what was known at `as_of`, whatever it held before."""

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from feast import FeatureService

from components.base.errors import DataError, PermanentError
from components.base.settings import load_settings
from components.base.tables import write_table
from components.features.build import build_tables
from components.features.online import materialize, sqlite
from components.features.online.materialize import Materialized, fill_online_store
from components.features.online.store import open_online_features

ROW = {"origin": "EWR", "carrier": "UA", "route": "EWR-IAH", "tailnum": "N1"}


@pytest.fixture
def features(problem, tmp_path, write_accepted, make):
    flights = make.flights(make.flight(n, n * 60, n, tailnum="N1" if n < 20 else "N2") for n in range(1, 40))
    accepted = write_accepted(tmp_path / "accepted", flights)
    build_tables(problem, accepted, tmp_path / "features")
    return str(tmp_path / "features")


@pytest.fixture
def settings(tmp_path):
    return load_settings({"TIDEMILL_HOME": str(tmp_path / "home")})


@pytest.fixture
def early(make):
    return make.start + timedelta(hours=12)


@pytest.fixture
def late(make):
    return make.start + timedelta(hours=36)


def _dump(settings):
    with sqlite3.connect(settings.online_store) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        held = {
            table: sorted(connection.execute(f'SELECT * FROM "{table}"').fetchall(), key=str)
            for table in tables
            if table != "tidemill_fillings"
        }
    connection.close()
    return held


def _registry(settings):
    return Path(settings.registry)


def _leftovers(settings):
    return [path.name for path in Path(settings.online_store).parent.glob(f"{Path(settings.online_store).name}?*")]


def test_filling_again_changes_nothing(problem, settings, features, late):
    first = fill_online_store(settings, problem, features, late)
    held = _dump(settings)
    assert fill_online_store(settings, problem, features, late) == first
    assert _dump(settings) == held
    assert first.kept_from is None
    assert first.entities["plane_profile"] == 1


def test_service_without_views_fills_nothing_and_is_served(problem, settings, late, tmp_path, monkeypatch):
    requested = FeatureService(name="requested", features=[])
    monkeypatch.setattr("feature_repo.flight_delays.views.requested", requested, raising=False)
    only = problem.model_copy(update={"features": problem.features.model_copy(update={"service": "requested"})})
    assert build_tables(only, write_nothing(only, tmp_path), tmp_path / "features") == {}
    assert fill_online_store(settings, only, str(tmp_path / "features"), late).entities == {}
    (served,) = open_online_features(only, settings).read([ROW])
    assert (served.values, served.missing, served.ages) == ({}, (), {})


def write_nothing(problem, folder):
    """Write an accepted file a source; nothing reads them."""
    for name in problem.sources:
        write_table(pd.DataFrame({"x": [1]}), folder / f"{name}.parquet")
    return folder


def test_an_earlier_as_of_after_a_later_one_keeps_the_later(problem, settings, features, early, late, caplog):
    filled = fill_online_store(settings, problem, features, late)
    held, registered = Path(settings.online_store).read_bytes(), _registry(settings).read_bytes()
    caplog.set_level("INFO")
    kept = fill_online_store(settings, problem, features, early)
    assert (Path(settings.online_store).read_bytes(), _registry(settings).read_bytes()) == (held, registered)
    assert kept == Materialized(filled.entities, early, kept_from=late)
    assert caplog.messages[-1] == "materialize: the store already holds 2013-01-02 17:00:00+00:00, kept"
    assert _leftovers(settings) == []


def test_a_kept_store_that_lacks_a_declared_view_holds_no_entity_of_it(problem, settings, features, early, late):
    fill_online_store(settings, problem, features, late)
    with closing(sqlite3.connect(settings.online_store)) as connection, connection:
        connection.execute("DROP TABLE tidemill_plane_profile")
    assert fill_online_store(settings, problem, features, early).entities["plane_profile"] == 0


def test_a_later_as_of_after_an_earlier_one_replaces_it(problem, settings, features, early, late):
    fill_online_store(settings, problem, features, early)
    held = _dump(settings)
    assert fill_online_store(settings, problem, features, late).kept_from is None
    assert _dump(settings) != held


def test_a_failure_leaves_the_old_store_and_registry_and_no_draft(
    problem, settings, features, early, late, monkeypatch
):
    fill_online_store(settings, problem, features, early)
    held, registered = _dump(settings), _registry(settings).read_bytes()
    monkeypatch.setattr(materialize, "_differences", lambda *_: ["`x` of y must be read back as 1, but got 2."])
    with pytest.raises(DataError, match=re.escape("must be read back as 1, but got 2.")):
        fill_online_store(settings, problem, features, late)
    assert _dump(settings) == held
    assert _registry(settings).read_bytes() == registered
    assert _leftovers(settings) == []


def test_nothing_is_registered_before_the_new_store_is_in_place(problem, settings, features, late):
    Path(settings.online_store).mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        fill_online_store(settings, problem, features, late)
    assert not _registry(settings).exists()


def test_a_store_that_is_no_database_is_reported(problem, settings, features, late):
    Path(settings.online_store).parent.mkdir(parents=True)
    Path(settings.online_store).write_bytes(b"no database at all" * 100)
    with pytest.raises(PermanentError, match=re.escape("but got file is not a database. Remove it and run again.")):
        fill_online_store(settings, problem, features, late)
    assert _leftovers(settings) == []


def test_values_that_differ_from_the_tables_are_noticed(problem, settings, features, late, monkeypatch):
    """Store every number one too low: each changed value is reported."""
    whole = sqlite.encode_value
    monkeypatch.setattr(sqlite, "encode_value", lambda value: whole(value - 1.0 if isinstance(value, float) else value))
    with pytest.raises(DataError, match=re.escape("`plane_seats` of N1 must be read back as 150.0, but got 149.0.")):
        fill_online_store(settings, problem, features, late)
    assert _leftovers(settings) == []


def test_tables_of_other_problems_stay(problem, settings, features, late):
    Path(settings.online_store).parent.mkdir(parents=True)
    connection = sqlite3.connect(settings.online_store)
    with connection:
        connection.execute("CREATE TABLE tidemill_other (entity_key BLOB)")
        connection.execute("INSERT INTO tidemill_other VALUES ('kept')")
    connection.close()
    fill_online_store(settings, problem, features, late)
    assert _dump(settings)["tidemill_other"] == [("kept",)]


def test_an_open_reader_sees_the_new_store(problem, settings, features, early, late):
    fill_online_store(settings, problem, features, early)
    online = open_online_features(problem, settings)
    (before,) = online.read([ROW])
    fill_online_store(settings, problem, features, late)
    (after,) = online.read([ROW])
    assert before.values["weather_temperature"] == 42.0
    assert after.values["weather_temperature"] == 66.0


def test_nothing_later_than_as_of_is_served(problem, settings, features, make):
    fill_online_store(settings, problem, features, datetime(2013, 1, 1, 5, 30, tzinfo=UTC))
    (served,) = open_online_features(problem, settings).read([ROW])
    assert served.values["weather_temperature"] == 30.0
    assert {name for name in served.missing if name.startswith(("carrier", "route"))} >= {"carrier_flights_24h"}
