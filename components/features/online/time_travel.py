"""Move an online store through the past: after each step it holds what was known at that moment, and nothing later.

In: the feature tables of a longer time, the moments to stop at, and a SQLite online store that `materialize` filled for
the start. Out: the same store, moment by moment. Called by `make loop`, where a month passes in seconds; with the last
moment the store equals one that `materialize` fills for it. A live system refreshes its store by the refresh pipeline.

A view may be withheld: its values then stay and grow old, as when its feed is broken.
"""

import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.base.adapters.duckdb import connect_duckdb, explain_duckdb_errors, quote_name, quote_text
from components.base.contract.problem import Problem
from components.features.feast.feature_store import (
    declared_views,
    encode_key,
    encode_value,
    online_tables,
    stored_seconds,
)
from components.features.online.reader import Filling, OnlineView, write_filling

StoredRow = tuple[bytes, str, bytes, int, int]


@dataclass(frozen=True)
class ReplayStep:
    """What became known between the step before and `moment`."""

    moment: datetime
    rows: Mapping[str, Sequence[StoredRow]]
    """By view, as the store holds them: the newest values of each entity."""


def plan_replay(problem: Problem, features_uri: str, start: datetime, moments: Sequence[datetime]) -> list[ReplayStep]:
    """Read what became known after `start`, and at which of the rising moments it is in the store.

    Raises:
        DataError: a feature table cannot be read.
    """
    by_view = {view.name: _rows_by_moment(view, features_uri, start, moments) for view in declared_views(problem)}
    return [
        ReplayStep(moment, {view: rows.get(place, ()) for view, rows in by_view.items()})
        for place, moment in enumerate(moments)
    ]


class OnlineReplay:
    """An open online store that is moved on."""

    def __init__(self, problem: Problem, connection: sqlite3.Connection) -> None:
        """Take the store's connection."""
        self._problem = problem
        self._connection = connection
        self._tables = {view: quote_name(table) for view, table in online_tables(problem).items()}

    def advance(self, step: ReplayStep, withheld: Collection[str] = ()) -> None:
        """Write what became known, but for the withheld views, and set the store's clock to the moment."""
        with self._connection:
            for view, rows in step.rows.items():
                if view not in withheld:
                    self._connection.executemany(
                        f"INSERT OR REPLACE INTO {self._tables[view]} "  # noqa: S608 - declared and quoted
                        "(entity_key, feature_name, value, event_ts, created_ts) VALUES (?, ?, ?, ?, ?)",
                        rows,
                    )
            write_filling(self._connection, self._problem.name, Filling(step.moment.timestamp(), time.time()))


@contextmanager
def open_replay(problem: Problem, online_store: Path) -> Iterator[OnlineReplay]:
    """Open the online store for a replay."""
    connection = sqlite3.connect(online_store)
    # A store that a crash of the machine damages is filled again by the next refresh.
    connection.execute("PRAGMA synchronous = OFF")
    try:
        yield OnlineReplay(problem, connection)
    finally:
        connection.close()


def _rows_by_moment(
    view: OnlineView, features_uri: str, start: datetime, moments: Sequence[datetime]
) -> dict[int, list[StoredRow]]:
    """Return the stored rows of a view by the place of the first moment that sees them."""
    table = _read_table(view, features_uri, start, moments[-1])
    limits = pd.DatetimeIndex(list(moments)).as_unit("us").asi8
    table["place"] = np.searchsorted(limits, pd.DatetimeIndex(table["event_timestamp"]).as_unit("us").asi8)
    newest = table.drop_duplicates(["place", *view.keys], keep="last")
    names = [feature.name for feature in view.features]
    rows: dict[int, list[StoredRow]] = {}
    for record in newest.to_dict("records"):
        rows.setdefault(record["place"], []).extend(_store(view, record, names))
    return rows


def _read_table(view: OnlineView, features_uri: str, start: datetime, end: datetime) -> pd.DataFrame:
    """(rows, columns): the rows of a view that became known in (start, end], the oldest first."""
    place = quote_text(f"{features_uri.rstrip('/')}/{view.name}.parquet")
    query = f"""
        SELECT * FROM read_parquet({place}) WHERE event_timestamp > $start AND event_timestamp <= $end
        ORDER BY event_timestamp, created_timestamp
    """  # noqa: S608 - the name is declared and quoted
    with explain_duckdb_errors(f"replay {view.name}"):
        table: pd.DataFrame = connect_duckdb().execute(query, {"start": start, "end": end}).to_arrow_table().to_pandas()
    return table


def _store(view: OnlineView, record: Mapping[Any, Any], names: Sequence[str]) -> Iterator[StoredRow]:
    key = encode_key(view.keys, tuple(str(record[name]) for name in view.keys))
    known, created = stored_seconds(record["event_timestamp"]), stored_seconds(record["created_timestamp"])
    for name in names:
        yield key, name, encode_value(record[name]), known, created
