"""Convert deliveries into parquet whose columns are text as delivered, each delivery once.

In: the deliveries that landed. Out: a `ConvertedDelivery` each, stored as
`<problem>/drops/<path>-<etag>-<digits>.parquet` and listed in the watermark `<problem>/drops/watermark.json`. Called
by ingest. A delivery with an unchanged ETag is not parsed again; a corrected one has another ETag and is, as is one
whose contract reads files otherwise now.

Nothing is lost: a line that has too many or too few fields, or is no text, becomes a row with the reason in `_fault`.
`_row` is the line in a CSV on which the row begins, as an editor counts them, or the row in a parquet file (from 1).
"""
# ruff: noqa: S608 - names and texts come from the checked contract and are quoted

import hashlib
import logging
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import duckdb
from pydantic import ConfigDict, Field

from components.base.adapters.duckdb import explain_duckdb_errors, quote_name, quote_text
from components.base.adapters.s3 import ObjectStore
from components.base.contract.names import LINEAGE
from components.base.contract.problem import Problem, Source
from components.base.documents import Document
from components.base.errors import DataError, ObjectMissingError, raise_faults, suggest_name
from components.data.csv_file import read_csv_rows
from components.data.file_kinds import HEAD_BYTES, find_kind_fault
from components.data.landing import Delivery, landing_prefix
from components.data.parquet_file import read_parquet_rows
from components.data.row_sql import delivered_names

log = logging.getLogger(__name__)

_WATERMARK = "drops/watermark.json"
# Of the code that reads files: a delivery that was converted by another one is converted again.
_READER = 2


class ConvertedDelivery(Document):
    """One delivery as text parquet."""

    key: str
    etag: str
    """Of the delivered file."""
    uri: str
    """Of the parquet file."""
    columns: tuple[str, ...]
    """As delivered."""
    rows: int
    reader: str = ""
    """How it was read; empty if an older platform did."""


class Watermark(Document):
    """Every delivery that was converted."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    problem: str
    newest: str
    """The greatest key."""
    deliveries: dict[str, ConvertedDelivery] = Field(validation_alias="drops", serialization_alias="drops")
    """By key."""


def convert_deliveries(
    problem: Problem, deliveries: Sequence[Delivery], store: ObjectStore, connection: duckdb.DuckDBPyConnection
) -> dict[str, ConvertedDelivery]:
    """Return every delivery converted, by key; parse only those that the watermark does not hold.

    Raises:
        DataError: with all faults of all deliveries: damaged files, missing columns with their nearest names.
    """
    known = _read_watermark(problem, store)
    kept = {entry.key for entry in store.list_objects(f"{problem.name}/drops/")}
    converted: dict[str, ConvertedDelivery] = {}
    faults: list[str] = []
    for delivery in deliveries:
        before = known.get(delivery.key)
        is_done = (
            before is not None
            and (before.etag, before.reader) == (delivery.etag, _describe_reader(problem.sources[delivery.source]))
            and store.key(before.uri) in kept
        )
        try:
            converted[delivery.key] = before if before and is_done else _convert(problem, delivery, store, connection)
        except DataError as error:
            faults.append(str(error))
    new = set(converted.values()) - set(known.values())
    if new:
        done = dict(sorted({**known, **converted}.items()))
        watermark = Watermark(problem=problem.name, newest=max(done), deliveries=done)
        store.put_bytes(f"{problem.name}/{_WATERMARK}", watermark.model_dump_json(indent=1).encode())
    log.info("deliveries: %d of %d were new or corrected", len(new), len(deliveries))
    faults += [
        fault
        for delivery in deliveries
        if delivery.key in converted
        for fault in _column_faults(problem, delivery, converted)
    ]
    raise_faults(DataError, f"ingest {problem.name}", faults)
    return converted


def delivered_sql(source: Source, deliveries: Sequence[ConvertedDelivery]) -> str:
    """Return the relation of converted rows, their columns named as in the contract; NULL where none was delivered."""
    delivered = {column for delivery in deliveries for column in delivery.columns}
    texts = [
        f"{quote_name(own) if own in delivered else 'NULL::VARCHAR'} AS {quote_name(name)}"
        for name, own in delivered_names(source).items()
    ]
    uris = ", ".join(quote_text(delivery.uri) for delivery in deliveries)
    return f"(SELECT {', '.join([*LINEAGE, *texts])} FROM read_parquet([{uris}], union_by_name = true))"


def _convert(
    problem: Problem, delivery: Delivery, store: ObjectStore, connection: duckdb.DuckDBPyConnection
) -> ConvertedDelivery:
    """Write one delivery as parquet: each row with its number `_row` and, if it cannot be read, its `_fault`."""
    source = problem.sources[delivery.source]
    path_of = PurePosixPath(delivery.key.removeprefix(landing_prefix(problem)))
    # No character that a pattern would take for another.
    name = re.sub(r"[^\w./-]", "_", str(path_of.with_suffix("")))
    reader = _describe_reader(source)
    digits = hashlib.sha256(f"{delivery.key} {reader}".encode()).hexdigest()[:8]
    uri = store.uri(f"{problem.name}/drops/{name}-{delivery.etag}-{digits}.parquet")
    with tempfile.TemporaryDirectory(prefix="ingest-") as folder, explain_duckdb_errors(delivery.key):
        # A file of a name of ours: one on S3 would be searched as a pattern, and read twice.
        path = store.get_file(delivery.key, Path(folder) / "delivered")
        try:
            columns = _read_rows(connection, path, source)
        except DataError as error:
            raise DataError(f"{delivery.key}: {error}") from error
        (rows,) = connection.execute(
            f"COPY (SELECT *, {quote_text(delivery.key)} AS _drop FROM lines) "
            f"TO {quote_text(uri)} (FORMAT parquet, COMPRESSION zstd)"
        ).fetchall()[0]
    return ConvertedDelivery(key=delivery.key, etag=delivery.etag, uri=uri, columns=columns, rows=rows, reader=reader)


def _read_rows(connection: duckdb.DuckDBPyConnection, path: Path, source: Source) -> tuple[str, ...]:
    """Make the table `lines` of a delivered file and return its columns."""
    with path.open("rb") as content:
        fault = find_kind_fault(content.read(HEAD_BYTES), source)
    if fault:
        raise DataError(fault)
    if source.format == "csv":
        return read_csv_rows(connection, path, source)
    return read_parquet_rows(connection, path, delivered_names(source).values())


def _describe_reader(source: Source) -> str:
    """Describe what decides how the files of a source are read."""
    return f"{_READER} {source.format} {source.delimiter} {source.encoding}"


def _column_faults(problem: Problem, delivery: Delivery, converted: dict[str, ConvertedDelivery]) -> Iterator[str]:
    source, delivered = problem.sources[delivery.source], converted[delivery.key].columns
    names = delivered_names(source)
    unknown = [own for own in delivered if own not in names.values()]
    for name, own in names.items():
        since = source.columns[name].since
        if own in delivered or (since and delivery.period < since):
            continue
        hint = suggest_name(own, unknown)
        if hint:
            hint += " `delivered_as` of the column names it as the file does."
        elif source.columns[name].nullable and not since:
            hint = " If older deliveries lack it, `since` of the column says from which day on it is delivered."
        yield f"{delivery.key}: column {own!r} must be delivered, but is missing.{hint}"


def _read_watermark(problem: Problem, store: ObjectStore) -> dict[str, ConvertedDelivery]:
    """Return the deliveries that were converted before; losing the watermark costs time, no rows."""
    try:
        content = store.get_bytes(f"{problem.name}/{_WATERMARK}")
    except ObjectMissingError:
        return {}
    return Watermark.model_validate_json(content).deliveries
