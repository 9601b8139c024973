"""The governor's database: its tables, and a connection that commits durably and never half.

In: a SQLAlchemy URL. Out: a `Database` whose tables exist. Called by the inbox, the store and the archive.

    problems   one row a problem: paused or not, and how far the schedule has been looked at
    episodes   one row a reason to retrain; unique by problem, fingerprint and start
    history    every change of an episode's decision
    runs       one row a run, at most one an episode; at most one a problem in flight

SQLite (one machine) writes ahead and takes its write lock at BEGIN, so that a transaction that reads before it writes
cannot fail in between. PostgreSQL (a cluster) locks the rows that a transaction asks for.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    DateTime,
    Dialect,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    create_engine,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from components.base.errors import DecisionsUnavailableError, PermanentError

# A change of the tables raises it and brings its migration along.
SCHEMA_VERSION = 1
# Writers wait so long for each other; a transaction takes milliseconds.
_BUSY_SECONDS = 10
# Any number that nobody else uses: who makes the tables holds it.
_SCHEMA_LOCK = 7_164_311


class Moment(TypeDecorator[datetime]):
    """A moment in UTC on every database; SQLite keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Write in UTC."""
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Read in UTC."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


metadata = MetaData()
versions = Table("governor_schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False))
problems = Table(
    "problems",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("paused_by", String(200)),
    Column("pause_reason", Text),
    Column("answered_by", String(200)),
    Column("answered_at", Moment),
    Column("schedule_seen_at", Moment, nullable=False),
)
episodes = Table(
    "episodes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("problem", String(200), ForeignKey("problems.name"), nullable=False),
    Column("cause", String(20), nullable=False),
    Column("name", String(200), nullable=False),
    Column("fingerprint", String(200), nullable=False),
    Column("starts_at", String(40), nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("heard_at", Moment, nullable=False),
    Column("is_firing", Boolean, nullable=False),
    Column("repeats", Integer, nullable=False, default=0),
    Column("cleared_at", Moment),
    Column("choice", String(20), nullable=False, default="received"),
    Column("reason", String(40), nullable=False, default="received"),
    Column("words", Text, nullable=False, default="received: stored, not yet decided."),
    Column("decided_at", Moment),
    Column("note", Text),
    UniqueConstraint("problem", "fingerprint", "starts_at"),
    Index("ix_episodes_choice", "choice"),
    sqlite_autoincrement=True,
)
history = Table(
    "history",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("episode_id", Integer, ForeignKey("episodes.id"), nullable=False, index=True),
    Column("at", Moment, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Column("choice", String(20), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("words", Text, nullable=False),
)
runs = Table(
    "runs",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("key", String(250), nullable=False, unique=True),
    Column("episode_id", Integer, ForeignKey("episodes.id"), nullable=False, unique=True),
    Column("problem", String(200), ForeignKey("problems.name"), nullable=False, index=True),
    Column("as_of", Moment, nullable=False),
    Column("state", String(20), nullable=False),
    Column("planned_at", Moment, nullable=False),
    Column("planned_wall", Moment, nullable=False),
    Column("started_at", Moment),
    Column("started_wall", Moment),
    Column("ended_at", Moment),
    Column("version", String(100)),
    Column("reasons", Text, nullable=False, default="[]"),
    sqlite_autoincrement=True,
)
_in_flight = runs.c.state.in_(("planned", "running"))
# The database itself refuses a second run in flight, whatever the code above it believes.
Index("one_in_flight", runs.c.problem, unique=True, sqlite_where=_in_flight, postgresql_where=_in_flight)


class Database:
    """Transactions on the governor's tables."""

    def __init__(self, url: str) -> None:
        """Connect and make the tables; making them again changes nothing.

        Raises:
            DecisionsUnavailableError: the database does not answer.
            PermanentError: a newer governor has changed the tables.
        """
        self.engine = _connect(url)
        # SQLite lets one write and the others poll, so that one may starve; a lock gives each its turn.
        self._turn = threading.Lock() if self.engine.dialect.name == "sqlite" else nullcontext()
        with self.writing() as connection:
            _create_tables(connection)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Run the block as one transaction, committed at its end, rolled back by an error.

        Raises:
            DecisionsUnavailableError: the database does not answer, or cannot write; nothing of the block is stored.
        """
        with self._turn, _in_words(self.engine), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Run the block on one state of the tables, without waiting for writers; errors as in `writing`."""
        with _in_words(self.engine), self.engine.connect() as plain:
            yield plain.execution_options(is_read=True)

    def insert_once(self, connection: Connection, table: Table, **values: Any) -> bool:
        """Insert a row unless its unique columns are taken; tell whether it is new."""
        dialect = postgresql if self.engine.dialect.name == "postgresql" else sqlite
        inserted = dialect.insert(table).values(**values).on_conflict_do_nothing()
        # The count of rows is not told by every driver; the key that comes back is.
        return connection.execute(inserted.returning(*table.primary_key)).first() is not None


@contextmanager
def _in_words(engine: Engine) -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        place = engine.url.render_as_string(hide_password=True)
        raise DecisionsUnavailableError(
            f"governor database {place}: it must answer and have room to write, but got: {error}. "
            "Start it, or free its disk; nothing is lost, as senders send again."
        ) from error


def _connect(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    """Leave transactions to SQLAlchemy and make each commit reach the disk."""
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    is_read = connection.get_execution_options().get("is_read", False)
    connection.exec_driver_sql("BEGIN" if is_read else "BEGIN IMMEDIATE")


def _create_tables(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _SCHEMA_LOCK})
    metadata.create_all(connection)
    found = connection.execute(select(versions.c.version)).scalar()
    if found is None:
        connection.execute(insert(versions).values(version=SCHEMA_VERSION))
    elif found != SCHEMA_VERSION:
        raise PermanentError(
            f"governor database: its tables must be of version {SCHEMA_VERSION}, but got {found}. "
            "Install the governor that made them, or name another TIDEMILL_GOVERNOR_DATABASE."
        )
