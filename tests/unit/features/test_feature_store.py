"""Through Feast: rows come back once and in order, and what is served is what the point-in-time join gives."""

import math
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from components.base.errors import ContractError, DataError, EndpointUnavailableError
from components.base.settings import load_settings
from components.features.build import build_tables
from components.features.feast import feature_store
from components.features.feast.feature_store import (
    FeastReader,
    declared_views,
    join_features,
    online_features,
    online_tables,
    open_feature_store,
    open_online_features,
    open_scratch_store,
)
from components.features.online.materialize import fill_online_store
from components.features.online.reader import OnlineFeatures

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


def _entities(moments):
    rows = [
        {"origin": origin, "carrier": carrier, "route": f"{origin}-IAH", "tailnum": tail, "event_timestamp": at}
        for at in moments
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


def test_feasts_own_interface_serves_the_same(problem, settings, as_of):
    """The fast reader stands on Feast's layout, which no interface promises: this holds it to Feast's own answer."""
    store = open_feature_store(settings)
    fast = online_features(store, problem)

    class AtTheSameTime(FeastReader):
        def now(self):
            return as_of.timestamp()

    entities = _entities([as_of])
    rows = entities.to_dict("records")
    views = sorted(declared_views(problem), key=lambda view: view.name)
    slow = OnlineFeatures(views, AtTheSameTime(store)).read(rows)
    for left, right in zip(fast.read(rows), slow, strict=True):
        assert left.missing == right.missing
        assert (left.ages, left.expired, left.read_at) == (right.ages, right.expired, right.read_at)
        _assert_equal([left.values], [right.values])


def test_a_store_that_does_not_answer_is_an_outage_whatever_its_own_error(problem, built, as_of):
    with open_scratch_store(problem, str(built)) as store:
        (view, *_) = declared_views(problem)
        reader = FeastReader(store)
        with closing(sqlite3.connect(store.config.online_store.path)) as connection:
            connection.execute(f"DROP TABLE {online_tables(problem)[view.name]}")
        keys = [tuple("A" for _ in view.keys)]
        with pytest.raises(EndpointUnavailableError, match=re.escape(f"it must answer for {view.name}, but got ")):
            reader.read(view, keys)


def test_unknown_entities_are_named_feature_by_feature(problem, settings):
    (served,) = open_online_features(problem, settings).read(
        [{"origin": "EWR", "carrier": "UA", "route": "EWR-IAH", "tailnum": "N999"}]
    )
    unknown = {
        feature.name for view in declared_views(problem) if view.keys == ("tailnum",) for feature in view.features
    }
    assert unknown <= set(served.missing)
    assert not any(name.startswith(("carrier_", "origin_", "route_")) for name in served.missing)


def test_features_of_another_type_are_refused(problem, monkeypatch):
    from feast import Field
    from feast.types import Int64

    with pytest.raises(ContractError, match=re.escape("`seats` must be of type Float64 or String, but got Int64.")):
        feature_store._kind("plane_profile", Field(name="seats", dtype=Int64))


def test_a_feature_named_like_a_request_column_is_refused(problem):
    columns = {**problem.sources["flights"].columns, "plane_seats": problem.sources["flights"].columns["distance"]}
    flights = problem.sources["flights"].model_copy(update={"columns": columns})
    clashing = problem.model_copy(update={"sources": {**problem.sources, "flights": flights}})
    with pytest.raises(ContractError, match=re.escape("but got plane_seats twice. Rename them in feature_repo/.")):
        declared_views(clashing)


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
        moment = datetime(2013, 1, 2, 11, tzinfo=UTC)
        fill_online_store(settings, problem, str(built), moment)
        (served,) = open_online_features(problem, settings).read([{"origin": "EWR"}])
        assert served.values["weather_temperature"] == 60.0
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
