"""Ingest: from the landing zone to one immutable snapshot of all sources, as it was at one time.

In: the contract, the time `as_of`, and the object store with the deliveries. Out: a `Snapshot` below
`s3://<bucket>/<problem>/snapshots/<fingerprint>/`. Called by the `ingest` step. Nothing is checked here: every row that
could be known at `as_of` is passed on as it was delivered, also a broken one. The same deliveries and `as_of` give the
same bytes. With a time `since`, deliveries that `history.py` needs no row of are left out.

A row is left out as not yet available when its availability or its event lies after `as_of`. One whose availability
cannot be computed, or lies outside of its plausible days, stays in, so that validation sets it aside with a reason.
"""
# ruff: noqa: S608 - names and texts come from the checked contract and are quoted

import logging
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from components.base.adapters.duckdb import connect_duckdb, explain_duckdb_errors, quote_name, quote_text
from components.base.adapters.s3 import ObjectStore
from components.base.contract.names import LINEAGE
from components.base.contract.problem import Problem, Source
from components.base.engine import Engine, order_of, using_engine
from components.base.tables import fingerprint_file
from components.data.deliveries import ConvertedDelivery, convert_deliveries, delivered_sql
from components.data.history import choose_deliveries
from components.data.landing import Delivery, find_deliveries, landing_prefix, missing_months
from components.data.row_sql import delivered_columns, delivered_names, implausible_sql, text_name, typed_sql
from components.data.snapshot import (
    MARKER,
    DeliveryRows,
    Snapshot,
    SnapshotSource,
    fingerprint_snapshot,
    snapshot_bytes,
)

log = logging.getLogger(__name__)

# Beyond it DuckDB spills to disk; the process stays below its 3 GB.
_MEMORY_LIMIT = "1500MB"


def ingest_sources(problem: Problem, as_of: datetime, store: ObjectStore, since: datetime | None = None) -> Snapshot:
    """Write the snapshot of all sources at `as_of`, unless it is there, and return it.

    Args:
        problem: The contract.
        as_of: UTC; what became known later is left out.
        store: Holds the deliveries, and takes the snapshot.
        since: UTC; deliveries without a row known since then are left out. None: none is.

    Raises:
        DataError: with all faults: a source without a delivery, damaged deliveries, missing or renamed columns.
        StoreUnavailableError: the object store does not answer; nothing half-written is visible.
    """
    deliveries = find_deliveries(problem, store.list_objects(landing_prefix(problem)), as_of)
    all_deliveries = [delivery for of_source in deliveries.values() for delivery in of_source]
    # DuckDB says what a line of a delivered file means, whatever the engine: a delivery is read once, in a stream.
    with connect_duckdb(memory_limit=_MEMORY_LIMIT) as connection:
        converted = convert_deliveries(problem, all_deliveries, store, connection)
        read = choose_deliveries(problem, deliveries, converted, since, (store, connection))
    engines = using_engine(problem.data.engine, _MEMORY_LIMIT)
    with engines as engine, tempfile.TemporaryDirectory(prefix="ingest-") as scratch:
        # One thread: the bytes of a parquet file must not depend on which thread was quicker.
        engine.execute("SET threads = 1")
        sources = {}
        for name, of_source in read.items():
            chosen = [converted[delivery.key] for delivery in of_source]
            path = Path(scratch) / f"{name}.parquet"
            with explain_duckdb_errors(f"ingest {name}"):
                _write_available(problem.sources[name], as_of, chosen, path, engine)
                sources[name] = _describe_source(problem.sources[name], as_of, of_source, chosen, path, engine)
        unnamed = Snapshot(problem=problem.name, as_of=as_of, fingerprint="", sources=sources, since=since, prefix="")
        snapshot = _publish(unnamed, Path(scratch), store)
    rows = sum(source.rows for source in sources.values())
    log.info(
        "ingest: %s rows of %d sources, %d %sdeliveries",
        f"{rows:,}",
        len(sources),
        sum(map(len, read.values())),
        f"of {len(all_deliveries)} " if since else "",
    )
    return snapshot


def _write_available(
    source: Source,
    as_of: datetime,
    deliveries: Sequence[ConvertedDelivery],
    path: Path,
    engine: Engine,
) -> None:
    """Write the rows that could be known at `as_of`, as text, in the order of landing."""
    raw = delivered_sql(source, deliveries)
    texts = [f"{text_name(name)} AS {quote_name(name)}" for name in delivered_columns(source)]
    limit = f"{quote_text(as_of.isoformat())}::TIMESTAMPTZ"
    times = [name for name in (source.available_at, source.event_timestamp) if name]
    known = f"greatest({', '.join(map(quote_name, times))}) <= {limit}" if times else "true"
    # A placeholder of the year 9999 would never come: validation sets such a row aside, now and by name.
    known = " OR ".join([known, *(implausible_sql(source, name) for name in times)])
    places = " ".join(f"WHEN {quote_text(delivery.key)} THEN {place}" for place, delivery in enumerate(deliveries))
    landed = order_of(engine, [f"CASE _drop {places} END", "_row"])
    engine.execute(
        f"COPY (SELECT {', '.join([*LINEAGE, *texts])} FROM ({typed_sql(source, raw, LINEAGE)}) "
        f"WHERE coalesce({known}, true){landed}) TO {quote_text(str(path))} (FORMAT parquet, COMPRESSION zstd)"
    )


def _describe_source(
    source: Source,
    as_of: datetime,
    deliveries: Sequence[Delivery],
    converted: Sequence[ConvertedDelivery],
    path: Path,
    engine: Engine,
) -> SnapshotSource:
    table = f"read_parquet({quote_text(str(path))})"
    kept = dict(engine.execute(f"SELECT _drop, count(*) FROM {table} GROUP BY _drop").fetchall())
    wanted = delivered_names(source).values()
    return SnapshotSource(
        rows=sum(kept.values()),
        deliveries=tuple(
            DeliveryRows(
                key=delivery.key,
                period=delivery.period.isoformat(),
                rows=entry.rows,
                not_yet_available=entry.rows - kept.get(delivery.key, 0),
            )
            for delivery, entry in zip(deliveries, converted, strict=True)
        ),
        missing_months=tuple(missing_months(deliveries, as_of)) if source.kind == "events" else (),
        unknown_columns=tuple(sorted({name for entry in converted for name in entry.columns} - set(wanted))),
        sha256=fingerprint_file(path),
    )


def _publish(unnamed: Snapshot, folder: Path, store: ObjectStore) -> Snapshot:
    """Upload the tables, then `snapshot.json`, which makes them visible; a finished snapshot is used again.

    A snapshot is named by the SHA-256 of its own description, which holds that of every table.
    """
    fingerprint = fingerprint_snapshot(unnamed)
    prefix = store.uri(f"{unnamed.problem}/snapshots/{fingerprint}") + "/"
    snapshot = unnamed.model_copy(update={"fingerprint": fingerprint, "prefix": prefix})
    if store.exists(f"{prefix}{MARKER}"):
        store.touch(f"{prefix}{MARKER}")
        return snapshot
    for name in snapshot.sources:
        store.put_file(snapshot.table_uri(name), folder / f"{name}.parquet")
    store.put_bytes(f"{prefix}{MARKER}", snapshot_bytes(snapshot))
    return snapshot
