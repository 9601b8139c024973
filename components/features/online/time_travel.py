"""Move an online store through the past: after each step it holds what was known at that time, and nothing later.

In: the feature tables of a longer period, the times to stop at, and a SQLite online store that `materialize` filled for
the start. Out: the same store, step by step. Called by `make loop`, where a month passes in seconds; after the last
step the store equals one that `materialize` fills for it. A live system refreshes its store by the refresh pipeline.

SQLite only: a step changes a few rows of the file that the endpoint reads, hundreds of times in a minute. Redis holds
whole fillings, which are never changed, and the simulation runs on one machine.

A view may be withheld: its values then stay and grow old, as when its feed is broken.
"""

import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from components.base.adapters.duckdb import connect_duckdb, explain_duckdb_errors, quote_text
from components.base.contract.problem import Problem
from components.features.feast.feature_store import declared_views
from components.features.online.reader import Filling, OnlineView
from components.features.online.sqlite import StoredRow, stored_rows, write_filling, write_rows


@dataclass(frozen=True)
class TimeStep:
    """What became known between the step before and `time`."""

    time: datetime
    rows: Mapping[OnlineView, Sequence[StoredRow]]
    """By view, as the store holds them: the newest values of each entity."""


def plan_time_travel(problem: Problem, features_uri: str, start: datetime, times: Sequence[datetime]) -> list[TimeStep]:
    """Read what became known after `start`, and at which of the rising times it is in the store.

    Raises:
        DataError: a feature table cannot be read.
    """
    by_view = {view: _rows_by_step(view, features_uri, start, times) for view in declared_views(problem)}
    return [
        TimeStep(stop, {view: rows.get(place, ()) for view, rows in by_view.items()})
        for place, stop in enumerate(times)
    ]


class TimeTravel:
    """An open online store that is moved on."""

    def __init__(self, problem: Problem, connection: sqlite3.Connection) -> None:
        """Take the store's connection."""
        self._problem = problem
        self._connection = connection

    def advance(self, step: TimeStep, withheld: Collection[str] = ()) -> None:
        """Write what became known, but for the withheld views, and set the store's clock to the step's time."""
        with self._connection:
            for view, rows in step.rows.items():
                if view.name not in withheld:
                    write_rows(self._connection, view, rows)
            write_filling(self._connection, self._problem.name, Filling(step.time.timestamp(), time.time()))


@contextmanager
def open_time_travel(problem: Problem, online_store: Path) -> Iterator[TimeTravel]:
    """Open the online store to move it on."""
    connection = sqlite3.connect(online_store)
    # A store that a crash of the machine damages is filled again by the next refresh.
    connection.execute("PRAGMA synchronous = OFF")
    try:
        yield TimeTravel(problem, connection)
    finally:
        connection.close()


def _rows_by_step(
    view: OnlineView, features_uri: str, start: datetime, times: Sequence[datetime]
) -> dict[int, list[StoredRow]]:
    """Return the stored rows of a view by the place of the first time at which they are known."""
    place = quote_text(f"{features_uri.rstrip('/')}/{view.name}.parquet")
    query = f"""
        SELECT * FROM read_parquet({place}) WHERE event_timestamp > $start AND event_timestamp <= $end
        ORDER BY event_timestamp, created_timestamp
    """  # noqa: S608 - the name is declared and quoted
    with explain_duckdb_errors(f"time travel {view.name}"):
        table = connect_duckdb().execute(query, {"start": start, "end": times[-1]}).to_arrow_table().to_pandas()
    limits = pd.DatetimeIndex(list(times)).as_unit("us").asi8
    table["place"] = np.searchsorted(limits, pd.DatetimeIndex(table["event_timestamp"]).as_unit("us").asi8)
    newest = table.drop_duplicates(["place", *view.keys], keep="last")
    return {int(place): list(stored_rows(view, rows.to_dict("records"))) for place, rows in newest.groupby("place")}
