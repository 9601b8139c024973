"""Bad deliveries: each is named, nothing is lost, and nothing half-done is visible."""

import csv
import gzip
import io
import re

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.base.adapters.duckdb import connect_duckdb
from components.base.adapters.s3 import ObjectStore
from components.base.contract.problem import Source
from components.base.errors import DataError, StoreUnavailableError
from components.base.settings import S3Endpoint
from components.data.csv_file import read_csv_rows
from components.data.ingest import ingest_sources
from components.data.snapshot import read_snapshot
from tests.unit.data.trips import AS_OF, TRIPS, make_problem

GOOD = "trip,city,fare,started_at\n1,ROME,1,2013-01-01\n"


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


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it must be CSV in utf-8, but is empty. Deliver the header"),
        (b"\n \r\n", "it must be CSV in utf-8, but is empty."),
        (gzip.compress(GOOD.encode()), "it must be CSV in utf-8, but is compressed by gzip. Unpack it."),
        (GOOD.encode("utf-16"), "but is text in UTF-16. Set `encoding: utf-16` for the source, or deliver UTF-8."),
        (b"\xfe\xff" + GOOD.encode("utf-16-be"), "but is text in big-endian UTF-16."),
        (b"<!DOCTYPE html><html>Access denied</html>", "but is a page of HTML or XML. Fetch the file itself"),
        (b"  <html>Access denied</html>", "but is a page of HTML or XML."),
        (b'{"error": "expired"}', "but is JSON. Deliver CSV or parquet."),
        (b"PAR1...", "but is a parquet file. Set `format: parquet` for the source"),
        (b"PK\x03\x04...", "but is a zip archive or an Excel workbook."),
        (b"\x00\x01,\x02", "but is no text: it holds bytes of 0."),
        (GOOD.replace(",", ";"), "it must be delimited by ',', but looks delimited by ';'. Set `delimiter: ';'`"),
        (GOOD.replace("fare", "Trip"), "column 'trip' must be named once, but is named 2 times, also in other case."),
        (GOOD + "2,ROME,1,2013-01-02\r\n", "its lines must all end alike, but some end in '\\n' and '\\r\\n'."),
        ("Report of January\n\n" + GOOD, "column 'trip' must be delivered, but is missing."),
    ],
)
def test_file_that_is_no_such_csv_is_named_for_what_it_is(problem, zone, store, content, words):
    zone.land("trips/2013-01.csv", content)
    with pytest.raises(DataError, match=re.escape("landing/trips/trips/2013-01.csv: ")) as caught:
        ingest_sources(problem, AS_OF, store)
    assert words in str(caught.value)


def test_csv_that_is_declared_as_parquet_or_utf16_is_named(zone, store):
    zone.land("trips/2013-01.csv", GOOD)
    for change, words in (
        ({"format": "parquet"}, "it must be a parquet file, but is something else. Deliver parquet, or correct"),
        ({"encoding": "utf-16"}, "it must be CSV in utf-16, but is in another encoding: it lacks the mark FF FE"),
    ):
        with pytest.raises(DataError, match=re.escape(words)):
            ingest_sources(make_problem(change), AS_OF, store)


def test_numbers_of_rows_are_lines_of_the_file_beside_blank_lines_and_values_of_several_lines(problem, zone, store):
    lines = [
        "trip,city,fare,started_at",  # 1
        "1,ROME,1,2013-01-01",
        "",
        '2,"RO\nME",1,2013-01-02',  # 4 and 5
        "3,ROME",  # 6
        "",
        "",
        "4,ROME,1,2013-01-04",  # 9
        "5,ROME,1,2013-01-05,extra",
        '6,"ROME"x,1,2013-01-06',  # 11
        "7,ROME,1,2013-01-07",
    ]
    for ending in ("\n", "\r\n"):
        zone.land("trips/2013-01.csv", "\n\n".replace("\n", ending) + ending.join(lines) + ending)
        table = rows(store, ingest_sources(problem, AS_OF, store)).set_index("_row")
        good = table[table["_fault"].isna()]
        assert {row - 2: trip for row, trip in good["trip"].items()} == {2: "1", 4: "2", 9: "4", 12: "7"}
        assert good.loc[6, "city"] == "RO\nME"
        assert [row - 2 for row in table.index[table["_fault"].notna()]] == [6, 10, 11]


def test_quote_that_never_ends_loses_no_row_before_it(problem, zone, store):
    zone.land("trips/2013-01.csv", GOOD + '2,"ROME,1,2013-01-02\n3,ROME,1,2013-01-03\n')
    table = rows(store, ingest_sources(problem, AS_OF, store))
    assert table["trip"].tolist() == ["1", None]
    assert table["_row"].tolist() == [2, 3]
    assert "unterminated quote" in table["_fault"][1]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.text('ab,"\n #;|\té', max_size=4), min_size=2, max_size=2), max_size=12))
def test_csv_of_any_texts_is_read_as_it_was_written(tmp_path, values):
    """Written by the standard library with a blank line now and then; DuckDB cannot tell an empty text from none."""
    path, written = tmp_path / "delivered", io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(["a", "b"])
    begins = []
    for number, row in enumerate(values):
        written.write("\n" * (number % 3 == 2))
        begins.append(written.getvalue().count("\n") + 1)
        writer.writerow(row)
    path.write_text(written.getvalue(), encoding="utf-8")
    connection = connect_duckdb()
    columns = {name: {"type": "string", "description": "A text"} for name in ("a", "b")}
    read_csv_rows(connection, path, Source.model_validate({**TRIPS, "columns": columns}))
    found = connection.execute("SELECT a, b, _row, _fault FROM lines ORDER BY _row").fetchall()
    assert found == [(*(value or None for value in row), line, None) for row, line in zip(values, begins, strict=True)]


def test_binary_text_in_parquet_is_read_as_the_text_that_it_is(zone, store):
    """Older Spark, Impala and ClickHouse do not mark texts as such."""
    problem = make_problem({"path": "trips/*.parquet", "format": "parquet"})
    city = pa.array(["Orléans".encode(), b"ROME", b"\xff\xfe", None], pa.binary())
    columns = {"trip": [1, 2, 3, 4], "city": city, "fare": [1.0] * 4, "started_at": ["2013-01-01"] * 4}
    written = io.BytesIO()
    pq.write_table(pa.table({**columns, "photo": pa.array([b"\xff"] * 4, pa.binary())}), written)
    zone.land("trips/2013-01.parquet", written.getvalue())
    table = rows(store, ingest_sources(problem, AS_OF, store))
    assert table["city"].tolist() == ["Orléans", "ROME", None, None]
    assert table["_fault"].tolist() == [None, None, r"city must be UTF-8 text, but got the bytes \xFF\xFE", None]


def test_lists_and_structures_in_parquet_are_refused_by_name(zone, store):
    problem = make_problem({"path": "trips/*.parquet", "format": "parquet"})
    columns = {"trip": [[1], [2]], "city": [{"name": "ROME"}] * 2, "fare": [1.0] * 2, "started_at": ["2013-01-01"] * 2}
    written = io.BytesIO()
    pq.write_table(pa.table({**columns, "tags": [["a"], ["b"]]}), written)
    zone.land("trips/2013-01.parquet", written.getvalue())
    with pytest.raises(DataError, match=re.escape("2 faults")) as caught:
        ingest_sources(problem, AS_OF, store)
    assert "trip must hold one value a row, but holds BIGINT[]" in str(caught.value)
    assert "city must hold one value a row, but holds STRUCT(" in str(caught.value)
    assert "tags" not in str(caught.value)


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
