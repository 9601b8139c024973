"""Read a parquet file into a table of text, each row with its number.

In: a file on this machine and the columns that the contract takes of it. Out: the temporary table `lines` of a
connection: the delivered columns as text, without one that is named like ours, `_row` from 1, and `_fault` where a
value is no text. Called by `deliveries.py`. Writers that do not annotate texts (older Spark, Impala, ClickHouse) leave
bytes, which are read as the UTF-8 that they are.
"""
# ruff: noqa: S608 - names and texts are quoted

from collections.abc import Collection, Iterator
from pathlib import Path

import duckdb

from components.base.adapters.duckdb import quote_name, quote_text
from components.base.contract.names import LINEAGE
from components.base.errors import DataError, raise_faults

_NESTED = ("STRUCT", "MAP", "UNION")


def read_parquet_rows(connection: duckdb.DuckDBPyConnection, path: Path, wanted: Collection[str]) -> tuple[str, ...]:
    """Make the table `lines` of a file and return its columns as delivered.

    Raises:
        DataError: wanted columns hold lists or structures; all are named.
    """
    rows = f"read_parquet({quote_text(str(path))})"
    kinds = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()}
    raise_faults(DataError, "columns", _nested_faults(kinds, wanted))
    texts, faults = [], []
    for name, kind in kinds.items():
        if name.lower() in LINEAGE:
            continue
        value = quote_name(name)
        text = f"TRY(decode({value}))" if kind == "BLOB" else f"{value}::VARCHAR"
        texts.append(f"{text} AS {value}")
        if kind == "BLOB" and name in wanted:
            words = quote_text(f"{name} must be UTF-8 text, but got the bytes ")
            faults.append(f"CASE WHEN {value} IS NOT NULL AND {text} IS NULL THEN {words} || {value}::VARCHAR END")
    fault = f"coalesce({', '.join([*faults, 'NULL::VARCHAR'])})"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE lines AS "
        f"SELECT {', '.join(texts)}, row_number() OVER () AS _row, {fault} AS _fault FROM {rows}"
    )
    return tuple(kinds)


def _nested_faults(kinds: dict[str, str], wanted: Collection[str]) -> Iterator[str]:
    for name, kind in kinds.items():
        if name in wanted and (kind.endswith("]") or kind.startswith(_NESTED)):
            yield f"{name} must hold one value a row, but holds {kind}. Deliver a row or a column for each value."
