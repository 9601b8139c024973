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
from components.features.feast.source_columns import describe_columns, fit_keys, name_family
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
        DataError: a view lacks a column, or a key has another type there: 1 is neither '01' nor '1.4' nor true.
        duckdb.Error: a file or a column cannot be read.
    """
    types = [describe_columns(engine, view.path, *_columns(view)) for view in views]
    keys = fit_keys(engine, rows, [(view.path, view.keys, of_view) for view, of_view in zip(views, types, strict=True)])
    # Finer digits are cut off, as DuckDB does with those of the event times.
    at_us = at.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64())
    places = {key: f"key{place}" for place, key in enumerate(keys)}
    columns = {"row_number": pa.array(np.arange(rows.num_rows)), "at_us": at_us}
    engine.add_table("row_times", pa.table(columns | {places[key]: values for key, values in keys.items()}))
    matched = {key: (place, keys[key].type) for key, place in places.items()}
    readers = [
        engine.stream(_join_query(view, of_view, matched, at_us), BATCH_ROWS)
        for view, of_view in zip(views, types, strict=True)
    ]
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


def _columns(view: AsOfView) -> tuple[list[str], list[str]]:
    """Return the columns of the view's files, and those that are read as times."""
    return [*view.keys.values(), *view.features.values()], [view.time, *([view.created] if view.created else [])]


def _join_query(
    view: AsOfView, types: Mapping[str, str], keys: Mapping[str, tuple[str, pa.DataType]], at_us: pa.Array
) -> str:
    matches = []
    for place, (key, column) in enumerate(view.keys.items()):
        name, kind = keys[key]
        left, right = f"r.{name}", f"v.key{place}"
        # Of two types a column without a value: it equals nothing, but must compare.
        is_same = name_family(types[column]) == name_family(kind)
        matches.append(f"{left} = {right}" if is_same else f"{left}::VARCHAR = {right}::VARCHAR")
    matches.append(f"r.at_us >= v.{'asof_known' if view.known_only else 'asof_time'}")
    fresh = "TRUE" if view.ttl_us is None else f"v.asof_time >= r.at_us - {view.ttl_us}"
    values = [
        f"CASE WHEN {fresh} THEN v.value{place} END AS {quote_name(name)}" for place, name in enumerate(view.features)
    ]
    return (
        f"SELECT {', '.join(values)} FROM row_times AS r "  # noqa: S608
        f"ASOF LEFT JOIN ({_candidate_rows(view, at_us)}) AS v ON {' AND '.join(matches)} "
        "ORDER BY r.row_number"
    )


def _candidate_rows(view: AsOfView, at_us: pa.Array) -> str:
    """Build the query of the rows that may be joined, by names that no column of the file can have."""
    keys = [f"key{place}" for place in range(len(view.keys))]
    selected = [f"{quote_name(column)} AS key{place}" for place, column in enumerate(view.keys.values())]
    selected += [f"{quote_name(column)} AS value{place}" for place, column in enumerate(view.features.values())]
    selected.append(f"{_microseconds(view.time)} AS asof_time")
    if view.created is not None:
        selected.append(f"{_microseconds(view.created)} AS asof_created")
    rows = f"SELECT {', '.join(selected)} FROM read_parquet({quote_text(view.path)}) WHERE {_reachable(view, at_us)}"  # noqa: S608
    if view.created is None:
        return rows
    partition = f"PARTITION BY {', '.join(keys) or 'NULL'}"
    if not view.known_only:
        newest_first = "ORDER BY asof_created DESC NULLS LAST"
        return f"SELECT * FROM ({rows}) QUALIFY row_number() OVER ({partition}, asof_time {newest_first}) = 1"  # noqa: S608
    # A row counts from `known` on, until a row of higher order is known. Those that never count, as a better one was
    # known before or at the same time, are left out; then the last known is the best known.
    history = f"{partition} ORDER BY asof_known, asof_order"
    return (
        "SELECT *, greatest(asof_time, asof_created) AS asof_known, row(asof_time, asof_created) AS asof_order "  # noqa: S608
        f"FROM ({rows}) WHERE asof_created IS NOT NULL "
        f"QUALIFY asof_order = max(asof_order) OVER ({history} ROWS UNBOUNDED PRECEDING) "
        f"AND asof_known IS DISTINCT FROM lead(asof_known) OVER ({history})"
    )


def _reachable(view: AsOfView, at_us: pa.Array) -> str:
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
