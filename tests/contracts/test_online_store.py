"""One exam for every kind of online store: what is filled is read back, and replaced as a whole or not at all."""

import dataclasses
import json
import math
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from redis import Redis

from components.base import documents
from components.base.contract.load import write_problem
from components.base.dataset import Feature
from components.base.errors import EndpointUnavailableError, PermanentError
from components.base.settings import load_settings
from components.features.feast.feature_store import registered_views
from components.features.online.materialize import fill_online_store
from components.features.online.reader import Found, OnlineFeatures, OnlineView
from components.features.online.store import ServedViews, open_online_features, open_online_store
from tests.contracts.running_postgresql import running_postgresql
from tests.contracts.running_redis import running_redis
from tests.unit.conftest import AS_OF as FILLED_AT
from tests.unit.conftest import PROBLEM, fill_features

ROOT = Path(__file__).parents[2]
AS_OF = datetime(2013, 7, 1, tzinfo=UTC)
# Two keys, so that their parts could be confused.
ROUTES = OnlineView(
    "exam_routes",
    ("origin", "dest"),
    (Feature("delay", "numeric", "exam_routes", "Delay"), Feature("plane", "categorical", "exam_routes", "Plane")),
    3600.0,
)
AIRPORTS = OnlineView("exam_airports", ("origin",), (Feature("wind", "numeric", "exam_airports", "Wind"),), None)
VIEWS = [ROUTES, AIRPORTS]

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))
ENTITIES = st.dictionaries(
    st.tuples(NAMES, NAMES),
    st.tuples(TIMES, st.none() | st.floats() | st.integers(-(2**53), 2**53).map(float), st.none() | TEXTS),
    max_size=8,
)


def _routes(entities):
    """(entities, columns): the table of newest rows that holds the given time, delay and plane of each route."""
    times, delays, planes = zip(*entities.values(), strict=True) if entities else ((), (), ())
    columns = {
        "origin": pa.array([origin for origin, _ in entities], pa.string()),
        "dest": pa.array([dest for _, dest in entities], pa.string()),
        "event_timestamp": pa.array(times, pa.timestamp("us", "UTC")),
        "created_timestamp": pa.array(times, pa.timestamp("us", "UTC")),
        "delay": pa.array(delays, pa.float64()),
        "plane": pa.array(planes, pa.string()),
    }
    return pa.table(columns)


def _airports(winds, known_at=AS_OF):
    columns = {"origin": list(winds), "event_timestamp": [known_at] * len(winds), "wind": list(winds.values())}
    table = pa.table(
        columns, pa.schema([("origin", "string"), ("event_timestamp", pa.timestamp("us", "UTC")), ("wind", "double")])
    )
    return table.append_column("created_timestamp", table["event_timestamp"])


def _fill(store, problem, as_of, routes, airports):
    """Fill both views and swap; return the entities of each."""
    with store.draft(problem, as_of) as draft:
        counts = draft.fill(ROUTES, _routes(routes)), draft.fill(AIRPORTS, _airports(airports))
        draft.swap()
    return counts


def _numbered(n, entities=20):
    """Return both views of a filling whose every value is its number."""
    known_at = AS_OF + timedelta(days=n)
    return {(str(i), "X"): (known_at, float(n), str(n)) for i in range(entities)}, {
        str(i): float(n) for i in range(entities)
    }


def _read_numbered(reader, entities=20):
    """Return the numbers of the fillings that one read comes from, and its time."""
    wanted = {
        ROUTES.name: [(str(i), "X") for i in range(entities)],
        AIRPORTS.name: [(str(i),) for i in range(entities)],
    }
    read = reader.read(wanted)
    numbers = {
        found.values.get("delay", found.values.get("wind")) for of in read.found.values() for found in of.values()
    }
    assert sum(map(len, read.found.values())) == 2 * entities
    return numbers, read.read_at


@pytest.fixture(autouse=True)
def _in_a_zone_with_summer_time(monkeypatch):
    """Feast's layout of SQLite keeps local times, some of which do not exist, or exist twice."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class OnlineStoreContract:
    """The exam; a subclass gives the fixture `place`: where an empty store is."""

    @pytest.fixture
    def store(self, place, tmp_path):
        return _open(place, tmp_path)

    def test_a_filling_is_read_back_as_it_was(self, store):
        @settings(max_examples=40, deadline=None)
        @given(routes=ENTITIES)
        @example(routes={("é", "ü😀"): (AS_OF, -0.0, "naïve ☃")})
        @example(routes={("a", 'b","c'): (AS_OF, math.inf, ""), ('a","b', "c"): (AS_OF, 5e-324, None)})
        @example(routes={("a", "b"): (datetime(2013, 3, 10, 2, 30, tzinfo=UTC), 1.0, "clocks go forward")})
        @example(routes={("a", "b"): (datetime(2013, 11, 3, 1, 30, tzinfo=UTC), 1.0, "clocks go back")})
        @example(routes={("\x00", " "): (AS_OF + timedelta(microseconds=999_999), math.nan, "\x00")})
        def round_trip(routes):
            problem = uuid.uuid4().hex
            assert _fill(store, problem, AS_OF, routes, {}) == (len(routes), 0)
            reader = store.open_reader(problem, VIEWS)
            for _ in range(2):
                read = reader.read({ROUTES.name: list(routes), AIRPORTS.name: [("EWR",)]}).found
                assert repr(read) == repr(
                    {ROUTES.name: {key: _found(*row) for key, row in routes.items()}, AIRPORTS.name: {}}
                )

        def _found(known_at, delay, plane):
            held = {} if delay is None or math.isnan(delay) else {"delay": delay}
            return Found(
                float(known_at.replace(microsecond=0).timestamp()), held | ({} if plane is None else {"plane": plane})
            )

        round_trip()

    def test_unknown_expired_and_null_values_are_missing(self, store):
        old, fresh = AS_OF - timedelta(seconds=3601), AS_OF - timedelta(seconds=3600)
        routes = {("A", "X"): (fresh, 1.0, None), ("B", "X"): (old, 2.0, "N1")}
        _fill(store, "flights", AS_OF, routes, {"A": 7.0})
        online = OnlineFeatures(VIEWS, store.open_reader("flights", VIEWS))
        rows = [{"origin": origin, "dest": "X"} for origin in ("A", "B", "C", None)]
        served = online.read(rows)
        assert [row.missing for row in served] == [
            ("plane",),
            ("delay", "plane", "wind"),
            ("delay", "plane", "wind"),
            ("delay", "plane", "wind"),
        ]
        assert [row.expired for row in served] == [(), (ROUTES.name,), (), ()]
        assert [row.ages[ROUTES.name] for row in served] == [3600.0, 3601.0, None, None]
        assert {row.read_at for row in served} == {AS_OF.timestamp()}

    def test_a_store_that_was_never_filled_holds_nothing(self, store):
        assert store.held_as_of("flights") is None
        with pytest.raises(PermanentError, match=re.escape("Run `materialize` first.")):
            store.open_reader("flights", VIEWS)

    def test_the_store_says_what_it_holds(self, store):
        _fill(store, "flights", AS_OF, *_numbered(0))
        assert store.held_as_of("flights") == AS_OF
        assert store.held_as_of("other") is None
        unknown = dataclasses.replace(AIRPORTS, name="exam_runways")
        assert store.count_entities("flights", [*VIEWS, unknown]) == {
            ROUTES.name: 20,
            AIRPORTS.name: 20,
            unknown.name: 0,
        }

    def test_the_second_filling_replaces_the_first_also_by_older_values(self, store):
        _fill(store, "flights", AS_OF, {("A", "X"): (AS_OF, 1.0, "N1"), ("B", "X"): (AS_OF, 1.0, "N1")}, {"A": 1.0})
        reader = store.open_reader("flights", VIEWS)
        wanted = {ROUTES.name: [("A", "X"), ("B", "X")], AIRPORTS.name: [("A",)]}
        assert len(reader.read(wanted).found[ROUTES.name]) == 2
        older, later = AS_OF - timedelta(days=1), AS_OF + timedelta(days=1)
        _fill(store, "flights", later, {("A", "X"): (older, 2.0, None)}, {})
        read = reader.read(wanted)
        assert read.found == {ROUTES.name: {("A", "X"): Found(older.timestamp(), {"delay": 2.0})}, AIRPORTS.name: {}}
        assert (read.read_at, store.held_as_of("flights")) == (later.timestamp(), later)

    def test_the_clock_runs_on_by_the_hour(self, store, monkeypatch):
        monkeypatch.setattr(time, "time", lambda: 5_000_000.0)
        _fill(store, "flights", AS_OF, *_numbered(0))
        reader = store.open_reader("flights", VIEWS)
        for passed, shown in ((0, 0), (3599, 0), (3600, 3600), (10_000, 7200)):
            monkeypatch.setattr(time, "time", lambda passed=passed: 5_000_000.0 + passed)
            assert reader.read({}).read_at == AS_OF.timestamp() + shown

    def test_a_draft_is_read_by_nobody_else(self, store):
        _fill(store, "flights", AS_OF, *_numbered(1))
        reader = store.open_reader("flights", VIEWS)
        with store.draft("flights", AS_OF + timedelta(days=1)) as draft:
            routes, airports = _numbered(2)
            draft.fill(ROUTES, _routes(routes))
            draft.fill(AIRPORTS, _airports(airports))
            assert _read_numbered(reader)[0] == {1.0}
            assert _read_numbered(draft.open_reader(VIEWS)) == ({2.0}, (AS_OF + timedelta(days=1)).timestamp())
        assert store.held_as_of("flights") == AS_OF
        assert _read_numbered(store.open_reader("flights", VIEWS))[0] == {1.0}

    def test_a_filling_that_fails_leaves_the_old_one_and_nothing_else(self, store, contents):
        _fill(store, "flights", AS_OF, *_numbered(1))
        before = contents()

        def fail():
            with store.draft("flights", AS_OF + timedelta(days=1)) as draft:
                draft.fill(ROUTES, _routes(_numbered(2)[0]))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert contents() == before

    def test_a_killed_filling_leaves_the_old_one_and_the_next_removes_the_rest(self, store, place, tmp_path, contents):
        _fill(store, "flights", AS_OF, *_numbered(1))
        reader, before = store.open_reader("flights", VIEWS), contents()
        child = subprocess.run([sys.executable, "-c", _KILLED, str(place), str(tmp_path)], cwd=ROOT, check=False)
        assert child.returncode == -9
        assert contents() != before
        assert _read_numbered(reader)[0] == _read_numbered(store.open_reader("flights", VIEWS))[0] == {1.0}
        assert store.held_as_of("flights") == AS_OF
        _fill(store, "flights", AS_OF, *_numbered(3))
        assert len(contents()) == len(before)
        assert _read_numbered(reader)[0] == {3.0}

    def test_of_two_fillings_at_the_same_time_the_one_that_began_first_fails(self, store, contents):
        def overtake():
            with store.draft("flights", AS_OF) as first:
                first.fill(ROUTES, _routes(_numbered(1)[0]))
                _fill(store, "flights", AS_OF, *_numbered(2))
                first.fill(AIRPORTS, _airports(_numbered(1)[1]))
                first.swap()

        with pytest.raises(PermanentError, match=re.escape("another began and removed this one. Wait for the other.")):
            overtake()
        assert _read_numbered(store.open_reader("flights", VIEWS))[0] == {2.0}
        before = len(contents())
        _fill(store, "flights", AS_OF, *_numbered(3))
        assert len(contents()) == before

    def test_a_reader_during_swaps_sees_one_whole_filling(self, store):
        _fill(store, "flights", AS_OF, *_numbered(0))
        reader, seen, done = store.open_reader("flights", VIEWS), set(), threading.Event()

        def read():
            while not done.is_set():
                numbers, read_at = _read_numbered(reader)
                seen.add((*numbers, read_at))

        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for n in range(1, 25):
                _fill(store, "flights", AS_OF + timedelta(days=n), *_numbered(n))
        finally:
            done.set()
            for thread in threads:
                thread.join()
        # A mixture would have two numbers, or the time of another filling.
        assert seen <= {(float(n), (AS_OF + timedelta(days=n)).timestamp()) for n in range(25)}
        assert len(seen) > 2

    def test_problems_do_not_see_each_other(self, store):
        _fill(store, "flights", AS_OF, *_numbered(1))
        runways = dataclasses.replace(AIRPORTS, name="exam_runways")
        with store.draft("trips", AS_OF + timedelta(days=1)) as draft:
            draft.fill(runways, _airports({"A": 5.0}))
            draft.swap()
        assert store.held_as_of("flights") == AS_OF
        assert _read_numbered(store.open_reader("flights", VIEWS))[0] == {1.0}
        assert store.open_reader("trips", [runways]).read({runways.name: [("A",)]}).found[runways.name][
            "A",
        ].values == {"wind": 5.0}

    def test_a_view_that_the_filling_lacks_is_refused(self, store):
        with store.draft("flights", AS_OF) as draft:
            draft.fill(ROUTES, _routes({}))
            draft.swap()
        with pytest.raises(PermanentError, match=re.escape("Run `materialize` again.")) as caught:
            store.open_reader("flights", VIEWS)
        assert AIRPORTS.name in str(caught.value)

    def test_a_feature_that_the_reader_does_not_know_is_left_out(self, store):
        _fill(store, "flights", AS_OF, *_numbered(1))
        fewer = dataclasses.replace(ROUTES, features=ROUTES.features[:1])
        read = store.open_reader("flights", [fewer]).read({ROUTES.name: [("0", "X")]})
        assert read.found[ROUTES.name]["0", "X"].values == {"delay": 1.0}

    def test_a_lost_store_is_an_outage_that_may_pass(self, store, lose):
        _fill(store, "flights", AS_OF, *_numbered(1))
        reader = store.open_reader("flights", VIEWS)
        lose()
        with pytest.raises(EndpointUnavailableError, match=re.escape("Run `materialize` again.")):
            _read_numbered(reader)
        _fill(store, "flights", AS_OF, *_numbered(2))
        assert _read_numbered(reader)[0] == {2.0}


class TestSqlite(OnlineStoreContract):
    @pytest.fixture
    def place(self, tmp_path):
        return tmp_path / "feast" / "online.db"

    @pytest.fixture
    def contents(self, place):
        return lambda: sorted(path.name for path in place.parent.iterdir())

    @pytest.fixture
    def lose(self, place):
        return place.unlink


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    with running_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


class TestRedis(OnlineStoreContract):
    @pytest.fixture
    def client(self, redis_url):
        with Redis.from_url(redis_url) as client:
            client.flushdb()
            yield client

    @pytest.fixture
    def place(self, client, redis_url):
        return redis_url

    @pytest.fixture
    def contents(self, client):
        return lambda: sorted(client.keys("*"))

    @pytest.fixture
    def lose(self, client):
        return client.flushdb

    def test_keys_of_others_stay(self, store, client):
        client.set("tidemill:{flights}:other", "kept")
        client.set("session", "kept")
        for n in range(3):
            _fill(store, "flights", AS_OF, *_numbered(n))
        assert client.get("tidemill:{flights}:other") == client.get("session") == b"kept"
        # The pointer, the list of keys, two views, and those of others: no generation before.
        assert client.dbsize() == 2 + 2 + 2

    def test_a_closed_connection_is_opened_again(self, store, client):
        _fill(store, "flights", AS_OF, *_numbered(1))
        reader = store.open_reader("flights", VIEWS)
        for other in client.client_list():
            if other["id"] != str(client.client_id()):
                client.client_kill(other["addr"])
        assert _read_numbered(reader)[0] == {1.0}

    def test_a_server_that_is_gone_is_an_outage(self, tmp_path):
        (folder := tmp_path / "redis").mkdir()
        with running_redis(folder) as url:
            store = _open(url, tmp_path)
            _fill(store, "flights", AS_OF, *_numbered(1))
            reader = store.open_reader("flights", VIEWS)
        for use in (lambda: _read_numbered(reader), lambda: store.held_as_of("flights")):
            with pytest.raises(EndpointUnavailableError, match=re.escape("it must answer, but got: ")):
                use()

    def test_a_wrong_password_is_named_but_not_shown(self, redis_url, tmp_path):
        store = _open(redis_url.replace("//", "//tidemill:s3cret@"), tmp_path)
        with pytest.raises(PermanentError, match=re.escape("the password must be right")) as caught:
            store.held_as_of("flights")
        assert "s3cret" not in str(caught.value)

    def test_a_view_that_was_evicted_is_an_outage_not_a_missing_value(self, store, client):
        _fill(store, "flights", AS_OF, *_numbered(1))
        reader = store.open_reader("flights", VIEWS)
        generation = json.loads(client.get("tidemill:{flights}:current"))["generation"]
        client.delete(f"tidemill:{{flights}}:{generation}:{AIRPORTS.name}")
        with pytest.raises(EndpointUnavailableError, match=re.escape(f"it must hold {AIRPORTS.name}")):
            _read_numbered(reader)


def test_a_problem_is_served_the_same_from_both(redis_url, tmp_path):
    """Through Feast's registry and the `materialize` step's own function."""
    Redis.from_url(redis_url).flushdb()
    at_file = load_settings({"TIDEMILL_HOME": str(tmp_path / "file")})
    at_redis = load_settings({"TIDEMILL_HOME": str(tmp_path / "redis"), "TIDEMILL_ONLINE_STORE": redis_url})
    rows = [
        {"origin": origin, "carrier": "UA", "tailnum": tail, "route": "EWR-IAH"}
        for origin in ("EWR", "BOS")
        for tail in ("N1", "N2", "N999", None)
    ]
    served = []
    for settings_of_place in (at_file, at_redis):
        fill_features(tmp_path, settings_of_place)
        online = open_online_features(PROBLEM, settings_of_place)
        served.append((online.names, repr(online.read(rows))))
        kept = fill_online_store(settings_of_place, PROBLEM, str(tmp_path), FILLED_AT - timedelta(days=1))
        assert (kept.entities["plane_profile"], kept.kept_from) == (2, FILLED_AT)
    assert served[0] == served[1]
    assert not (tmp_path / "redis" / "feast" / "online.db").exists()


def test_a_problem_is_served_with_the_registry_in_postgresql_and_a_redis_with_a_password(tmp_path):
    """As on a cluster: through feature_repo/feature_store.yaml and the `materialize` step's own function."""
    with running_postgresql() as server, running_redis(tmp_path, "hunter2") as redis:
        places = {"TIDEMILL_REGISTRY": f"{server}/postgres", "TIDEMILL_ONLINE_STORE": redis}
        settings = load_settings({"TIDEMILL_HOME": str(tmp_path / "home"), **places})
        fill_features(tmp_path, settings)
        (found,) = open_online_features(PROBLEM, settings).read([{"carrier": "UA", "tailnum": "N1", "origin": "EWR"}])
        assert found.values["plane_manufacturer"] == "AIRBUS"
        locked_out = settings.model_copy(update={"online_store": redis.replace("hunter2", "wrong")})
        with pytest.raises(PermanentError) as refusal:
            open_online_features(PROBLEM, locked_out)
        assert "wrong" not in str(refusal.value)


def test_an_endpoint_that_has_its_views_reads_redis_without_feast(redis_url, tmp_path):
    """Feast and a registry in PostgreSQL are a fifth of the time to the first answer."""
    places = {"TIDEMILL_HOME": str(tmp_path / "home"), "TIDEMILL_ONLINE_STORE": redis_url}
    settings = load_settings(places)
    fill_features(tmp_path, settings)
    row = {"carrier": "UA", "tailnum": "N1", "origin": "EWR", "route": "EWR-IAH"}
    (wanted,) = open_online_features(PROBLEM, settings).read([row])
    documents.write(ServedViews(views=tuple(registered_views(PROBLEM, settings))), tmp_path / "views.json")
    write_problem(PROBLEM, tmp_path / "problem.json")
    code = (
        "import sys\n"
        "from components.base.contract.load import read_problem\n"
        "from components.base.documents import read\n"
        "from components.base.settings import load_settings\n"
        "from components.features.online.store import ServedViews, open_online_features\n"
        "views = read(ServedViews, sys.argv[1] + '/views.json').views\n"
        "online = open_online_features(read_problem(sys.argv[1] + '/problem.json'), load_settings(), views)\n"
        f"(found,) = online.read([{row!r}])\n"
        "print(found.values, sorted({'feast', 'sqlalchemy', 'psycopg'} & sys.modules.keys()))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, env=os.environ | places, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{wanted.values} []"


def _open(place, home):
    """Open the store at a place."""
    installed = load_settings({"TIDEMILL_HOME": str(home)})
    return open_online_store(installed.model_copy(update={"online_store": str(place)}))


_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.contracts import test_online_store as exam

store = exam._open(sys.argv[1], Path(sys.argv[2]))
with store.draft("flights", exam.AS_OF) as draft:
    draft.fill(exam.ROUTES, exam._routes(exam._numbered(2)[0]))
    os.kill(os.getpid(), signal.SIGKILL)
"""
