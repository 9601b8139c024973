"""The governor's database keeps the same promises on SQLite and on PostgreSQL, with many writers at once.

PostgreSQL is a real server, started for the tests as a user that is not root; where its programs or psycopg are missing
the tests are skipped with the reason.
"""

import concurrent.futures
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event, insert, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import Pool
from sqlalchemy.schema import CreateIndex, CreateTable

from components.base.errors import PermanentError, RulingsUnavailableError
from components.governor.inbox import Inbox, Signal, Times
from components.governor.rule import Ruling
from components.governor.schema import Base, Database, RunRow
from components.governor.store import Ledger, RulingStore
from tests.contracts.running_postgresql import running_postgresql
from tests.unit.governor.world import START, World

NOW = Times(START, START)


@pytest.fixture(autouse=True)
def every_connection_closed():
    """Close what the tests' many governors have open: they live as long as their process."""
    opened = []

    def note(connection, _):
        opened.append(connection)

    event.listen(Pool, "connect", note)
    yield
    event.remove(Pool, "connect", note)
    for connection in opened:
        connection.close()


def _read_tables(dialect: str) -> str:
    return Path(__file__).with_name("governor_tables").joinpath(f"{dialect}.sql").read_text()


def together(count, work):
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


class GovernorDatabaseContract:
    """What holds on every database; a subclass gives the fixture `url`."""

    def test_the_same_alert_from_many_at_once_is_one_episode(self, url):
        signal = Signal("flight-delays", "ValueBelowLimit", "a", "2026-01-01T00:00:00.000000+00:00", True)
        inboxes = [Inbox(Database(url)) for _ in range(4)]
        inboxes[0].add_problem("flight-delays", START)
        results = together(40, lambda number: inboxes[number % 4].record_signals([signal], NOW)[0])
        assert sorted(results) == ["accepted"] + ["duplicate"] * 39

    def test_two_governors_that_judge_at_once_plan_one_run(self, url):
        world = World(Path(), url)
        for fingerprint in "abcdef":
            world.alert(fingerprint)
        stores = [RulingStore(Database(url)) for _ in range(2)]

        def judge(episode, ledger: Ledger):
            time.sleep(0.01)
            free = not any(run.state in ("planned", "running") for run in ledger.runs)
            return Ruling("run", "worth_it") if free else Ruling("hold", "run_in_flight")

        ids = [number for number, _ in stores[0].list_open(world.name)]
        together(12, lambda n: stores[n % 2].settle(ids[n % 6], judge, NOW))
        assert [len(store.read_ledger(world.name).runs) for store in stores] == [1, 1]

    def test_two_governors_that_start_at_once_start_once(self, url):
        world = World(Path(), url)
        world.runner.is_down = True
        world.alert()
        world.step()
        key, started = world.store.read_ledger(world.name).runs[0].key, []

        def start():
            time.sleep(0.02)
            started.append(key)

        stores = [RulingStore(Database(url)) for _ in range(4)]
        begun = together(4, lambda number: stores[number].begin_run(key, start, NOW))
        assert (sorted(begun), started) == ([False] * 3 + [True], [key])

    def test_the_database_itself_refuses_a_second_run_in_flight(self, url):
        world = World(Path(), url)
        world.alert("a")
        world.alert("b")
        world.step()
        planned = {"as_of": START, "planned_at": START, "planned_wall": START, "state": "planned"}
        row = {"key": "another", "episode_id": world.ruling(2).id, "problem": world.name, **planned}
        with pytest.raises(IntegrityError), world.database.writing() as session:
            session.execute(insert(RunRow).values(**row))

    def test_times_come_back_in_utc(self, url):
        world = World(Path(), url)
        world.alert()
        world.step(hours=1)
        run = world.store.read_ledger(world.name).runs[0]
        assert (run.as_of, run.planned_at, run.started_at) == (START + timedelta(hours=1),) * 3
        assert run.as_of.utcoffset() == timedelta(0)

    def test_the_life_of_a_ruling_is_kept_over_restarts(self, url):
        world = World(Path(), url)
        world.alert()
        world.step()
        world.restart()
        world.runner.end("promoted", "2", ("Better.",))
        world.step(hours=1)
        world.restart()
        world.alert(firing=False)
        world.step(hours=1)
        assert [change.choice for change in world.ruling().history] == ["run", "run", "closed"]
        assert world.archive.count_runs() == {("flight-delays", "promoted"): 1}
        assert world.archive.count_rulings()["flight-delays", "closed", "cleared"] == 1

    def test_tables_of_a_newer_governor_are_left_alone(self, url):
        database = Database(url)
        with database.writing() as session:
            session.execute(text("UPDATE governor_schema SET version = 99"))
        with pytest.raises(PermanentError, match="must be of version 1, but got 99"):
            Database(url)

    def test_a_database_of_before_keeps_opening(self, url):
        engine = create_engine(url)
        with engine.begin() as connection:
            for statement in _read_tables(engine.dialect.name).split(";")[:-1]:
                connection.execute(text(statement))
            connection.execute(text("INSERT INTO governor_schema VALUES (1)"))
        engine.dispose()
        world = World(Path(), url)
        world.alert()
        world.step()
        world.runner.end("promoted")
        world.step(hours=1)
        assert [change.reason for change in world.ruling().history] == ["worth_it", "on_trial"]

    def test_the_tables_are_those_of_their_version(self, url):
        """A change of the tables needs another version and a migration: the files hold the tables of version 1."""
        dialect = create_engine(url).dialect
        made = []
        for table in Base.metadata.sorted_tables:
            made.append(CreateTable(table))
            made.extend(CreateIndex(index) for index in sorted(table.indexes, key=lambda index: index.name))
        statements = [str(statement.compile(dialect=dialect)) for statement in made]
        assert [" ".join(statement.split()) for statement in statements] == [
            " ".join(statement.split()) for statement in _read_tables(dialect.name).split(";")[:-1]
        ]

    def test_many_governors_may_make_the_tables_at_once(self, url):
        assert len(together(4, lambda _: Database(url))) == 4


class TestSqlite(GovernorDatabaseContract):
    @pytest.fixture
    def url(self, tmp_path):
        return f"sqlite:///{tmp_path}/governor.db"

    def test_a_database_that_cannot_be_written_says_so(self, tmp_path):
        with pytest.raises(RulingsUnavailableError, match="must answer and have room to write"):
            Database(f"sqlite:///{tmp_path}/missing/governor.db")


@pytest.fixture(scope="module")
def postgres():
    with running_postgresql() as url:
        yield url


class TestPostgres(GovernorDatabaseContract):
    @pytest.fixture
    def url(self, postgres, request):
        name = f"t{abs(hash(request.node.name))}"
        engine = create_engine(f"{postgres}/postgres", isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return f"{postgres}/{name}"
