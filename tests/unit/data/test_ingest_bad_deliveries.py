"""Bad deliveries: each is named, nothing is lost, and nothing half-done is visible."""

import io
import re

import pandas as pd
import pytest

from components.base.adapters.s3 import ObjectStore
from components.base.errors import DataError, StoreUnavailableError
from components.base.settings import S3Endpoint
from components.data.ingest import ingest_sources
from components.data.snapshot import read_snapshot
from tests.unit.data.trips import AS_OF, make_problem


def rows(store, snapshot):
    return pd.read_parquet(io.BytesIO(store.get_bytes(snapshot.table_uri("trips"))))


def test_unreadable_lines_become_rows_that_say_so_and_keep_their_numbers(problem, zone, store):
    lines = [
        "trip,city,fare,started_at",
        "1,ROME,1,2013-01-01",
        "2,ROME",
        "3,ROME,1,2013-01-03",
        "4,ROME,1,2013-01-04,extra",
        "5,ROM\xff,1,2013-01-05",
        "6,ROME,1,2013-01-06",
        "7,RO",
    ]
    zone.land("trips/2013-01.csv", "\n".join(lines).encode("latin-1"))
    table = rows(store, ingest_sources(problem, AS_OF, store))
    assert table["_row"].tolist() == [2, 3, 4, 5, 6, 7, 8]
    assert table["trip"].tolist() == ["1", None, "3", None, None, "6", None]
    faults = table.set_index("_row")["_fault"]
    assert faults[3] == ("the line must be readable, but got Expected Number of Columns: 4 Found: 2 in: 2,ROME")
    assert "Found: 5" in faults[5]
    assert "5,ROM" in faults[6]
    assert faults[8].endswith("in: 7,RO")
    assert faults[[2, 4, 7]].isna().all()


def test_every_missing_column_of_every_delivery_is_named_with_its_nearest(problem, zone, store):
    zone.land_trips("2013-01.csv", "1,ROME,1,x", header="trip,citty,fare,started")
    zone.land("cities/2013-02-01.csv", "town\nROME\n")
    with pytest.raises(DataError) as caught:
        ingest_sources(problem, AS_OF, store)
    words = str(caught.value)
    assert words.startswith("ingest trips: 3 faults.")
    delivery = "landing/trips/trips/2013-01.csv: column"
    assert f"{delivery} 'city' must be delivered, but is missing. Did you mean 'citty'?" in words
    assert f"{delivery} 'started_at' must be delivered, but is missing. Did you mean 'started'?" in words
    assert "landing/trips/cities/2013-02-01.csv: column 'city' must be delivered, but is missing." in words
    assert not store.list_objects("trips/snapshots/")


def test_unknown_columns_are_left_out_and_named(problem, zone, store):
    zone.land_trips("2013-01.csv", "1,ROME,1,2013-01-01,9", header="trip,city,fare,started_at,tip")
    zone.land_trips("2013-02.csv", "2013-02-01,2,1,ROME", header="started_at,trip,fare,city")
    snapshot = ingest_sources(problem, AS_OF, store)
    assert snapshot.sources["trips"].unknown_columns == ("tip",)
    assert rows(store, snapshot)["city"].tolist() == ["ROME", "ROME"]


@pytest.mark.parametrize("content", [b"", b"PAR1 and then nothing"])
def test_damaged_parquet_is_named_and_the_good_deliveries_are_kept(zone, store, content):
    problem = make_problem({"path": "trips/*.parquet", "format": "parquet"})
    whole = pd.DataFrame({"trip": [1], "city": ["ROME"], "fare": [0.1], "started_at": ["2013-01-01"]})
    zone.land("trips/2013-01.parquet", whole.to_parquet(index=False))
    zone.land("trips/2013-02.parquet", content)
    with pytest.raises(DataError, match=re.escape("landing/trips/trips/2013-02.parquet")):
        ingest_sources(problem, AS_OF, store)
    zone.land("trips/2013-02.parquet", whole.to_parquet(index=False))
    assert ingest_sources(problem, AS_OF, store).sources["trips"].rows == 2


def test_truncated_parquet_is_named(zone, store):
    problem = make_problem({"path": "trips/*.parquet", "format": "parquet"})
    whole = pd.DataFrame({"trip": [1], "city": ["ROME"], "fare": [0.1], "started_at": ["2013-01-01"]})
    zone.land("trips/2013-01.parquet", whole.to_parquet(index=False)[:-30])
    with pytest.raises(DataError, match=re.escape("landing/trips/trips/2013-01.parquet: DuckDB must be able to read")):
        ingest_sources(problem, AS_OF, store)


def test_empty_file_lacks_every_column(problem, zone, store):
    zone.land("trips/2013-01.csv", b"")
    with pytest.raises(DataError, match="ingest trips: 4 faults"):
        ingest_sources(problem, AS_OF, store)


def test_other_separator_shows_in_the_missing_columns(problem, zone, store):
    zone.land("trips/2013-01.csv", "trip;city;fare;started_at\n1;ROME;1;2013-01-01\n")
    with pytest.raises(DataError, match=re.escape("column 'trip' must be delivered, but is missing.")):
        ingest_sources(problem, AS_OF, store)


def test_unfinished_snapshot_is_no_snapshot(problem, zone, store):
    zone.land_trips("2013-01.csv", "1,ROME,1,2013-01-01")
    snapshot = ingest_sources(problem, AS_OF, store)
    store.delete(f"{snapshot.prefix}snapshot.json")
    with pytest.raises(DataError, match=re.escape("snapshot.json must lie there, but does not. Run ingest again.")):
        read_snapshot(store, snapshot.prefix)
    assert ingest_sources(problem, AS_OF, store) == snapshot
    assert read_snapshot(store, snapshot.prefix) == snapshot


def test_dead_object_store_is_named(problem):
    store = ObjectStore(S3Endpoint("http://127.0.0.1:9", "key", "secret"), "bucket", attempts=1)
    with pytest.raises(StoreUnavailableError):
        ingest_sources(problem, AS_OF, store)


def test_store_that_dies_before_the_end_leaves_no_snapshot(problem, zone, store, monkeypatch):
    zone.land_trips("2013-01.csv", "1,ROME,1,2013-01-01")

    def die(place, path):
        raise StoreUnavailableError("put: the store must answer, but does not.")

    monkeypatch.setattr(store, "put_file", die)
    with pytest.raises(StoreUnavailableError):
        ingest_sources(problem, AS_OF, store)
    assert not [entry for entry in store.list_objects("trips/snapshots/") if entry.key.endswith("snapshot.json")]
    monkeypatch.undo()
