"""A snapshot holds what could be known at a time, as it was delivered."""

import io
import json
import re
from datetime import UTC, datetime

import pandas as pd
import pytest

from components.base.errors import DataError
from components.data.ingest import ingest_sources
from components.data.snapshot import read_snapshot
from tests.unit.data.trips import AS_OF, TRIPS, make_problem


def rows(store, snapshot, source="trips"):
    return pd.read_parquet(io.BytesIO(store.get_bytes(snapshot.table_uri(source))))


def contents(store, prefix):
    return {entry.key: store.get_bytes(entry.key) for entry in store.list_objects(prefix)}


def test_every_column_stays_text_with_delivery_and_line(problem, zone, store):
    zone.land_trips("2013-01.csv", "1,PARIS,abc,2013-01-05T10:00:00Z", '2,"RO,ME",,2013-01-06')
    table = rows(store, ingest_sources(problem, AS_OF, store))
    assert list(table.columns) == ["_drop", "_row", "_fault", "trip", "city", "fare", "started_at"]
    assert table.to_dict("records") == [
        {
            "_drop": "landing/trips/trips/2013-01.csv",
            "_row": 2,
            "_fault": None,
            "trip": "1",
            "city": "PARIS",
            "fare": "abc",
            "started_at": "2013-01-05T10:00:00Z",
        },
        {
            "_drop": "landing/trips/trips/2013-01.csv",
            "_row": 3,
            "_fault": None,
            "trip": "2",
            "city": "RO,ME",
            "fare": None,
            "started_at": "2013-01-06",
        },
    ]


def test_rows_that_became_available_after_as_of_are_cut_and_counted(problem, zone, store):
    # The number of the trip is its length in minutes: it ends, and is known, so much later.
    zone.land_trips("2013-03.csv", "60,ROME,1,2013-03-31T23:00:00Z", "61,ROME,1,2013-03-31T23:00:00Z")
    snapshot = ingest_sources(problem, AS_OF, store)
    assert rows(store, snapshot)["trip"].tolist() == ["60"]
    assert snapshot.sources["trips"].not_yet_available == 1
    assert snapshot.sources["trips"].deliveries[0].rows == 2


def test_row_whose_availability_cannot_be_computed_stays_in(problem, zone, store):
    zone.land_trips("2013-03.csv", "x,ROME,1,2013-03-01", "1,ROME,1,someday", "2,ROME,1,2013-09-01")
    assert rows(store, ingest_sources(problem, AS_OF, store))["trip"].tolist() == ["x", "1"]


def test_same_as_of_gives_the_same_bytes(problem, zone, store):
    zone.land_trips("2013-01.csv", *(f"{n},ROME,{n}.5,2013-01-05" for n in range(1, 400)))
    first = ingest_sources(problem, AS_OF, store)
    before = contents(store, first.prefix)
    for entry in [*store.list_objects("trips/drops/"), *store.list_objects("trips/snapshots/")]:
        store.delete(entry.key)
    assert ingest_sources(problem, AS_OF, store) == first
    assert contents(store, first.prefix) == before


def test_later_delivery_leaves_the_snapshot_of_an_earlier_time_as_it_was(problem, zone, store):
    zone.land_trips("2013-03.csv", "1,ROME,1,2013-03-01")
    before = ingest_sources(problem, AS_OF, store)
    zone.land_trips("2013-04.csv", "2,ROME,1,2013-03-02", "3,ROME,1,2013-04-02")
    assert ingest_sources(problem, AS_OF, store) == before
    later = ingest_sources(problem, datetime(2013, 5, 1, tzinfo=UTC), store)
    assert later.fingerprint != before.fingerprint
    assert rows(store, later)["trip"].tolist() == ["1", "2", "3"]


def test_unchanged_delivery_is_not_parsed_again_and_a_corrected_one_is(problem, zone, store):
    zone.land_trips("2013-01.csv", "1,ROME,1,2013-01-01")
    zone.land_trips("2013-02.csv", "2,ROME,1,2013-02-01")
    ingest_sources(problem, AS_OF, store)
    before = {entry.key: entry.modified_at for entry in store.list_objects("trips/drops/trips/")}
    zone.land_trips("2013-02.csv", "2,ROME,7,2013-02-01")
    zone.land_trips("2013-03.csv", "3,ROME,1,2013-03-01")
    snapshot = ingest_sources(problem, AS_OF, store)
    after = {entry.key: entry.modified_at for entry in store.list_objects("trips/drops/trips/")}
    assert {key: after[key] for key in before} == before
    assert len(after) == len(before) + 2
    assert rows(store, snapshot)["fare"].tolist() == ["1", "7", "1"]


def test_watermark_names_every_converted_delivery(problem, zone, store):
    zone.land_trips("2013-01.csv", "1,ROME,1,2013-01-01")
    ingest_sources(problem, AS_OF, store)
    watermark = json.loads(store.get_bytes("trips/drops/watermark.json"))
    assert watermark["newest"] == "landing/trips/trips/2013-01.csv"
    assert watermark["drops"]["landing/trips/trips/2013-01.csv"]["rows"] == 1


def test_lost_conversion_is_made_again(problem, zone, store):
    zone.land_trips("2013-01.csv", "1,ROME,1,2013-01-01")
    first = ingest_sources(problem, AS_OF, store)
    for entry in store.list_objects("trips/drops/trips/"):
        store.delete(entry.key)
    assert ingest_sources(problem, AS_OF, store) == first


def test_equal_deliveries_of_two_folders_are_both_read(zone, store):
    problem = make_problem({"path": "*/trips/*.csv"})
    for folder in ("east", "west"):
        zone.land(f"{folder}/trips/2013-01.csv", "trip,city,fare,started_at\n1,ROME,1,2013-01-01\n")
    table = rows(store, ingest_sources(problem, AS_OF, store))
    assert table["_drop"].tolist() == [f"landing/trips/{folder}/trips/2013-01.csv" for folder in ("east", "west")]


def test_empty_month_is_a_delivery_without_rows(problem, zone, store):
    zone.land_trips("2013-01.csv", "1,ROME,1,2013-01-01")
    zone.land_trips("2013-02.csv")
    snapshot = ingest_sources(problem, AS_OF, store)
    assert [delivery.rows for delivery in snapshot.sources["trips"].deliveries] == [1, 0]
    assert snapshot.sources["trips"].missing_months == ("2013-03",)


def test_parquet_delivery_is_read_as_text_with_its_row(zone, store):
    problem = make_problem({"path": "trips/*.parquet", "format": "parquet"})
    time = pd.Timestamp("2013-01-05T10:00:00", tz="UTC")
    table = pd.DataFrame({"trip": [1], "city": ["ROME"], "fare": [0.1], "started_at": [time]})
    zone.land("trips/2013-01.parquet", table.to_parquet(index=False))
    read = rows(store, ingest_sources(problem, AS_OF, store))
    assert read.iloc[0].drop("_fault").to_dict() == {
        "_drop": "landing/trips/trips/2013-01.parquet",
        "_row": 1,
        "trip": "1",
        "city": "ROME",
        "fare": "0.1",
        "started_at": "2013-01-05 10:00:00+00",
    }


def test_names_of_files_that_are_no_names_of_a_contract_are_mapped(zone, store):
    """Such as the wine and bank files of the UCI repository: other names, semicolons, Latin-1."""
    columns = {name: dict(column) for name, column in TRIPS["columns"].items()}
    for name, own in (("trip", "emp.var.rate"), ("city", "Größe"), ("fare", "_id"), ("started_at", "trip")):
        columns[name]["delivered_as"] = own
    problem = make_problem({"columns": columns, "delimiter": ";", "encoding": "latin-1"})
    zone.land("trips/2013-01.csv", 'emp.var.rate;"Größe"; _id ;trip\n7;Málaga;1,5;2013-01-02\n'.encode("latin-1"))
    snapshot = ingest_sources(problem, AS_OF, store)
    found = rows(store, snapshot)[["trip", "city", "fare", "started_at"]].to_dict("records")
    assert found == [{"trip": "7", "city": "Málaga", "fare": "1,5", "started_at": "2013-01-02"}]
    assert snapshot.sources["trips"].unknown_columns == ()


def test_utf16_is_read_when_the_contract_says_so(zone, store):
    problem = make_problem({"encoding": "utf-16", "delimiter": "\t"})
    zone.land("trips/2013-01.csv", "trip\tcity\tfare\tstarted_at\n1\tMálaga\t1\t2013-01-02\n2\n".encode("utf-16"))
    table = rows(store, ingest_sources(problem, AS_OF, store))
    assert table["city"].tolist() == ["Málaga", None]
    assert table["_row"].tolist() == [2, 3]


def with_tip(**tip):
    columns = {**TRIPS["columns"], "tip": {"type": "float", "description": "Tip", "nullable": True, **tip}}
    return make_problem({"columns": columns})


def test_column_that_older_deliveries_lack_is_null_in_them(zone, store):
    zone.land_trips("2013-01.csv", "1,ROME,1,2013-01-01")
    alone = rows(store, ingest_sources(with_tip(since="2013-02-01"), AS_OF, store))
    zone.land_trips("2013-02.csv", "2,ROME,1,2013-02-01,0.5", header="trip,city,fare,started_at,tip")
    both = rows(store, ingest_sources(with_tip(since="2013-02-01"), AS_OF, store))
    assert alone["tip"].tolist() == [None]
    assert both["tip"].tolist() == [None, "0.5"]


def test_column_that_a_source_stops_delivering_is_named(zone, store):
    zone.land_trips("2013-02.csv", "2,ROME,1,2013-02-01,0.5", header="trip,city,fare,started_at,tip")
    zone.land_trips("2013-03.csv", "3,ROME,1,2013-03-01")
    with pytest.raises(DataError) as stopped:
        ingest_sources(with_tip(since="2013-02-01"), AS_OF, store)
    assert str(stopped.value) == (
        "ingest trips: landing/trips/trips/2013-03.csv: column 'tip' must be delivered, but is missing."
    )
    with pytest.raises(DataError, match=re.escape("If older deliveries lack it, `since` of the column says from")):
        ingest_sources(with_tip(), AS_OF, store)


def test_name_of_a_delivery_may_hold_what_a_pattern_is_made_of(problem, zone, store):
    names = ["2013-01 [a].csv", "2013-01 [b].csv", "2013-02*.csv", "2013-03 what? 100%+#1.csv"]
    for number, name in enumerate(names, 1):
        zone.land_trips(name, f"{number},ROME,1,2013-01-01")
    table = rows(store, ingest_sources(problem, AS_OF, store))
    assert dict(zip(table["_drop"], table["trip"], strict=True)) == {
        f"landing/trips/trips/{name}": str(number) for number, name in enumerate(names, 1)
    }


def test_delivery_is_read_again_when_the_contract_reads_it_otherwise(zone, store):
    zone.land("trips/2013-01.csv", "trip,city,fare,started_at\n1,M\xe1laga,1,2013-01-01\n".encode("latin-1"))
    assert rows(store, ingest_sources(make_problem(), AS_OF, store))["trip"].tolist() == [None]
    problem = make_problem({"encoding": "latin-1"})
    assert rows(store, ingest_sources(problem, AS_OF, store))["city"].tolist() == ["Málaga"]


def test_undeclared_columns_named_like_those_of_ingest_change_nothing(problem, zone, store):
    zone.land_trips("2013-01.csv", "1,ROME,1,2013-01-01,7,x", header="trip,city,fare,started_at,_row,_Drop")
    snapshot = ingest_sources(problem, AS_OF, store)
    table = rows(store, snapshot)
    assert (table["_row"][0], table["_drop"][0]) == (2, "landing/trips/trips/2013-01.csv")
    assert snapshot.sources["trips"].unknown_columns == ("_Drop", "_row")


def test_snapshot_is_read_back_from_its_prefix(problem, zone, store):
    zone.land_trips("2013-01.csv", "1,ROME,1,2013-01-01")
    snapshot = ingest_sources(problem, AS_OF, store)
    assert read_snapshot(store, snapshot.prefix) == snapshot
