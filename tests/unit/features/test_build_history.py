"""Without the events of long ago the feature rows that are served are the same, value by value."""

import re
from datetime import timedelta

import pandas as pd
import pyarrow.parquet as pq
import pytest

from components.base.errors import ContractError
from components.base.settings import load_settings
from components.features import build
from components.features.build import build_tables, fingerprint_inputs
from components.features.feast.feature_store import declared_views
from components.features.online.materialize import fill_online_store
from components.features.online.store import open_online_features

DAY = 24 * 60


@pytest.fixture
def short(problem):
    return with_history(problem, 30)


def with_history(problem, days):
    return problem.model_copy(update={"refresh": problem.refresh.model_copy(update={"history_days": days})})


@pytest.fixture
def flights(make):
    """Eighty days of flights of two carriers and some aircraft, one every two hours or so."""
    return make.flights(
        make.flight(
            n,
            minute=(n * 131) % (80 * DAY),
            dep_delay=None if n % 13 == 0 else (n * 37) % 200 - 20,
            carrier="UA" if n % 3 else "DL",
            origin="EWR" if n % 2 else "JFK",
            tailnum=f"N{n % 7}" if n % 17 else f"N{n}",
        )
        for n in range(1, 880)
    )


@pytest.fixture
def tables(short, flights, make, write_accepted, tmp_path):
    """The folders of the tables of all events, and of those since `as_of` less the history, and both times."""
    as_of = make.start + timedelta(days=79, hours=5)
    since = as_of - timedelta(days=30)
    weather = make.weather(80 * 24)
    full = write_accepted(tmp_path / "full", flights[flights["outcome_at"] <= as_of], weather)
    new = write_accepted(
        tmp_path / "new",
        flights[(flights["outcome_at"] <= as_of) & (flights["outcome_at"] >= since)],
        weather[weather["observed_at"] >= since],
    )
    build_tables(short, full, tmp_path / "full_tables")
    build_tables(short, new, tmp_path / "new_tables", since)
    return tmp_path / "full_tables", tmp_path / "new_tables", since, as_of


def test_rows_that_look_back_no_further_are_the_same(short, tables):
    full, new, since, _ = tables
    for view in declared_views(short):
        everything, recent = (pd.read_parquet(folder / f"{view.name}.parquet") for folder in (full, new))
        if view.look_back_seconds is not None:
            start = since + timedelta(seconds=view.look_back_seconds)
            everything = everything[everything["event_timestamp"] >= start].reset_index(drop=True)
        assert len(recent) > 0
        pd.testing.assert_frame_equal(recent, everything, check_exact=True)


def test_endpoint_reads_the_same_values(short, tables, flights, tmp_path):
    full, new, _, as_of = tables
    found = []
    for folder in (full, new):
        settings = load_settings({"TIDEMILL_HOME": str(tmp_path / f"home-{folder.name}")})
        fill_online_store(settings, short, str(folder), as_of)
        features = open_online_features(short, settings)
        keys = flights[["carrier", "origin", "tailnum"]].drop_duplicates().assign(route=flights["origin"] + "-IAH")
        found.append([(served.values, served.missing) for served in features.read(keys.to_dict("records"))])
    assert str(found[0]) == str(found[1])
    assert len(found[0]) > 20


def test_history_that_a_view_looks_behind_is_refused(problem, tables, tmp_path):
    folder = tmp_path / "new"
    with pytest.raises(ContractError, match=re.escape("aircraft_state: its ttl and look-back are 29 days together")):
        build_tables(with_history(problem, 28), folder, tmp_path / "out", tables[2])


@pytest.mark.parametrize("change", [{"ttl_seconds": None}, {"look_back_seconds": None}])
def test_view_without_an_end_is_refused(short, tables, tmp_path, monkeypatch, change):
    views = [
        type(view)(**{**vars(view), **change}) if view.name == "route_delays" else view
        for view in declared_views(short)
    ]
    monkeypatch.setattr(build, "declared_views", lambda _: views)
    with pytest.raises(ContractError, match="route_delays: it must have a ttl and the tag look_back_hours"):
        build_tables(short, tmp_path / "new", tmp_path / "out", tables[2])


def test_tables_of_another_history_have_another_name(short, tables, tmp_path):
    names = {fingerprint_inputs(short, tmp_path / "new", since) for since in (None, tables[2], tables[3])}
    assert len(names) == 3


def test_view_of_a_register_keeps_every_row(tables):
    full, new, _, _ = tables
    assert pq.read_table(new / "plane_profile.parquet") == pq.read_table(full / "plane_profile.parquet")
