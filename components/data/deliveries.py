"""Convert deliveries into parquet whose columns are text as delivered, each delivery once.

In: the deliveries that landed. Out: a `ConvertedDelivery` each, stored as `<problem>/drops/<path>-<etag>.parquet` and
listed in the watermark `<problem>/drops/watermark.json`. Called by ingest. A delivery with an unchanged ETag is not
parsed again; a corrected one has another ETag and is.

Nothing is lost: a line that has too many or too few fields, or is no UTF-8, becomes a row with the reason in `_fault`.
`_row` is the line in a CSV (the header is line 1, blank lines do not count), the row in a parquet file (from 1).
"""
# ruff: noqa: S608 - names and texts come from the checked contract and are quoted

import logging
from collections.abc import Sequence
from pathlib import PurePosixPath

import duckdb
from pydantic import ConfigDict, Field

from components.base.adapters.duckdb import explain_duckdb_errors, quote_text
from components.base.adapters.s3 import ObjectStore
from components.base.contract.problem import Problem
from components.base.documents import Document
from components.base.errors import DataError, ObjectMissingError, raise_faults, suggest_name
from components.data.landing import Delivery, landing_prefix
from components.data.row_sql import delivered_columns

log = logging.getLogger(__name__)

_WATERMARK = "drops/watermark.json"
_REJECTED = "rejected_lines"
_CSV_OPTIONS = (
    "all_varchar = true, header = true, delim = ',', quote = '\"', escape = '\"', nullstr = '', "
    f"store_rejects = true, rejects_table = '{_REJECTED}', rejects_scan = 'rejected_scans'"
)


class ConvertedDelivery(Document):
    """One delivery as text parquet."""

    key: str
    etag: str
    """Of the delivered file."""
    uri: str
    """Of the parquet file."""
    columns: tuple[str, ...]
    rows: int


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
        is_done = before is not None and before.etag == delivery.etag and store.key(before.uri) in kept
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


def _convert(
    problem: Problem, delivery: Delivery, store: ObjectStore, connection: duckdb.DuckDBPyConnection
) -> ConvertedDelivery:
    """Write one delivery as parquet: each line with its number `_row` and, if it cannot be read, its `_fault`."""
    name = PurePosixPath(delivery.key.removeprefix(landing_prefix(problem))).with_suffix("")
    uri = store.uri(f"{problem.name}/drops/{name}-{delivery.etag}.parquet")
    source = quote_text(store.uri(delivery.key))
    is_csv = problem.sources[delivery.source].format == "csv"
    reader = f"read_csv({source}, {_CSV_OPTIONS})" if is_csv else f"read_parquet({source})"
    with explain_duckdb_errors(delivery.key):
        for table in (_REJECTED, "rejected_scans"):
            connection.execute(f"DROP TABLE IF EXISTS {table}")
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE lines AS "
            f"SELECT COLUMNS(*)::VARCHAR, row_number() OVER () AS _place FROM {reader}"
        )
        number = "_place + 1" if is_csv else "_place"
        select = f"SELECT * EXCLUDE (_place), {number} AS _row, NULL::VARCHAR AS _fault FROM lines"
        if is_csv and connection.execute(f"SELECT count(*) FROM {_REJECTED}").fetchall()[0][0]:
            select = _SELECT_WITH_REJECTED
        (rows,) = connection.execute(
            f"COPY (SELECT *, {quote_text(delivery.key)} AS _drop FROM ({select})) TO {quote_text(uri)} "
            "(FORMAT parquet, COMPRESSION zstd)"
        ).fetchall()[0]
        described = connection.execute("SELECT * EXCLUDE (_place) FROM lines LIMIT 0").description
    columns = tuple(column[0] for column in described)
    return ConvertedDelivery(key=delivery.key, etag=delivery.etag, uri=uri, columns=columns, rows=rows)


# The i-th unreadable line, at line n, comes after n - 1 - i readable ones: the header and the unreadable ones before it
# do not count. So all lines fall into their order, and their number is their place in it.
_SELECT_WITH_REJECTED = f"""
    WITH rejected AS (
        SELECT line, first(csv_line) AS csv_line, first(error_message) AS message FROM {_REJECTED} GROUP BY line
    ), faulty AS (
        SELECT
            line - 1 - row_number() OVER (ORDER BY line) AS _place,
            line AS _line,
            'the line must be readable, but got ' || message || ' in: ' || csv_line AS _fault
        FROM rejected
    ), together AS (
        SELECT *, 0 AS _line, NULL::VARCHAR AS _fault FROM lines UNION ALL BY NAME SELECT * FROM faulty
    )
    SELECT * EXCLUDE (_place, _line, _fault), 1 + row_number() OVER (ORDER BY _place, _line) AS _row, _fault
    FROM together ORDER BY _row
"""


def _column_faults(problem: Problem, delivery: Delivery, converted: dict[str, ConvertedDelivery]) -> list[str]:
    delivered = converted[delivery.key].columns
    wanted = delivered_columns(problem.sources[delivery.source])
    unknown = [name for name in delivered if name not in wanted]
    return [
        f"{delivery.key}: column {name!r} must be delivered, but is missing.{suggest_name(name, unknown)}"
        for name in wanted
        if name not in delivered
    ]


def _read_watermark(problem: Problem, store: ObjectStore) -> dict[str, ConvertedDelivery]:
    """Return the deliveries that were converted before; losing the watermark costs time, no rows."""
    try:
        content = store.get_bytes(f"{problem.name}/{_WATERMARK}")
    except ObjectMissingError:
        return {}
    return Watermark.model_validate_json(content).deliveries
