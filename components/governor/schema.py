"""The governor's database: one mapped class a table, and transactions that commit durably and never half.

In: a SQLAlchemy URL. Out: a `Database` whose tables exist. Called by the inbox, the store and the archive.

SQLite (one machine) writes ahead and takes its write lock at BEGIN, so that a transaction that reads before it writes
cannot fail in between. PostgreSQL (a cluster) locks the rows that a transaction selects for update.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from sqlalchemy import (
    Connection,
    DateTime,
    Dialect,
    Engine,
    ForeignKey,
    Index,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    create_engine,
    event,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from components.base.errors import PermanentError, RulingsUnavailableError
from components.governor.rule import IN_FLIGHT, Cause, Choice, Reason, RunState

# Raised by every change of the tables, which brings its migration along.
SCHEMA_VERSION = 1
# Lock timeout between writers. A transaction takes milliseconds, so 10 s is ample.
_BUSY_SECONDS = 10
# Held while the tables are created; any number that no other program uses on the same PostgreSQL database.
_SCHEMA_LOCK = 7_164_311


class UtcTime(TypeDecorator[datetime]):
    """A time in UTC on every database; SQLite keeps no zone."""

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


class JsonTexts(TypeDecorator[tuple[str, ...]]):
    """Texts as a JSON list in a column of text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str:  # noqa: ARG002
        """Write a JSON list."""
        return json.dumps(value or ())

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str, ...]:  # noqa: ARG002
        """Read a JSON list."""
        return tuple(json.loads(value or "[]"))


ProblemName = Annotated[str, mapped_column(String(200), ForeignKey("problems.name"))]
EpisodeId = Annotated[int, mapped_column(ForeignKey("episodes.id"))]


class Base(DeclarativeBase):
    """Base of the tables."""

    type_annotation_map: ClassVar = {datetime: UtcTime, tuple[str, ...]: JsonTexts, str: Text}


class VersionRow(Base):
    """The version of the tables; one row."""

    __tablename__ = "governor_schema"
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class ProblemRow(Base):
    """A problem: paused or not, and up to when its due times are handled."""

    __tablename__ = "problems"
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    paused_by: Mapped[str | None] = mapped_column(String(200))
    pause_reason: Mapped[str | None]
    answered_by: Mapped[str | None] = mapped_column(String(200))
    answered_at: Mapped[datetime | None]
    schedule_seen_at: Mapped[datetime]


class RunRow(Base):
    """A training run; at most one an episode, and at most one a problem in flight."""

    __tablename__ = "runs"
    number: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(250), unique=True)
    episode_id: Mapped[EpisodeId] = mapped_column(unique=True)
    problem: Mapped[ProblemName] = mapped_column(index=True)
    as_of: Mapped[datetime]
    state: Mapped[RunState] = mapped_column(String(20))
    planned_at: Mapped[datetime]
    planned_wall: Mapped[datetime]
    started_at: Mapped[datetime | None]
    started_wall: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    version: Mapped[str | None] = mapped_column(String(100))
    reasons: Mapped[tuple[str, ...]] = mapped_column(default=())
    __table_args__ = ({"sqlite_autoincrement": True},)


class RulingRow(Base):
    """A ruling that changed an episode's choice or reason."""

    __tablename__ = "history"
    id: Mapped[int] = mapped_column(primary_key=True)
    episode_id: Mapped[EpisodeId] = mapped_column(index=True)
    at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    choice: Mapped[Choice] = mapped_column(String(20))
    reason: Mapped[Reason] = mapped_column(String(40))
    words: Mapped[str]


class EpisodeRow(Base):
    """A reason to retrain, unique by problem, fingerprint and start, with the ruling that is in force."""

    __tablename__ = "episodes"
    id: Mapped[int] = mapped_column(primary_key=True)
    problem: Mapped[ProblemName]
    cause: Mapped[Cause] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(200))
    fingerprint: Mapped[str] = mapped_column(String(200))
    starts_at: Mapped[str] = mapped_column(String(40))
    opened_at: Mapped[datetime]
    received_at: Mapped[datetime]
    heard_at: Mapped[datetime]
    is_firing: Mapped[bool]
    repeats: Mapped[int] = mapped_column(default=0)
    cleared_at: Mapped[datetime | None]
    choice: Mapped[Choice] = mapped_column(String(20), default="received")
    reason: Mapped[Reason] = mapped_column(String(40), default="received")
    words: Mapped[str] = mapped_column(default="Stored; there is no ruling yet.")
    decided_at: Mapped[datetime | None]
    note: Mapped[str | None]
    run: Mapped[RunRow | None] = relationship(viewonly=True, lazy="raise")
    rulings: Mapped[list[RulingRow]] = relationship(viewonly=True, lazy="raise", order_by=RulingRow.id)
    __table_args__ = (
        UniqueConstraint("problem", "fingerprint", "starts_at"),
        Index("ix_episodes_choice", "choice"),
        {"sqlite_autoincrement": True},
    )


_in_flight = RunRow.state.in_(IN_FLIGHT)
# The database itself refuses a second run in flight, even if the code above it is wrong.
Index("one_in_flight", RunRow.problem, unique=True, sqlite_where=_in_flight, postgresql_where=_in_flight)


class Database:
    """Transactions on the governor's tables."""

    def __init__(self, url: str) -> None:
        """Connect and create the tables that do not exist yet.

        Raises:
            RulingsUnavailableError: the database does not answer.
            PermanentError: a newer governor has changed the tables.
        """
        self.engine = _connect(url)
        self._reader = self.engine.execution_options(is_read=True)
        # SQLite's writers poll for its lock, so that one may starve; a lock gives each its turn.
        self._turn = threading.Lock() if self.engine.dialect.name == "sqlite" else nullcontext()
        with self.writing() as session:
            connection = session.connection()
            if connection.dialect.name == "postgresql":
                session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _SCHEMA_LOCK})
            Base.metadata.create_all(connection)
            found = session.scalar(select(VersionRow.version))
            if found is None:
                session.add(VersionRow(version=SCHEMA_VERSION))
            elif found != SCHEMA_VERSION:
                raise PermanentError(
                    f"governor database: its tables must be of version {SCHEMA_VERSION}, but got {found}. "
                    "Install the governor that created them, or set TIDEMILL_GOVERNOR_DATABASE to another database."
                )

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Run the block as one transaction, committed at its end, rolled back by an error.

        Raises:
            RulingsUnavailableError: the database does not answer, or cannot write; nothing of the block is stored.
        """
        with self._turn, _translate_errors(self.engine), Session(self.engine) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Run the block on one state of the tables, without waiting for writers; errors as in `writing`."""
        with _translate_errors(self.engine), Session(self._reader) as session:
            yield session

    def insert_once(self, session: Session, table: type[Base], **values: Any) -> bool:
        """Insert a row unless its unique columns are taken; return whether it is new."""
        insert = postgresql.insert if self.engine.dialect.name == "postgresql" else sqlite.insert
        inserted = insert(table).values(**values).on_conflict_do_nothing()
        # Not every driver returns the count of rows; all return the key of a new row.
        return session.execute(inserted.returning(*inspect(table).primary_key)).first() is not None


@contextmanager
def _translate_errors(engine: Engine) -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        place = engine.url.render_as_string(hide_password=True)
        raise RulingsUnavailableError(
            f"governor database {place}: it must answer and have room to write, but got: {error}. "
            "Start it, or free its disk; nothing is lost, because senders send again."
        ) from error


def _connect(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        # Leave transactions to SQLAlchemy and make each commit reach the disk.
        connection.isolation_level = None
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        is_read = connection.get_execution_options().get("is_read", False)
        connection.exec_driver_sql("BEGIN" if is_read else "BEGIN IMMEDIATE")

    return engine
