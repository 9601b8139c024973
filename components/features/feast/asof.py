"""Write and run the point-in-time join: for each row, the newest feature values known at its time.

In: a table of rows with their times, and one `AsOfView` a feature view, whose parquet files the engine reads.
Out: a stream of the same rows, in order, with the features beside them. Called by the offline store; knows
nothing of Feast.

Notation
    n       rows to be joined
    at      time of a row, microseconds since 1970 UTC; (n,)
    time    event time of a feature row, microseconds since 1970 UTC; finer digits are cut off
    known   time from which a feature row counts: its event time, or, if it is written later and that matters, `created`

There is one `ASOF LEFT JOIN` a view, each sorted back into the order of the rows: a chain of joins would drag
the columns of the first view through every later sort.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.base.adapters.duckdb import quote_name, quote_text
from components.base.engine import Engine
from components.features.feast.source_query import utc_time

# Large enough that the cost of a batch does not count, small enough to stream: 16 numbers a row make 13 MB.
BATCH_ROWS = 100_000

# DuckDB's timestamps begin in 290309 BC; a longer ttl means that a value never expires.
_OLDEST_US = -(2**62)


@dataclass(frozen=True)
class AsOfView:
    """One feature view as the join needs it."""

    path: str
    """Parquet: local or `s3://`, one file or a glob. All columns below are columns of it."""
    keys: Mapping[str, str]
    """Column of the rows to column of the view; empty for a view without entity."""
    features: Mapping[str, str]
    """Name in the result to column of the view."""
    time: str
    """Column of the event time."""
    created: str | None = None
    """Column of the time when the feature row was written; the latest wins a tie."""
    ttl_us: int | None = None
    """Age in microseconds up to which, inclusive, a value counts; None: a value never expires."""
    known_only: bool = False
    """Whether a feature row counts only from `created` on, so that a backfill cannot leak."""


def join_features(engine: Engine, rows: pa.Table, at: pa.Array, views: Sequence[AsOfView]) -> pa.RecordBatchReader:
    """Start the joins and stream each row once, in order, its own columns unchanged and the features after them.

    Args:
        engine: serves this one call; it is closed when the last row was read.
        rows: (n, columns); a null key matches nothing.
        at: (n,) timestamps with a time zone; null matches nothing.
        views: their features' names differ from each other and from the rows' columns.

    Raises:
        duckdb.Error: a file or a column cannot be read, or a key's type does not fit.
    """
    row_times = _select_row_times(rows, at, views)
    engine.add_table("row_times", row_times)
    readers = [engine.stream(_join_query(view, row_times), BATCH_ROWS) for view in views]
    schema = pa.schema([*rows.schema, *(field for reader in readers for field in reader.schema)], rows.schema.metadata)
    return pa.RecordBatchReader.from_batches(schema, _side_by_side(engine, rows, readers, schema))


def _side_by_side(
    engine: Engine, rows: pa.Table, readers: Sequence[pa.RecordBatchReader], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    # The engine lives as long as its readers: what they read lies in its tables.
    with closing(engine):
        for start in range(0, rows.num_rows, BATCH_ROWS):
            columns = [column.combine_chunks() for column in rows.slice(start, BATCH_ROWS).columns]
            for reader in readers:
                columns += reader.read_next_batch().columns
            yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _select_row_times(rows: pa.Table, at: pa.Array, views: Sequence[AsOfView]) -> pa.Table:
    """Select what is joined on: the place of each row, its time `at_us`, and its keys as columns `key <name>`."""
    # Finer digits are cut off, as DuckDB does with those of the event times.
    at_us = at.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64())
    columns = {"row_number": pa.array(np.arange(rows.num_rows)), "at_us": at_us}
    for key in dict.fromkeys(key for view in views for key in view.keys):
        # A column that holds only nulls has no type of its own.
        untyped = pa.types.is_null(rows[key].type)
        columns[f"key {key}"] = rows[key].cast(pa.string()) if untyped else rows[key]
    return pa.table(columns)


def _join_query(view: AsOfView, row_times: pa.Table) -> str:
    matches = []
    for key, column in view.keys.items():
        # Empty files of text columns have no type of their own either: read as integers they would not compare.
        type_of_key = row_times.schema.field(f"key {key}").type
        is_text = pa.types.is_string(type_of_key) or pa.types.is_large_string(type_of_key)
        matches.append(f"r.{quote_name(f'key {key}')} = v.{quote_name(column)}{'::VARCHAR' if is_text else ''}")
    matches.append(f"r.at_us >= v.{'asof_known' if view.known_only else 'asof_time'}")
    fresh = "TRUE" if view.ttl_us is None else f"v.asof_time >= r.at_us - {view.ttl_us}"
    values = [
        f"CASE WHEN {fresh} THEN v.{quote_name(column)} END AS {quote_name(name)}"
        for name, column in view.features.items()
    ]
    return (
        f"SELECT {', '.join(values)} FROM row_times AS r "  # noqa: S608
        f"ASOF LEFT JOIN ({_candidate_rows(view, row_times['at_us'])}) AS v ON {' AND '.join(matches)} "
        "ORDER BY r.row_number"
    )


def _candidate_rows(view: AsOfView, at_us: pa.ChunkedArray) -> str:
    keys = ", ".join(quote_name(column) for column in view.keys.values()) or "NULL"
    rows = (
        f"SELECT *, {_microseconds(view.time)} AS asof_time "  # noqa: S608
        f"FROM read_parquet({quote_text(view.path)}) WHERE {_reachable(view, at_us)}"
    )
    if view.created is None:
        return rows
    if not view.known_only:
        newest_first = f"{quote_name(view.created)} DESC NULLS LAST"
        return f"{rows} QUALIFY row_number() OVER (PARTITION BY {keys}, asof_time ORDER BY {newest_first}) = 1"
    # A row counts from `known` on, until a row of higher order is known. Those that never count, as a better one was
    # known before or at the same time, are left out; then the last known is the best known.
    created = _microseconds(view.created)
    history = f"PARTITION BY {keys} ORDER BY asof_known, asof_order"
    return (
        f"SELECT *, greatest(asof_time, {created}) AS asof_known, row(asof_time, {created}) AS asof_order "  # noqa: S608
        f"FROM ({rows}) WHERE {quote_name(view.created)} IS NOT NULL "
        f"QUALIFY asof_order = max(asof_order) OVER ({history} ROWS UNBOUNDED PRECEDING) "
        f"AND asof_known IS DISTINCT FROM lead(asof_known) OVER ({history})"
    )


def _reachable(view: AsOfView, at_us: pa.ChunkedArray) -> str:
    """Leave out, while parquet is read, what is later than every row or older than `ttl_us` for each."""
    first, last = (value.as_py() for value in pc.min_max(at_us).values())
    if last is None:
        return "FALSE"
    column = utc_time(view.time)
    limits = f"{column} <= make_timestamptz({last})"
    if view.ttl_us is not None:
        limits += f" AND {column} >= make_timestamptz({max(first - view.ttl_us, _OLDEST_US)})"
    return limits


def _microseconds(column: str) -> str:
    return f"epoch_us({utc_time(column)})"
