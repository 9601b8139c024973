"""The features of a request: looked up once an entity, too old or unknown ones missing, always in the same order."""

import math
import re
import sqlite3

import pytest

from components.base.dataset import Feature
from components.base.errors import EndpointUnavailableError, PermanentError
from components.features.feast.feature_store import encode_key, encode_value
from components.features.online.reader import Filling, Found, Lookup, OnlineFeatures, OnlineView
from components.features.online.sqlite import SqliteReader, read_filling, write_filling

NOW = 1_000_000.0
WEATHER = OnlineView(
    "weather",
    ("origin",),
    (Feature("wind", "numeric", "weather", "Wind"), Feature("cloud", "categorical", "weather", "Cloud")),
    3600,
)
PLANE = OnlineView("plane", ("tailnum",), (Feature("seats", "numeric", "plane", "Seats"),), None)


class DictionaryReader:
    """An online store in memory that records what it is read for."""

    def __init__(self, stored):
        self.stored = stored
        self.wanted = []

    def read(self, wanted):
        self.wanted.append(dict(wanted))
        found = {
            view: {key: self.stored[view, key] for key in keys if (view, key) in self.stored}
            for view, keys in wanted.items()
        }
        return Lookup(NOW, found)


@pytest.fixture
def reader():
    return DictionaryReader(
        {
            ("weather", ("EWR",)): Found(NOW - 3600, {"wind": 5.0, "cloud": "few"}),
            ("weather", ("JFK",)): Found(NOW - 3601, {"wind": 7.0, "cloud": "few"}),
            ("weather", ("LGA",)): Found(NOW, {"wind": None, "cloud": None}),
            ("plane", ("N1",)): Found(0, {"seats": 150.0}),
        }
    )


def test_values_come_by_name_whatever_the_order_of_the_views(reader):
    row = {"origin": "EWR", "tailnum": "N1"}
    for views in ([WEATHER, PLANE], [PLANE, WEATHER]):
        (served,) = OnlineFeatures(views, reader).read([row])
        assert list(served.values.items()) == [("cloud", "few"), ("seats", 150.0), ("wind", 5.0)]
        assert served.missing == ()


@pytest.mark.parametrize(
    ("origin", "missing"),
    [
        ("EWR", ()),  # exactly as old as allowed
        ("JFK", ("cloud", "wind")),  # a second too old
        ("LGA", ("cloud", "wind")),  # known to be unknown
        ("BOS", ("cloud", "wind")),  # never heard of
        (None, ("cloud", "wind")),
        (math.nan, ("cloud", "wind")),
        ("", ("cloud", "wind")),
    ],
)
def test_what_is_too_old_unknown_or_unnamed_is_missing(reader, origin, missing):
    (served,) = OnlineFeatures([WEATHER], reader).read([{"origin": origin}])
    assert served.missing == missing
    for name in missing:
        assert served.values[name] is None or math.isnan(served.values[name])


def test_ages_come_by_view_also_of_what_is_too_old(reader):
    rows = [{"origin": "EWR", "tailnum": "N1"}, {"origin": "JFK", "tailnum": "N2"}, {"origin": "LGA"}]
    features = OnlineFeatures([WEATHER, PLANE], reader)
    served = features.read(rows)
    assert features.view_names == ("weather", "plane")
    assert [row.ages for row in served] == [
        {"weather": 3600.0, "plane": NOW},
        {"weather": 3601.0, "plane": None},
        {"weather": 0.0, "plane": None},
    ]
    assert [row.expired for row in served] == [(), ("weather",), ()]
    assert {row.read_at for row in served} == {NOW}


def test_each_entity_is_read_once(reader):
    rows = [{"origin": origin, "tailnum": None} for origin in ("EWR", "JFK", "EWR", None, "EWR")]
    served = OnlineFeatures([WEATHER, PLANE], reader).read(rows)
    assert reader.wanted == [{"weather": [("EWR",), ("JFK",)], "plane": []}]
    assert [row.values["cloud"] for row in served] == ["few", None, "few", None, "few"]


def test_rows_do_not_share_their_answers(reader):
    first, second = OnlineFeatures([WEATHER], reader).read([{"origin": "EWR"}] * 2)
    first.values["wind"] = 99.0
    assert second.values["wind"] == 5.0


def test_no_rows_give_no_answers(reader):
    assert OnlineFeatures([WEATHER], reader).read([]) == []


@pytest.fixture
def path(tmp_path):
    return tmp_path / "online.db"


def _write(path, seats, filling=None):
    draft = path.with_name("draft.db")
    connection = sqlite3.connect(draft)
    with connection:
        connection.execute(
            "CREATE TABLE tidemill_plane (entity_key BLOB, feature_name TEXT, value BLOB, event_ts timestamp)"
        )
        connection.execute(
            "INSERT INTO tidemill_plane VALUES (?, 'seats', ?, 0)",
            [encode_key(("tailnum",), ("N1",)), encode_value(float(seats))],
        )
    if filling:
        write_filling(connection, "flights", filling)
    connection.close()
    draft.replace(path)


def _seats(reader):
    return reader.read({"plane": [("N1",)]}).found["plane"]["N1",].values["seats"]


def _now(reader):
    return reader.read({}).read_at


def test_a_replaced_file_is_seen_at_the_next_read(path):
    _write(path, 100)
    reader = SqliteReader(path, "flights", [PLANE])
    assert _seats(reader) == 100.0
    _write(path, 200, Filling(NOW, 0))
    assert _seats(reader) == 200.0


def test_a_replacement_that_cannot_be_read_is_tried_again(path, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 0.0)
    _write(path, 100, Filling(as_of=NOW, filled_at=0))
    reader = SqliteReader(path, "flights", [PLANE])
    _write(path, 200, Filling(as_of=2 * NOW, filled_at=0))
    whole = path.read_bytes()
    path.write_bytes(b"no database at all" * 100)
    for _ in range(2):
        with pytest.raises(EndpointUnavailableError, match=re.escape("file is not a database")):
            reader.read({"plane": [("N1",)]})
    path.write_bytes(whole)
    assert _seats(reader) == 200.0
    assert _now(reader) == 2 * NOW


def test_a_file_that_cannot_be_read_at_the_start_is_an_outage(path):
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(EndpointUnavailableError, match=re.escape("file is not a database")):
        SqliteReader(path, "flights", [PLANE])


def test_a_lost_file_is_an_outage_that_may_pass(path):
    _write(path, 100)
    reader = SqliteReader(path, "flights", [PLANE])
    path.unlink()
    with pytest.raises(EndpointUnavailableError, match=re.escape("Run `materialize` again.")):
        reader.read({"plane": [("N1",)]})


def test_a_store_that_was_never_filled_is_refused(path):
    with pytest.raises(
        PermanentError, match=re.escape("the file must exist, but it does not. Run `materialize` first.")
    ):
        SqliteReader(path, "flights", [PLANE])


def test_another_layout_is_refused(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE tidemill_plane (entity_key BLOB, seats REAL)")
    connection.close()
    with pytest.raises(PermanentError, match=re.escape("the table of plane must have the columns")):
        SqliteReader(path, "flights", [PLANE])


def test_the_clock_shows_as_of_when_the_store_was_filled_and_runs_on_by_the_hour(path, monkeypatch):
    _write(path, 100, Filling(as_of=NOW, filled_at=5_000_000.0))
    reader = SqliteReader(path, "flights", [PLANE])
    for passed, shown in ((0, 0), (3599, 0), (3600, 3600), (10_000, 7200)):
        monkeypatch.setattr("time.time", lambda passed=passed: 5_000_000.0 + passed)
        assert _now(reader) == NOW + shown


def test_a_store_that_feast_filled_alone_is_read_at_the_wall_clock(path, monkeypatch):
    _write(path, 100)
    monkeypatch.setattr("time.time", lambda: 42.0)
    assert _now(SqliteReader(path, "flights", [PLANE])) == 42.0


def test_fillings_are_kept_by_problem(path):
    connection = sqlite3.connect(path)
    assert read_filling(connection, "one") is None
    write_filling(connection, "one", Filling(1, 2))
    write_filling(connection, "two", Filling(3, 4))
    write_filling(connection, "one", Filling(5, 6))
    assert read_filling(connection, "one") == Filling(5, 6)
    assert read_filling(connection, "two") == Filling(3, 4)
    connection.close()


def test_only_a_missing_table_means_that_the_store_was_never_filled(path):
    writer = sqlite3.connect(path, isolation_level=None)
    write_filling(writer, "one", Filling(1, 2))
    writer.execute("BEGIN EXCLUSIVE")
    reader = sqlite3.connect(path, timeout=0)
    with pytest.raises(sqlite3.OperationalError, match=re.escape("database is locked")):
        read_filling(reader, "one")
    writer.execute("ROLLBACK")
    assert read_filling(reader, "one") == Filling(1, 2)
    reader.close()
    writer.close()
