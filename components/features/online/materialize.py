"""Fill the online store: after it, the endpoint sees exactly what was known at the newest `as_of`, and nothing later.

In: the settings, a problem, the feature tables and `as_of`. Out: the registry with the problem's declarations, the
SQLite file of the online store, and `Materialized`. Called by the `materialize` step.

Feast upserts, and on SQLite an older value overwrites a newer one, while entities that are gone stay. So the problem's
tables are filled anew in a copy of the file, read back, and the copy takes the file's place in one rename: a reader
sees the old store or the new one, a failure leaves the old one, and doing it again changes nothing. The declarations
are registered after that. A store that holds a newer `as_of` is kept as it is, which is logged and told in the result.
"""

import logging
import math
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from components.base.adapters.duckdb import connect_duckdb, explain_duckdb_errors, quote_name, quote_text
from components.base.contract.problem import Problem
from components.base.errors import DataError, PermanentError, raise_faults
from components.base.settings import Settings
from components.features.feast.feature_store import (
    apply,
    declared_views,
    materialize,
    online_features,
    online_tables,
    open_feature_store,
    open_scratch_store,
)
from components.features.online.reader import (
    Filling,
    OnlineFeatures,
    OnlineView,
    ServedFeatures,
    read_filling,
    write_filling,
)

_logger = logging.getLogger(__name__)
# Before the first value that a view can hold; SQLite keeps seconds since then.
_START = datetime(1970, 1, 1, tzinfo=UTC)
# Entities a view that are read back: enough to meet every fault of a whole view, little enough to cost nothing.
_SAMPLED_ENTITIES = 50


@dataclass(frozen=True)
class Materialized:
    """What the online store holds now."""

    entities: dict[str, int]
    """By view: entities with values."""
    as_of: datetime
    """UTC; the moment that was asked for."""
    kept_from: datetime | None
    """The newer moment that the store already held and keeps, if it did; None when it was filled."""


def fill_online_store(settings: Settings, problem: Problem, features_uri: str, as_of: datetime) -> Materialized:
    """Put the values known at `as_of` in the place of older ones in the online store, and register the problem.

    Raises:
        DataError: what is read back differs from the feature tables.
        PermanentError: the online store is no database.
    """
    target = Path(settings.online_store)
    held_as_of = _held_as_of(target, problem)
    if held_as_of and held_as_of > as_of:
        _logger.info("materialize: the store already holds %s, kept", held_as_of)
        return Materialized(_count_entities(target, online_tables(problem)), as_of, held_as_of)
    draft = target.with_name(f"{target.name}.draft")
    try:
        _copy_store(target, draft)
        entities = _fill_draft(problem, features_uri, as_of, draft)
        draft.replace(target)
    finally:
        _remove(draft)
    # Only now, so that a failure before leaves the served declarations beside the store that they describe.
    apply(open_feature_store(settings, features_uri), problem)
    _logger.info("materialize: %s entities in %s views as of %s", sum(entities.values()), len(entities), as_of)
    return Materialized(entities, as_of, kept_from=None)


def _fill_draft(problem: Problem, features_uri: str, as_of: datetime, draft: Path) -> dict[str, int]:
    """Fill the problem's tables of the draft anew and read them back; return the entities of each view."""
    tables = online_tables(problem)
    _drop_tables(draft, tables)
    with open_scratch_store(problem, features_uri, draft) as store:
        materialize(store, problem, _START, as_of)
        with closing(sqlite3.connect(draft)) as connection:
            write_filling(connection, problem.name, Filling(as_of.timestamp(), time.time()))
        _check_read_back(online_features(store, problem), problem, features_uri, as_of)
    return _count_entities(draft, tables)


def _held_as_of(target: Path, problem: Problem) -> datetime | None:
    """Return the moment that the online store was filled for, if it was."""
    if not target.is_file():
        return None
    try:
        with closing(sqlite3.connect(target)) as connection:
            filling = read_filling(connection, problem.name)
    except sqlite3.DatabaseError as error:
        raise PermanentError(
            f"materialize {target}: the online store must be readable, but got {error}. Remove it and run again."
        ) from error
    return datetime.fromtimestamp(filling.as_of, UTC) if filling else None


def _copy_store(target: Path, draft: Path) -> None:
    """Copy the file, if there is one, with the tables of other problems."""
    draft.parent.mkdir(parents=True, exist_ok=True)
    _remove(draft)
    if target.is_file():
        shutil.copyfile(target, draft)


def _remove(draft: Path) -> None:
    """Remove a draft with its journal, which SQLite would otherwise play back into the next draft."""
    for path in (draft, draft.with_name(f"{draft.name}-journal")):
        path.unlink(missing_ok=True)


def _drop_tables(draft: Path, tables: Mapping[str, str]) -> None:
    with closing(sqlite3.connect(draft)) as connection, connection:
        for table in tables.values():
            connection.execute(f"DROP TABLE IF EXISTS {quote_name(table)}")


def _count_entities(path: Path, tables: Mapping[str, str]) -> dict[str, int]:
    """Count the entities of each view; a store that was filled before a view was declared has none of it."""
    with closing(sqlite3.connect(path)) as connection:
        present = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        statement = "SELECT count(DISTINCT entity_key) FROM {}"
        return {
            view: connection.execute(statement.format(quote_name(table))).fetchone()[0] if table in present else 0
            for view, table in tables.items()
        }


def _check_read_back(online: OnlineFeatures, problem: Problem, features_uri: str, as_of: datetime) -> None:
    """Compare what the endpoint would read with the feature tables, for some entities of each view."""
    faults = []
    connection = connect_duckdb()
    for view in declared_views(problem):
        newest = _newest_rows(connection, view, features_uri, as_of).to_pylist()
        for row, served in zip(newest, online.read(newest), strict=True):
            faults += [f"{view.name}: {fault}" for fault in _differences(view, row, served, as_of)]
    raise_faults(DataError, "materialize", faults)


def _newest_rows(
    connection: duckdb.DuckDBPyConnection, view: OnlineView, features_uri: str, as_of: datetime
) -> pa.Table:
    """(entities, columns): the newest row of the entities that come first by key."""
    keys = ", ".join(map(quote_name, view.keys))
    place = quote_text(f"{features_uri.rstrip('/')}/{view.name}.parquet")
    query = f"""
        SELECT * FROM read_parquet({place}) WHERE event_timestamp <= $as_of
        QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY event_timestamp DESC, created_timestamp DESC) = 1
        ORDER BY {keys} LIMIT {_SAMPLED_ENTITIES}
    """  # noqa: S608 - names come from checked declarations and are quoted
    with explain_duckdb_errors(f"materialize {view.name}"):
        return connection.execute(query, {"as_of": as_of}).to_arrow_table()


def _differences(view: OnlineView, row: dict[str, Any], served: ServedFeatures, as_of: datetime) -> Iterator[str]:
    is_fresh = view.ttl_seconds is None or (as_of - row["event_timestamp"]).total_seconds() <= view.ttl_seconds
    entity = ", ".join(str(row[key]) for key in view.keys)
    for feature in view.features:
        wanted = row[feature.name] if is_fresh else None
        got = served.values[feature.name]
        is_same = feature.name in served.missing if wanted is None else _is_equal(got, wanted)
        if not is_same:
            yield f"`{feature.name}` of {entity} must be read back as {wanted!r}, but got {got!r}."


def _is_equal(got: float | str | None, wanted: float | str) -> bool:
    return got == wanted or (isinstance(wanted, float) and math.isnan(wanted) and got != got)  # noqa: PLR0124
