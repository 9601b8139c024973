"""Look up the newest known features of the entities in request rows, fast enough to do it in every request.

In: rows with the keys of the entities, the declared views, and a reader of the online store. Out: one `ServedFeatures`
a row, in order. Called by the predictor and by `materialize`; knows nothing of Feast, whose adapter makes the parts.

What Feast leaves to its caller is done here: a value older than its view's time to live is missing, an unknown entity
is missing and named, features are ordered by name, each entity is read once however many rows name it. How old the
values of each view are, and at which moment, comes with them: whoever watches the endpoint asks for it.
"""

import math
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from components.base.dataset import Feature
from components.base.errors import EndpointUnavailableError, PermanentError

# Entities of a view that are held in memory: some thousands make a day of flights.
_HELD_ENTITIES = 50_000
Value = float | str | None
Key = tuple[str, ...]


@dataclass(frozen=True)
class OnlineView:
    """One feature view as the online store holds it."""

    name: str
    keys: tuple[str, ...]
    """Columns of a request row that name the entity."""
    features: tuple[Feature, ...]
    ttl_seconds: float | None
    """Age from which on a value is missing; None means that it holds for ever."""


@dataclass(frozen=True)
class Found:
    """What the online store holds of one entity in one view."""

    known_at: float
    """Event time of the values, seconds since 1970 UTC."""
    values: Mapping[str, Any]
    """Features of the view by name; what is null is left out."""


class ServedFeatures(NamedTuple):
    """The features of one request row."""

    values: dict[str, Value]
    """By name in alphabetical order; a missing number is NaN, a missing text None."""
    missing: tuple[str, ...]
    """Names of features without a value: unknown entity, too old, or never observed."""
    ages: dict[str, float | None]
    """Seconds since the values of each view were known, also when that is too long; None for an unknown entity."""
    expired: tuple[str, ...]
    """Views whose values are older than their time to live."""
    read_at: float
    """The moment at which ages are counted, seconds since 1970 UTC."""


class OnlineReader(Protocol):
    """Reads one view of an online store."""

    def read(self, view: OnlineView, keys: Sequence[Key]) -> dict[Key, Found]:
        """Return what is known of the given entities; unknown ones are left out."""

    def now(self) -> float:
        """Return the moment at which ages are counted, seconds since 1970 UTC."""


class OnlineFeatures:
    """The features of a service, read row by row."""

    def __init__(self, views: Sequence[OnlineView], reader: OnlineReader) -> None:
        """Take the views apart once, so that a request need not."""
        self._views = list(views)
        self._reader = reader
        self._key_columns = tuple(dict.fromkeys(view.keys for view in views))
        features = [feature for view in views for feature in view.features]
        self._empty: dict[str, Value] = {
            feature.name: math.nan if feature.kind == "numeric" else None
            for feature in sorted(features, key=lambda feature: feature.name)
        }

    @property
    def names(self) -> list[str]:
        """Names of the features that `read` returns, in its order."""
        return list(self._empty)

    @property
    def view_names(self) -> tuple[str, ...]:
        """Names of the views, in the order of `ServedFeatures.ages`."""
        return tuple([view.name for view in self._views])

    def read(self, rows: Sequence[Mapping[str, Any]]) -> list[ServedFeatures]:
        """Look up rows that hold the entities' keys; a row that lacks a key gets that view's features as missing."""
        now = self._reader.now()
        values = [dict(self._empty) for _ in rows]
        ages: list[dict[str, float | None]] = [{} for _ in rows]
        expired: list[tuple[str, ...]] = [()] * len(rows)
        keys_by_columns = {columns: [_entity_key(row, columns) for row in rows] for columns in self._key_columns}
        for view in self._views:
            keys = keys_by_columns[view.keys]
            asked = [key for key in dict.fromkeys(keys) if key is not None]
            found = self._reader.read(view, asked) if asked else {}
            oldest = -math.inf if view.ttl_seconds is None else now - view.ttl_seconds
            for i, key in enumerate(keys):
                entity = None if key is None else found.get(key)
                ages[i][view.name] = None if entity is None else now - entity.known_at
                if entity is None:
                    continue
                if entity.known_at >= oldest:
                    values[i].update(entity.values)
                else:
                    expired[i] += (view.name,)
        return [
            ServedFeatures(row, _missing(row), ages_of_row, too_old, now)
            for row, ages_of_row, too_old in zip(values, ages, expired, strict=True)
        ]


@dataclass(frozen=True)
class SqliteLayout:
    """How Feast lays out its SQLite online store."""

    tables: Mapping[str, str]
    """Table by view."""
    encode: Callable[[Sequence[str], Key], bytes]
    """Makes the stored key of the key columns and an entity's key."""
    decode: Callable[[bytes], Any]
    """Makes a Python value of a stored one."""


class SqliteReader:
    """Reads the tables that Feast's SQLite online store writes, one statement a view for all entities.

    The file may be replaced while it is open: the next read sees the new one.
    """

    def __init__(self, path: Path, problem: str, layout: SqliteLayout) -> None:
        """Open the file for the views of one problem.

        Raises:
            PermanentError: there is no such file, or a table is missing or has other columns.
            EndpointUnavailableError: the file cannot be read.
        """
        self._path = path
        self._problem = problem
        self._layout = layout
        self._held_state: tuple[int, int] | None = None
        self._held_by_view: dict[str, dict[Key, Found | None]] = {}
        self._tables = {view: '"' + table.replace('"', '""') + '"' for view, table in layout.tables.items()}
        if not path.is_file():
            raise PermanentError(f"online store {path}: the file must exist, but it does not. Run `materialize` first.")
        with self._told_as_unavailable():
            self._open()
            self._check()

    def now(self) -> float:
        """Return the wall clock, moved so that it showed `as_of` when the store was filled.

        A store that is refreshed with the present is thereby read at the present, a replayed past at its own time, and
        one that nobody refreshes grows old either way. It counts whole hours, so that two reads soon after another
        agree on what has expired.
        """
        self._notice_changes()
        wall = time.time()
        if self._filling is None:
            return wall
        return self._filling.as_of + (wall - self._filling.filled_at) // 3600 * 3600

    def read(self, view: OnlineView, keys: Sequence[Key]) -> dict[Key, Found]:
        """Return what is known of the given entities.

        Raises:
            EndpointUnavailableError: the online store cannot be read.
        """
        held = self._held(view)
        unread = [key for key in keys if key not in held]
        if unread:
            read = self._read_stored(view, unread)
            held.update((key, read.get(key)) for key in unread)
        return {key: found for key in keys if (found := held[key]) is not None}

    def _held(self, view: OnlineView) -> dict[Key, Found | None]:
        """Return what was read of the view since the store last changed; None for an entity that it does not hold."""
        self._notice_changes()
        held = self._held_by_view.setdefault(view.name, {})
        if len(held) > _HELD_ENTITIES:
            held.clear()
        return held

    def _notice_changes(self) -> None:
        """Forget what was read once the store has changed, and look when it was filled.

        SQLite's data_version tells exactly when another connection has written, the inode when the file was replaced.
        """
        state = (self._connect(), self._execute("PRAGMA data_version")[0][0])
        if state == self._held_state:
            return
        with self._told_as_unavailable():
            self._filling = read_filling(self._connection, self._problem)
        self._held_state, self._held_by_view = state, {}

    def _read_stored(self, view: OnlineView, keys: Sequence[Key]) -> dict[Key, Found]:
        by_stored = {self._layout.encode(view.keys, key): key for key in keys}
        marks = ",".join("?" * len(by_stored))
        statement = (
            f"SELECT entity_key, feature_name, value, event_ts FROM {self._tables[view.name]} "  # noqa: S608
            f"WHERE entity_key IN ({marks})"
        )
        names = {feature.name for feature in view.features}
        values: dict[Key, dict[str, Any]] = {}
        known_at: dict[Key, int] = {}
        for stored, name, stored_value, event_ts in self._execute(statement, list(by_stored)):
            value, key = self._layout.decode(stored_value), by_stored[stored]
            of_entity = values.setdefault(key, {})
            if value is not None and name in names:
                of_entity[name] = value
            known_at[key] = event_ts
        return {key: Found(_utc_seconds(known_at[key]), found) for key, found in values.items()}

    def _connect(self) -> int:
        """Open the file again when it was replaced; return its inode."""
        with self._told_as_unavailable():
            if self._path.stat().st_ino != self._inode:
                replaced = self._connection
                self._open()
                replaced.close()
        return self._inode

    def _execute(self, statement: str, parameters: Sequence[bytes] = ()) -> list[tuple[Any, ...]]:
        with self._told_as_unavailable():
            return self._connection.execute(statement, parameters).fetchall()

    @contextmanager
    def _told_as_unavailable(self) -> Iterator[None]:
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
        # The predictor's threads take turns; SQLite itself serialises.
        connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        try:
            filling = read_filling(connection, self._problem)
        except sqlite3.Error:
            connection.close()
            raise
        self._inode, self._connection, self._filling = inode, connection, filling

    def _check(self) -> None:
        wanted = {"entity_key", "feature_name", "value", "event_ts"}
        for view, table in self._tables.items():
            columns = {row[1] for row in self._connection.execute(f"PRAGMA table_info({table})")}
            if not wanted <= columns:
                raise PermanentError(
                    f"online store {self._path}: the table of {view} must have the columns {sorted(wanted)}, "
                    f"but got {sorted(columns)}. Run `materialize` again."
                )


@dataclass(frozen=True)
class Filling:
    """When and for which moment the online store was filled."""

    as_of: float
    """Seconds since 1970 UTC: nothing later is in the store."""
    filled_at: float
    """Seconds since 1970 UTC, by the wall clock."""


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
    """Note when the store was filled for a problem."""
    with connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS tidemill_fillings (problem TEXT PRIMARY KEY, as_of REAL, filled_at REAL)"
        )
        connection.execute(
            "INSERT OR REPLACE INTO tidemill_fillings VALUES (?, ?, ?)", [problem, filling.as_of, filling.filled_at]
        )


def _utc_seconds(stored: int) -> float:
    """Undo Feast, which writes a UTC time as if it were one of the local zone."""
    return datetime.fromtimestamp(stored).replace(tzinfo=UTC).timestamp()


def _entity_key(row: Mapping[str, Any], columns: Iterable[str]) -> Key | None:
    """Return the texts that name the entity; None when one is missing."""
    parts = [row.get(column) for column in columns]
    texts = tuple([part for part in parts if isinstance(part, str) and part])
    return texts if len(texts) == len(parts) else None


def _missing(row: Mapping[str, Value]) -> tuple[str, ...]:
    # NaN is the one value that differs from itself.
    return tuple([name for name, value in row.items() if value is None or value != value])  # noqa: PLR0124
