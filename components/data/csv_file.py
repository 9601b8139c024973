"""Read a CSV file into a table of text, each row with the line where it begins in the file.

In: a file on this machine and the source that it was delivered for. Out: the temporary table `lines` of a connection:
the delivered columns as text, without one that is named like ours, `_row`, and `_fault` where a row cannot be read.
Called by `deliveries.py`. A row with too many or too few fields, or with bytes that are no text, is kept as the reason
in `_fault`.

Nothing is guessed: delimiter and encoding are those of the contract. Python's reader and DuckDB's agree on where rows
end; the former knows the line of each, the latter is ten times as fast with what is in them.
"""
# ruff: noqa: S608 - names and texts are quoted

import csv
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from components.base.adapters.duckdb import quote_name, quote_text
from components.base.contract.names import LINEAGE
from components.base.contract.problem import Source
from components.base.errors import DataError, raise_faults

_REJECTED = "rejected_lines"
_DELIMITERS = {",": "','", ";": "';'", "\t": "a tab", "|": "'|'"}
# An unterminated quote makes one field of the rest of the file.
_LONGEST_FIELD = 2**31 - 1


class _Rows(NamedTuple):
    """Where the rows of a file begin: blank lines count as rows, as they do in DuckDB's reports."""

    header: list[str]
    lines: "array[int]"
    """Line of each row, from 1."""
    is_blank: "array[int]"


def read_csv_rows(connection: duckdb.DuckDBPyConnection, path: Path, source: Source) -> tuple[str, ...]:
    """Make the table `lines` of a file and return its columns as delivered.

    Raises:
        DataError: the header is missing, names a column twice, or has another delimiter than the contract.
    """
    rows = _find_rows(path, source)
    raise_faults(DataError, "header", _header_faults(rows.header, source))
    blank_lines = rows.is_blank.index(0)
    places = {f"c{place}": "VARCHAR" for place in range(len(rows.header))}
    for table in (_REJECTED, "rejected_scans"):
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    options = {
        "auto_detect": False, "header": True, "skip": blank_lines, "columns": places, "delim": source.delimiter,
        "quote": '"', "escape": '"', "comment": "", "nullstr": "", "encoding": source.encoding,
        "store_rejects": True, "rejects_table": _REJECTED, "rejects_scan": "rejected_scans",
    }  # fmt: skip
    given = ", ".join(f"{name} = {_literal(value)}" for name, value in options.items())
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE read_lines AS SELECT *, row_number() OVER () - 1 AS _place "
        f"FROM read_csv({quote_text(str(path))}, {given})"
    )
    _number_rows(connection, rows)
    named = [(place, name) for place, name in zip(places, rows.header, strict=True) if name.lower() not in LINEAGE]
    names = [f"{place} AS {quote_name(name)}" for place, name in named]
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE lines AS SELECT {', '.join(names)}, _row, NULL::VARCHAR AS _fault "
        "FROM read_lines JOIN good_rows USING (_place) UNION ALL BY NAME SELECT _row, _fault FROM faulty_rows "
        "ORDER BY _row"
    )
    return tuple(rows.header)


def _find_rows(path: Path, source: Source) -> _Rows:
    """Read where each row begins, and the header.

    Raises:
        DataError: the file holds no header, or lines that end in several ways.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    lines, is_blank, ends, last = array("q"), array("b"), set[str](), ""
    header: list[str] = []
    with path.open(encoding=source.encoding, errors="replace", newline="") as text:

        def follow() -> Iterator[str]:
            nonlocal last
            for last in text:  # noqa: UP028 - the loop outside reads the line too
                yield last

        reader = csv.reader(follow(), delimiter=source.delimiter)
        begin = 1
        for row in reader:
            header = header or row
            lines.append(begin)
            is_blank.append(not row)
            begin = reader.line_num + 1
            # Within a value of several lines they may end otherwise.
            ends.add(last[len(last.rstrip("\r\n")) :])
    if not header:
        raise DataError("the file must hold a header, but is empty. Deliver the header also when there are no rows.")
    ends.discard("")
    if len(ends) > 1:
        found = " and ".join(sorted(map(repr, ends)))
        raise DataError(f"its lines must all end alike, but some end in {found}. Convert them to one of these.")
    return _Rows(
        [name.strip().lstrip("\ufeff") or f"column{place}" for place, name in enumerate(header)], lines, is_blank
    )


def _header_faults(header: list[str], source: Source) -> Iterator[str]:
    # DuckDB does not tell names apart by case.
    lower = [name.lower() for name in header]
    yield from (
        f"column {name!r} must be named once, but is named {lower.count(name)} times, also in other case. Rename one."
        for name in dict.fromkeys(lower)
        if lower.count(name) > 1
    )
    other = max(_DELIMITERS, key=header[0].count)
    if len(header) == 1 and other in header[0] and len(source.columns) > 1:
        yield (
            f"it must be delimited by {_DELIMITERS[source.delimiter]}, but looks delimited by {_DELIMITERS[other]}. "
            f"Set `delimiter: {other!r}` for the source, or deliver it as agreed."
        )


def _number_rows(connection: duckdb.DuckDBPyConnection, rows: _Rows) -> None:
    """Make the tables `good_rows` and `faulty_rows`, with the line of each.

    DuckDB counts the rows of its report as Python's reader does. Where the two do not agree on the rows that were read,
    for a quote stands where none may, a row counts as one line.
    """
    rejected = connection.execute(
        f"SELECT line, first(error_message), first(csv_line) FROM {_REJECTED} GROUP BY line ORDER BY line"
    ).fetchall()
    (read,) = connection.execute("SELECT count(*) FROM read_lines").fetchall()[0]
    numbers, lines = np.arange(1, len(rows.lines) + 1), np.asarray(rows.lines)
    is_good = (np.asarray(rows.is_blank) == 0) & ~np.isin(numbers, [line for line, *_ in rejected])
    is_good[: rows.is_blank.index(0) + 1] = False
    if is_good.sum() != read:
        numbers = np.arange(1, read + len(rejected) + 2)
        lines, is_good = numbers, ~np.isin(numbers, [1, *[line for line, *_ in rejected]])
    good = lines[is_good][:read]
    faults = [f"the line must be readable, but got {message} in: {str(line).strip()}" for _, message, line in rejected]
    places = [int(lines[min(line, len(lines)) - 1]) for line, *_ in rejected]
    for name, table in {
        "good_rows": pa.table({"_place": np.arange(len(good)), "_row": good}),
        "faulty_rows": pa.table({"_row": pa.array(places, pa.int64()), "_fault": pa.array(faults, pa.string())}),
    }.items():
        connection.register("arrow_rows", table)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM arrow_rows")
        connection.unregister("arrow_rows")


def _literal(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quote_text(key)}: {_literal(part)}" for key, part in value.items()) + "}"
    return quote_text(value) if isinstance(value, str) else str(value).lower()
