"""Through Feast: rows come back once and in order, and what is served is what the point-in-time join gives."""

import math
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int32, Int64

from components.base.errors import ContractError, DataError
from components.base.settings import load_settings
from components.features.build import build_tables
from components.features.feast import feature_store
from components.features.feast.feature_store import (
    apply,
    declared_views,
    describe_view,
    join_features,
    online_table,
    open_feature_store,
    open_scratch_store,
)
from components.features.online.materialize import fill_online_store
from components.features.online.reader import Found, Lookup, OnlineFeatures
from components.features.online.store import open_online_features

HOURS = 60


@pytest.fixture(scope="module")
def built(problem, make, write_accepted, tmp_path_factory):
    """Feature tables of flights from two airports, of two carriers and three aircraft."""
    folder = tmp_path_factory.mktemp("features")
    flights = make.flights(
        make.flight(
            n,
            minute=n * 47,
            dep_delay=None if n % 13 == 0 else (n * 17) % 90 - 10,
            carrier="UA" if n % 3 else "DL",
            origin="JFK" if n % 2 else "EWR",
            tailnum=None if n % 5 == 0 else f"N{n % 3}",
        )
        for n in range(HOURS)
    )
    write_accepted(folder / "accepted", flights, make.weather(HOURS))
    build_tables(problem, folder / "accepted", folder / "features")
    return folder / "features"


@pytest.fixture(scope="module")
def as_of(make):
    return make.start + timedelta(hours=30)


@pytest.fixture(scope="module")
def settings(problem, built, as_of, tmp_path_factory):
    """Settings of an installation whose online store is filled."""
    settings = load_settings({"TIDEMILL_HOME": str(tmp_path_factory.mktemp("home"))})
    fill_online_store(settings, problem, str(built), as_of)
    return settings


def _entities(times):
    rows = [
        {"origin": origin, "carrier": carrier, "route": f"{origin}-IAH", "tailnum": tail, "event_timestamp": at}
        for at in times
        for origin in ("EWR", "JFK", "BOS")
        for carrier in ("UA", "DL")
        for tail in ("N0", "N1", "N2", "N9", None)
    ]
    return pd.DataFrame(rows).astype({"event_timestamp": "datetime64[us, UTC]"})


def test_joined_rows_keep_number_and_order(problem, built, as_of):
    entities = _entities([as_of, as_of - timedelta(days=1), as_of]).sample(frac=1, random_state=0)
    with open_scratch_store(problem, str(built)) as store:
        joined = join_features(store, problem, entities)
        each = [join_features(store, problem, entities.iloc[[n]]) for n in range(8)]
    assert joined.num_rows == len(entities)
    assert joined.column_names == [feature.name for view in declared_views(problem) for feature in view.features]
    for position, single in enumerate(each):
        assert joined.slice(position, 1).to_pylist() == single.to_pylist()


def test_a_store_that_loses_rows_is_noticed(problem, built, as_of, monkeypatch):
    from feast.infra.offline_stores.offline_store import RetrievalJob

    whole = RetrievalJob.to_arrow
    monkeypatch.setattr(RetrievalJob, "to_arrow", lambda job, **options: whole(job, **options).slice(1))
    lost = re.escape("every row must come back once and in order, but got rows=29")
    with open_scratch_store(problem, str(built)) as store, pytest.raises(DataError, match=lost):
        join_features(store, problem, _entities([as_of]))


def test_a_scratch_store_leaves_nothing_behind(problem, built):
    with open_scratch_store(problem, str(built)) as store:
        place = Path(store.config.online_store.path)
        assert place.is_file()
    assert not place.parent.exists()


def _served(online, entities):
    return [row.values for row in online.read(entities.drop(columns="event_timestamp").to_dict("records"))]


def _assert_equal(served, joined):
    for got, wanted in zip(served, joined, strict=True):
        assert list(got) == sorted(wanted)
        assert [pd.isna(value) or value for value in got.values()] == [
            pd.isna(wanted[name]) or wanted[name] for name in got
        ]


def test_what_is_served_is_what_the_join_gives_at_as_of(problem, built, settings, as_of):
    entities = _entities([as_of])
    with open_scratch_store(problem, str(built)) as store:
        joined = join_features(store, problem, entities).to_pylist()
    assert any(math.isfinite(row["aircraft_ready_hour"] or math.nan) for row in joined)
    _assert_equal(_served(open_online_features(problem, settings), entities), joined)


class FeastReader:
    """Reads an online store through Feast's public interface, at a given time."""

    def __init__(self, store, views, now):
        self._store = store
        self._views = views
        self._now = now

    def read(self, wanted):
        return Lookup(self._now, {view.name: self._read_view(view, wanted[view.name]) for view in self._views})

    def _read_view(self, view, keys):
        names = [feature.name for feature in view.features]
        entities = [dict(zip(view.keys, key, strict=True)) for key in keys]
        response = self._store.get_online_features([f"{view.name}:{name}" for name in names], entities)
        columns = response.to_dict(include_event_timestamps=True)
        found = {}
        for position, key in enumerate(keys):
            values = {name: value for name in names if (value := columns[name][position]) is not None}
            known_at = max(columns[f"{name}__ts"][position] for name in names)
            # A store answers for an unknown entity with nulls known at time 0.
            if values or known_at > 0:
                found[key] = Found(float(known_at), values)
        return found


def test_feasts_own_interface_serves_the_same(problem, settings, as_of):
    """The SQLite store uses Feast's layout, which no interface promises: its tables answer Feast as they answer us."""
    entities = _entities([as_of])
    rows = entities.to_dict("records")
    views = declared_views(problem)
    slow = OnlineFeatures(views, FeastReader(open_feature_store(settings), views, as_of.timestamp())).read(rows)
    for left, right in zip(open_online_features(problem, settings).read(rows), slow, strict=True):
        assert left.missing == right.missing
        assert (left.ages, left.expired, left.read_at) == (right.ages, right.expired, right.read_at)
        _assert_equal([left.values], [right.values])


def test_tables_are_created_as_feast_creates_them(problem, settings, tmp_path):
    home = load_settings({"TIDEMILL_HOME": str(tmp_path)})
    apply(open_feature_store(home), problem)

    def schema(place):
        with closing(sqlite3.connect(place)) as connection:
            tables = [online_table(view.name) for view in declared_views(problem)]
            columns = {table: connection.execute(f"PRAGMA table_info({table})").fetchall() for table in tables}
            return columns, {table: connection.execute(f"PRAGMA index_list({table})").fetchall() for table in tables}

    assert schema(settings.online_store) == schema(home.online_store)


def test_a_redis_url_is_named_to_feast_without_its_password(problem, settings):
    at_redis = settings.model_copy(update={"online_store": "rediss://user:secret@redis.svc:6380/2"})
    online_store = open_feature_store(at_redis).config.online_store
    assert (online_store.type, online_store.connection_string) == ("redis", "redis.svc:6380,db=2")


def test_unknown_entities_are_named_feature_by_feature(problem, settings):
    (served,) = open_online_features(problem, settings).read(
        [{"origin": "EWR", "carrier": "UA", "route": "EWR-IAH", "tailnum": "N999"}]
    )
    unknown = {
        feature.name for view in declared_views(problem) if view.keys == ("tailnum",) for feature in view.features
    }
    assert unknown <= set(served.missing)
    assert not any(name.startswith(("carrier_", "origin_", "route_")) for name in served.missing)


def test_features_of_another_type_are_refused():
    source = FileSource(path="planes.parquet", timestamp_field="event_timestamp")
    view = FeatureView(name="plane_profile", schema=[Field(name="seats", dtype=Int64)], source=source)
    with pytest.raises(ContractError, match=re.escape("`seats` must be of type Float64 or String, but got Int64.")):
        describe_view(view)


def test_a_feature_named_like_a_request_column_is_refused(problem):
    columns = {**problem.sources["flights"].columns, "plane_seats": problem.sources["flights"].columns["distance"]}
    flights = problem.sources["flights"].model_copy(update={"columns": columns})
    clashing = problem.model_copy(update={"sources": {**problem.sources, "flights": flights}})
    with pytest.raises(ContractError, match=re.escape("but got plane_seats twice. Rename them in feature_repo/.")):
        declared_views(clashing)


@pytest.mark.parametrize(
    ("taken", "name", "words"),
    [
        (
            "seats",
            "Route_Flights_14d",
            "whatever their case, and from the target, request features and columns, but got",
        ),
        ("seats", "row_hash", "feature must not be named 'row_hash', which the platform uses itself."),
        ("seats", "late", "but got late twice"),
    ],
)
def test_feature_names_that_cannot_be_told_apart_are_refused(problem, monkeypatch, taken, name, words):
    views = feature_store.describe_view

    def renamed(view):
        described = views(view)
        features = [replace(one, name=name if one.name.endswith(taken) else one.name) for one in described.features]
        return replace(described, features=tuple(features))

    monkeypatch.setattr(feature_store, "describe_view", renamed)
    with pytest.raises(ContractError, match=re.escape(words)):
        declared_views(problem)


@pytest.mark.parametrize(("kind", "words"), [("int", "string"), ("float", "string")])
def test_a_key_of_another_type_than_requests_hold_is_refused(problem, kind, words):
    flights = problem.sources["flights"]
    columns = {**flights.columns, "tailnum": flights.columns["tailnum"].model_copy(update={"type": kind})}
    source = flights.model_copy(update={"columns": columns})
    changed = problem.model_copy(update={"sources": {**problem.sources, "flights": source}})
    told = f"sources.flights.tailnum is {kind} and feature_repo/ declares {words}. Declare one of them otherwise."
    with pytest.raises(ContractError, match=re.escape(told)):
        declared_views(changed)


@pytest.mark.parametrize(("kind", "dtype"), [(ValueType.DOUBLE, Float64), (ValueType.INT32, Int32)])
def test_a_key_of_a_type_that_no_online_store_holds_is_refused(kind, dtype):
    thing = Entity(name="thing", join_keys=["thing"], value_type=kind)
    source = FileSource(path="things.parquet", timestamp_field="event_timestamp")
    view = FeatureView(name="things", entities=[thing], schema=[Field(name="thing", dtype=dtype)], source=source)
    with pytest.raises(ContractError, match=re.escape("its keys must be of type String, Int64, Bool, UnixTimestamp")):
        describe_view(view)


def test_a_view_without_an_entity_is_refused_before_the_online_store_is_filled():
    source = FileSource(name="inflation", path="inflation.parquet", timestamp_field="event_timestamp")
    view = FeatureView(name="inflation", schema=[Field(name="rate", dtype=Float64)], source=source)
    with pytest.raises(ContractError, match=re.escape("view inflation: it must have an entity, but has none")):
        describe_view(view)


def test_a_key_that_no_request_holds_is_refused(problem):
    examples = problem.examples.model_copy(update={"request": ["carrier", "flight", "origin", "dest", "distance"]})
    with pytest.raises(ContractError, match=re.escape("row is looked up, but got tailnum. Let the caller send them.")):
        declared_views(problem.model_copy(update={"examples": examples}))


def test_an_unknown_service_and_an_undeclared_problem_are_refused(problem):
    features = problem.features.model_copy(update={"service": "flight_delay"})
    with pytest.raises(ContractError, match=re.escape("but got 'flight_delay'. Did you mean 'flight_delays'?")):
        declared_views(problem.model_copy(update={"features": features}))
    with pytest.raises(ContractError, match=re.escape("feature_repo/no_such/views.py must declare its features")):
        declared_views(problem.model_copy(update={"name": "no-such"}))


def test_event_times_survive_the_local_time_zone(problem, built, tmp_path, monkeypatch):
    """Feast writes UTC times as local ones; a server in another zone must not see them hours too old."""
    import time

    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        settings = load_settings({"TIDEMILL_HOME": str(tmp_path)})
        as_of = datetime(2013, 1, 2, 11, tzinfo=UTC)
        fill_online_store(settings, problem, str(built), as_of)
        (served,) = open_online_features(problem, settings).read([{"origin": "EWR"}])
        assert served.values["weather_temperature"] == 60.0
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
