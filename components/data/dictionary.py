"""The data dictionary: what every column means and what its accepted rows look like, in total and by month.

In: a DuckDB connection with a view of the accepted rows of each source, and the contract. Out: `dictionary.json` as
plain dictionaries, ratios within 0 to 1. Called by validation. One query a column keeps memory at one column's size.
"""
# ruff: noqa: S608 - names and texts come from the checked contract and are quoted

from datetime import UTC, datetime
from typing import Any

import duckdb

from components.base.adapters.duckdb import quote_name
from components.base.contract.problem import Column, Source
from components.data.row_checks import range_words

_SHOWN_VALUES = 8


def describe_source(connection: duckdb.DuckDBPyConnection, name: str, source: Source) -> dict[str, Any]:
    """Return the dictionary entry of one source: its meaning and all its columns in contract order."""
    (rows,) = connection.execute(f"SELECT count(*) FROM {quote_name(name)}").fetchall()[0]
    trends = _trends(connection, name, source)
    columns = [
        {
            **_meaning(column_name, column),
            **_statistics(connection, name, column_name, column, rows),
            "trend": trends[column_name],
        }
        for column_name, column in source.columns.items()
    ]
    return {
        "description": source.description,
        "kind": source.kind,
        "path": source.path,
        "key": list(source.key),
        "rows": rows,
        "columns": columns,
    }


def _meaning(name: str, column: Column) -> dict[str, Any]:
    return {
        "name": name,
        "type": column.type,
        "unit": column.unit,
        "description": column.description,
        "origin": "delivered" if column.expression is None else "derived",
        "expression": column.expression,
        "nullable": column.nullable,
        "range": range_words(column),
    }


def _statistics(
    connection: duckdb.DuckDBPyConnection, source: str, name: str, column: Column, rows: int
) -> dict[str, Any]:
    value, table = quote_name(name), quote_name(source)
    is_number = column.type in ("int", "float")
    measures = {
        "missing_ratio": f"avg(({value} IS NULL)::INT)",
        "distinct": f"count(DISTINCT {value})",
        "minimum": f"min({value})" if is_number or column.type == "timestamp" else "NULL",
        "mean": f"avg({value}::DOUBLE)" if is_number or column.type == "bool" else "NULL",
        "median": f"median({value}::DOUBLE)" if is_number else "NULL",
        "maximum": f"max({value})" if is_number or column.type == "timestamp" else "NULL",
    }
    found = connection.execute(f"SELECT {', '.join(measures.values())} FROM {table}").fetchall()[0]
    described = {measure: _plain(number) for measure, number in zip(measures, found, strict=True)}
    return {**described, "top": [] if is_number or column.type == "timestamp" else _top(connection, table, value, rows)}


def _top(connection: duckdb.DuckDBPyConnection, table: str, value: str, rows: int) -> list[dict[str, Any]]:
    found = connection.execute(
        f"SELECT {value}::VARCHAR, count(*) FROM {table} WHERE {value} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 "
        f"LIMIT {_SHOWN_VALUES}"
    ).fetchall()
    return [{"value": text, "rows": count, "ratio": round(count / rows, 6)} for text, count in found]


def _trends(connection: duckdb.DuckDBPyConnection, name: str, source: Source) -> dict[str, list[dict[str, Any]]]:
    """Return mean and missing ratio of every column by month of the event; empty for snapshots."""
    trends: dict[str, list[dict[str, Any]]] = {column: [] for column in source.columns}
    if source.event_timestamp is None:
        return trends
    measures = ", ".join(
        f"{_mean(column, quote_name(column_name))}, avg(({quote_name(column_name)} IS NULL)::INT)"
        for column_name, column in source.columns.items()
    )
    month = f"strftime(date_trunc('month', {quote_name(source.event_timestamp)}), '%Y-%m')"
    months = connection.execute(f"SELECT {month}, {measures} FROM {quote_name(name)} GROUP BY 1 ORDER BY 1").fetchall()
    for row in months:
        for place, column_name in enumerate(source.columns):
            mean, missing_ratio = row[1 + 2 * place], row[2 + 2 * place]
            point = {"month": row[0], "mean": _plain(mean), "missing_ratio": _plain(missing_ratio)}
            trends[column_name].append(point)
    return trends


def _mean(column: Column, value: str) -> str:
    return f"avg({value}::DOUBLE)" if column.type in ("int", "float", "bool") else "NULL"


def _plain(number: Any) -> Any:
    """Return a value as JSON holds it; six significant digits are more than a reader needs."""
    if isinstance(number, datetime):
        return number.astimezone(UTC).isoformat()
    return float(f"{number:.6g}") if isinstance(number, float) else number
