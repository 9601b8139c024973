"""The online store of one machine: a SQLite file in the layout that Feast gives it.

In: tables of newest rows. Out: one Feast table a view, and the table `tidemill_fillings`. Called through `store.py`.

Feast's layout, so that Feast's own readers and commands work on the file; filled by hand, because Feast upserts: an
older value overwrites a newer one, and entities that are gone stay. A filling is written to a copy of the file, which
then takes the file's place in one rename, with the tables of other problems as they were.
"""

import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa

from components.base.adapters.duckdb import quote_name
from components.base.errors import EndpointUnavailableError, PermanentError
from components.features.feast.feature_store import (
    decode_value,
    encode_key,
    encode_value,
    online_table,
    stored_seconds,
)
from components.features.online.reader import CachingReader, Filling, Found, Key, OnlineView

StoredRow = tuple[bytes, str, bytes, int, int]
# As Feast creates it: `feast` commands write to the same table.
_COLUMNS = (
    "entity_key BLOB, feature_name TEXT, value BLOB, value_text TEXT, vector_value BLOB, "
    "event_ts timestamp, created_ts timestamp, PRIMARY KEY(entity_key, feature_name)"
)
_BATCH_ROWS = 10_000
# A row of each entity beside those of its features; Feast reads the features by their names, which have no colon. Its
# own column holds a UTC time as if it were a local one, and some of these do not exist where clocks go forward.
_KNOWN_AT = ":known_at"


class SqliteStore:
    """A file that is replaced as a whole."""

    def __init__(self, path: Path) -> None:
        """Take the path; nothing needs to exist."""
        self._path = path

    def held_as_of(self, problem: str) -> datetime | None:
        """Return the `as_of` that the store was filled with; None when it never was."""
        if not self._path.is_file():
            return None
        try:
            with closing(sqlite3.connect(self._path)) as connection:
                filling = read_filling(connection, problem)
        except sqlite3.DatabaseError as error:
            raise PermanentError(
                f"online store {self._path}: it must be readable, but got {error}. Remove it and run again."
            ) from error
        return datetime.fromtimestamp(filling.as_of, UTC) if filling else None

    def count_entities(self, problem: str, views: Sequence[OnlineView]) -> dict[str, int]:  # noqa: ARG002 - one file
        """Return the entities of each view; a view that the filling lacks has none."""
        with closing(sqlite3.connect(self._path)) as connection:
            present = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            statement = "SELECT count(DISTINCT entity_key) FROM {}"
            return {
                view.name: connection.execute(statement.format(quote_name(table))).fetchone()[0]
                if (table := online_table(view.name)) in present
                else 0
                for view in views
            }

    @contextmanager
    def draft(self, problem: str, as_of: datetime) -> Iterator["SqliteDraft"]:
        """Begin a filling in a copy of the file, and remove what other fillings left."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in self._path.parent.glob(f"{self._path.name}.draft*"):
            leftover.unlink(missing_ok=True)
        path = self._path.with_name(f"{self._path.name}.draft-{uuid4().hex}")
        try:
            if self._path.is_file():
                shutil.copyfile(self._path, path)
            with closing(sqlite3.connect(path)) as connection:
                write_filling(connection, problem, Filling(as_of.timestamp(), time.time()))
                yield SqliteDraft(problem, path, self._path, connection)
        finally:
            # SQLite would play a journal back into the next file of the same name.
            for path_of_draft in (path, path.with_name(f"{path.name}-journal")):
                path_of_draft.unlink(missing_ok=True)

    def open_reader(self, problem: str, views: Sequence[OnlineView]) -> "SqliteReader":
        """Open the file for reading."""
        return SqliteReader(self._path, problem, views)


class SqliteDraft:
    """A copy of the file whose tables are written anew."""

    def __init__(self, problem: str, path: Path, target: Path, connection: sqlite3.Connection) -> None:
        """Take the copy and the file that it replaces."""
        self._problem = problem
        self._path = path
        self._target = target
        self._connection = connection

    def fill(self, view: OnlineView, rows: pa.Table) -> int:
        """Write a view and return its entities."""
        name = online_table(view.name)
        with self._explain_removal(), self._connection:
            self._connection.execute(f"DROP TABLE IF EXISTS {quote_name(name)}")
            self._connection.execute(f"CREATE TABLE {quote_name(name)} ({_COLUMNS})")
            self._connection.execute(f"CREATE INDEX {quote_name(f'{name}_ek')} ON {quote_name(name)} (entity_key)")
            for batch in rows.to_batches(_BATCH_ROWS):
                write_rows(self._connection, view, stored_rows(view, batch.to_pylist()))
        return int(rows.num_rows)

    def open_reader(self, views: Sequence[OnlineView]) -> "SqliteReader":
        """Open the copy for reading."""
        return SqliteReader(self._path, self._problem, views)

    def swap(self) -> None:
        """Put the copy in the file's place."""
        self._connection.close()
        with self._explain_removal():
            self._path.replace(self._target)

    @contextmanager
    def _explain_removal(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            if self._path.exists():
                raise
            raise PermanentError(
                f"online store {self._target}: one filling must run at a time, but another began and removed this one. "
                "Wait for the other."
            ) from error


class SqliteReader(CachingReader):
    """Reads one file, with one statement a view for all its entities.

    The file may be replaced, or written by another process, while it is open.
    """

    def __init__(self, path: Path, problem: str, views: Sequence[OnlineView]) -> None:
        """Open the file.

        Raises:
            PermanentError: there is no such file, or a table is missing or has other columns.
            EndpointUnavailableError: the file cannot be read.
        """
        super().__init__(views)
        self._path = path
        self._problem = problem
        self._filling: Filling | None = None
        self._filling_state: tuple[int, int] | None = None
        if not path.is_file():
            raise PermanentError(f"online store {path}: the file must exist, but it does not. Run `materialize` first.")
        with self._explain_errors():
            self._open()
            wanted = {"entity_key", "feature_name", "value", "event_ts"}
            for view in self._views:
                described = self._connection.execute(f"PRAGMA table_info({quote_name(online_table(view))})")
                columns = {row[1] for row in described}
                if not wanted <= columns:
                    raise PermanentError(
                        f"online store {path}: the table of {view} must have the columns {sorted(wanted)}, "
                        f"but got {sorted(columns)}. Run `materialize` again."
                    )

    def _fetch(
        self, wanted: Mapping[str, Sequence[Key]]
    ) -> tuple[tuple[int, int], Filling | None, dict[str, dict[Key, Found]]]:
        with self._explain_errors():
            if self._path.stat().st_ino != self._inode:
                replaced = self._connection
                self._open()
                replaced.close()
            # One transaction: another process cannot write between the views of one request.
            self._connection.execute("BEGIN")
            try:
                # data_version changes when another connection has written, the inode when the file was replaced.
                state = (self._inode, self._connection.execute("PRAGMA data_version").fetchone()[0])
                if state != self._filling_state:
                    self._filling, self._filling_state = read_filling(self._connection, self._problem), state
                if state != self._state:
                    return state, self._filling, {}
                return state, self._filling, {name: self._read_view(name, keys) for name, keys in wanted.items()}
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("COMMIT")

    def _read_view(self, name: str, keys: Sequence[Key]) -> dict[Key, Found]:
        view = self._views[name]
        key_by_stored = {encode_key(view.keys, key, view.key_types): key for key in keys}
        statement = (
            f"SELECT entity_key, feature_name, value, event_ts FROM {quote_name(online_table(name))} "  # noqa: S608
            f"WHERE entity_key IN ({','.join('?' * len(key_by_stored))})"
        )
        names = {feature.name for feature in view.features}
        values: dict[Key, dict[str, Any]] = {}
        known_at: dict[Key, float] = {}
        exact: dict[Key, float] = {}
        for stored, feature, encoded, event_ts in self._connection.execute(statement, list(key_by_stored)):
            key, value = key_by_stored[stored], decode_value(encoded)
            of_entity = values.setdefault(key, {})
            if feature == _KNOWN_AT:
                exact[key] = value
            elif value is not None and feature in names:
                of_entity[feature] = value
            known_at[key] = event_ts
        return {key: Found(exact.get(key) or _read_local(known_at[key]), found) for key, found in values.items()}

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise EndpointUnavailableError(
                f"online store {self._path}: it must be readable, but got {error}. Run `materialize` again."
            ) from error

    def _open(self) -> None:
        """Connect to the file; a failure leaves the reader as it was, so that the next read tries again."""
        inode = self._path.stat().st_ino
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        # Reads hold a lock, so the predictor's threads take turns; transactions are begun by hand.
        connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
        try:
            read_filling(connection, self._problem)
        except sqlite3.Error:
            connection.close()
            raise
        self._inode, self._connection = inode, connection


def _read_local(stored: float) -> float:
    """Return the seconds since 1970 UTC of a row that Feast wrote itself: of a UTC time as if it were a local one."""
    return datetime.fromtimestamp(stored).replace(tzinfo=UTC).timestamp()


def stored_rows(view: OnlineView, rows: Iterable[Mapping[Any, Any]]) -> Iterator[StoredRow]:
    """Encode rows of a view as Feast stores them, one a feature, and one with the time at which they were known."""
    for row in rows:
        key = encode_key(view.keys, view.read_key(row), view.key_types)
        known, created = stored_seconds(row["event_timestamp"]), stored_seconds(row["created_timestamp"])
        yield key, _KNOWN_AT, encode_value(float(int(row["event_timestamp"].timestamp()))), known, created
        for feature in view.features:
            yield key, feature.name, encode_value(row[feature.name]), known, created


def write_rows(connection: sqlite3.Connection, view: OnlineView, rows: Iterable[StoredRow]) -> None:
    """Insert rows of a view, or replace those of the same entities."""
    connection.executemany(
        f"INSERT OR REPLACE INTO {quote_name(online_table(view.name))} "  # noqa: S608 - declared and quoted
        "(entity_key, feature_name, value, event_ts, created_ts) VALUES (?, ?, ?, ?, ?)",
        rows,
    )


def read_filling(connection: sqlite3.Connection, problem: str) -> Filling | None:
    """Read when the store was last filled for a problem; None when it never was, or by Feast alone."""
    try:
        statement = "SELECT as_of, filled_at FROM tidemill_fillings WHERE problem = ?"
        row = connection.execute(statement, [problem]).fetchone()
    except sqlite3.OperationalError as error:
        # SQLite has no code of its own for it; a locked or broken store is not one that was never filled.
        if not str(error).startswith("no such table"):
            raise
        return None
    return Filling(*row) if row else None


def write_filling(connection: sqlite3.Connection, problem: str, filling: Filling) -> None:
    """Record when the store was filled for a problem."""
    with connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS tidemill_fillings (problem TEXT PRIMARY KEY, as_of REAL, filled_at REAL)"
        )
        connection.execute("INSERT OR REPLACE INTO tidemill_fillings VALUES (?, ?, ?)", [problem, *filling])
