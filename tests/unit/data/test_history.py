"""A run that reads only what is new accepts, of the rows that it is for, exactly those that a full run accepts."""

import itertools
from datetime import UTC, datetime, timedelta

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from components.data.history import find_since, first_judged, since_of
from components.data.ingest import ingest_sources
from components.data.validate import validate_snapshot
from tests.unit.data.trips import AS_OF, TRIPS, make_problem

START = datetime(2013, 1, 1, tzinfo=UTC)
# A fare of 0 is filtered, 101 and x are quarantined, as is OSLO; the same trip comes again with other values and times.
ROWS = st.lists(
    st.tuples(
        st.integers(1, 12),
        st.sampled_from(["ROME", "PARIS", "OSLO"]),
        st.sampled_from(["0", "5", "6", "101", "x"]),
        st.integers(0, 100 * 24),
    ),
    max_size=6,
)
# A month may be delivered late, corrected under its own name, or completed by another file.
LANDINGS = st.lists(
    st.tuples(st.sampled_from(["01", "02", "03"]), st.sampled_from(["", "-b", "-15"]), ROWS), max_size=7
)
# Each example runs ingest and validation some times: a failing one is shown as drawn, not shrunk for minutes.
CHECK = settings(
    deadline=None,
    max_examples=10,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
numbers = itertools.count()


def land(zone, month, part, rows):
    lines = [f"{trip},{city},{fare},{(START + timedelta(hours=h)).isoformat()}" for trip, city, fare, h in rows]
    zone.land_trips(f"2013-{month}{part}.csv", *lines)


def accept(problem, store, folder, since=None):
    """Return the accepted trips of a run, and what its snapshot read."""
    place, snapshot = folder / str(next(numbers)), ingest_sources(problem, AS_OF, store, since)
    quality = validate_snapshot(problem, snapshot, place)
    trips = pd.read_parquet(place / "trips.parquet").sort_values("trip", ignore_index=True)
    quarantined = pq.read_table(place / "quarantine.parquet").to_pylist()
    return trips, quarantined, quality, snapshot


def assert_new_rows_are_the_same(problem, store, folder, since):
    full, set_aside, _, _ = accept(problem, store, folder)
    new, also_aside, quality, snapshot = accept(problem, store, folder, since)
    expected = full[full["known_at"] >= since].reset_index(drop=True)
    pd.testing.assert_frame_equal(new, expected)
    # Of the deliveries that were read, every faulty row is set aside with the same reasons.
    read = [delivery.key for delivery in snapshot.sources["trips"].deliveries]
    assert also_aside == [row for row in set_aside if row["drop"] in read]
    assert quality.rows.delivered == quality.rows.accepted + quality.rows.filtered + quality.rows.quarantined


@CHECK
@given(landings=LANDINGS, days=st.integers(0, 89))
def test_rows_since_a_time_are_those_of_a_full_run_after_every_landing(landings, days, zone, store, tmp_path, problem):
    for entry in store.list_objects("landing/trips/trips/"):
        store.delete(entry.key)
    since = START + timedelta(days=days, hours=7)
    # So that some row is accepted, without which a run stops.
    zone.land_trips("2013-03-31.csv", "900,ROME,5,2013-03-31T01:00:00Z")
    # Half of them land before an earlier run, which leaves its conversions behind.
    for place, (month, part, rows) in enumerate(landings):
        land(zone, month, part, rows)
        if place == len(landings) // 2:
            ingest_sources(problem, AS_OF, store, since)
    assert_new_rows_are_the_same(problem, store, tmp_path, since)


def test_correction_that_makes_a_row_older_replaces_the_newer_one(zone, store, tmp_path, problem):
    zone.land_trips("2013-01.csv", "7,ROME,5,2013-03-20T00:00:00Z", "8,ROME,5,2013-03-30T00:00:00Z")
    zone.land_trips("2013-02.csv", "7,ROME,5,2013-01-20T00:00:00Z")
    new, _, _, _ = accept(problem, store, tmp_path, datetime(2013, 3, 1, tzinfo=UTC))
    assert new["trip"].tolist() == [8]


def test_only_deliveries_with_new_rows_are_read_and_older_rows_are_counted(zone, store, tmp_path, problem):
    zone.land_trips("2013-01.csv", "1,ROME,5,2013-01-20")
    zone.land_trips("2013-02.csv", "2,ROME,5,2013-02-02", "3,ROME,5,2013-02-20")
    zone.land_trips("2013-03.csv", "4,ROME,5,2013-03-20")
    new, _, quality, snapshot = accept(problem, store, tmp_path, datetime(2013, 2, 15, tzinfo=UTC))
    keys = [delivery.key for delivery in snapshot.sources["trips"].deliveries]
    assert keys == ["landing/trips/trips/2013-02.csv", "landing/trips/trips/2013-03.csv"]
    assert new["trip"].tolist() == [3, 4]
    older = {entry.name: entry.rows for entry in quality.sources["trips"].filters}
    assert older["older_than_history"] == 1
    assert quality.since == datetime(2013, 2, 15, tzinfo=UTC)


def test_changed_contract_looks_at_every_delivery_again(zone, store, tmp_path, problem):
    zone.land_trips("2013-01.csv", "1,ROME,5,2013-01-20")
    zone.land_trips("2013-03.csv", "4,ROME,5,2013-03-20")
    since = datetime(2013, 3, 1, tzinfo=UTC)
    assert accept(problem, store, tmp_path, since)[0]["trip"].tolist() == [4]
    known_at = {**TRIPS["columns"]["known_at"], "expression": "started_at + to_days(50)"}
    later = make_problem({"columns": {**TRIPS["columns"], "known_at": known_at}})
    assert accept(later, store, tmp_path, since)[0]["trip"].tolist() == [1]


def test_each_delivery_is_looked_at_once(zone, store, tmp_path, problem, monkeypatch):
    zone.land_trips("2013-01.csv", "1,ROME,5,2013-01-20")
    zone.land_trips("2013-03.csv", "4,ROME,5,2013-03-20")
    since = datetime(2013, 3, 1, tzinfo=UTC)
    accept(problem, store, tmp_path, since)
    (kept,) = [entry for entry in store.list_objects("trips/drops/") if "/newest-trips-" in entry.key]
    for entry in store.list_objects("trips/drops/trips/2013-01"):
        content = store.get_bytes(entry.key)
        # Whoever opened it again would fail.
        store.put_bytes(entry.key, b"no parquet")
    assert accept(problem, store, tmp_path, since)[0]["trip"].tolist() == [4]
    store.delete(kept.key)
    with pytest.raises(Exception, match="2013-01") as failed:
        accept(problem, store, tmp_path, since)
    assert isinstance(failed.value.__cause__, duckdb.Error)
    store.put_bytes(entry.key, content)
    assert accept(problem, store, tmp_path, since)[0]["trip"].tolist() == [4]


def test_source_without_a_new_row_is_judged_by_its_newest_delivery(zone, store, problem):
    zone.land_trips("2013-01.csv", "1,ROME,5,2013-01-20")
    zone.land_trips("2013-02.csv", "2,ROME,5,2013-02-20")
    snapshot = ingest_sources(problem, AS_OF, store, datetime(2013, 3, 1, tzinfo=UTC))
    assert [delivery.key for delivery in snapshot.sources["trips"].deliveries] == ["landing/trips/trips/2013-02.csv"]


def test_source_that_quarantines_rows_of_others_is_read_whole(problem):
    since = datetime(2013, 3, 1, tzinfo=UTC)
    cities = problem.sources["cities"].model_copy(update={"kind": "events"})
    changed = problem.model_copy(update={"sources": {**problem.sources, "cities": cities}})
    assert (since_of(changed, "cities", since), since_of(changed, "trips", since)) == (None, since)


def test_training_and_a_contract_without_history_days_read_everything(problem):
    short = problem.model_copy(update={"refresh": problem.refresh.model_copy(update={"history_days": 40})})
    whole = problem.model_copy(update={"refresh": problem.refresh.model_copy(update={"history_days": None})})
    assert find_since(short, "training", AS_OF, None) is None
    assert find_since(whole, "refresh", AS_OF, None) is None
    assert find_since(short, "refresh", AS_OF, None) == AS_OF - timedelta(days=40)


def test_monitoring_looks_back_from_the_first_label_that_it_can_expect(problem):
    limits = problem.monitoring.model_copy(update={"window_days": 30, "label_delay_hours": 24})
    assert first_judged(problem.model_copy(update={"monitoring": limits}), AS_OF) == AS_OF - timedelta(days=32)
