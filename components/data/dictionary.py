"""The data dictionary: what every column means and what its accepted rows look like, in total and by month.

In: an engine with a view of the accepted rows of each source, and the contract. Out: a `Dictionary`, ratios
within 0 to 1. Called by validation; the release report reads it. One query a column keeps memory at one column's size.
"""
# ruff: noqa: S608 - names and texts come from the checked contract and are quoted

from datetime import UTC, datetime
from typing import Any, Literal

from components.base.adapters.duckdb import quote_name
from components.base.contract.problem import Column, Source
from components.base.contract.types import ColumnType
from components.base.documents import Document
from components.base.engine import Engine
from components.data.quality import FilterRows
from components.data.row_checks import range_words

_SHOWN_VALUES = 8


class FrequentValue(Document):
    """One of the most frequent values of a text."""

    value: str
    rows: int
    ratio: float
    """Share of all accepted rows."""


class TrendPoint(Document):
    """A column in one month."""

    month: str
    """YYYY-MM of the event."""
    mean: float | None
    missing_ratio: float


class DescribedColumn(Document):
    """One column of a source."""

    name: str
    type: ColumnType
    unit: str | None
    description: str
    origin: Literal["delivered", "derived"]
    expression: str | None
    """SQL of a derived column."""
    nullable: bool
    range: str | None
    """Allowed values in words; None: every value of the type."""
    missing_ratio: float | None
    """None without a row."""
    distinct: int
    minimum: int | float | str | None
    """Of numbers, and of timestamps in ISO 8601 UTC."""
    mean: float | None
    """Of numbers, and of true as 1."""
    median: float | None
    maximum: int | float | str | None
    top: tuple[FrequentValue, ...]
    """Of texts and truth values, the most frequent first."""
    trend: tuple[TrendPoint, ...]
    """By month of the event; empty for a snapshot."""


class DescribedSource(Document):
    """One source."""

    description: str
    kind: Literal["events", "snapshot"]
    path: str
    key: tuple[str, ...]
    rows: int
    columns: tuple[DescribedColumn, ...]
    """In contract order."""
    filters: tuple[FilterRows, ...]


class Dictionary(Document):
    """Every source of a problem."""

    problem: str
    sources: dict[str, DescribedSource]


def describe_source(engine: Engine, name: str, source: Source, filters: tuple[FilterRows, ...]) -> DescribedSource:
    """Describe one source: its meaning, its filters and all its columns."""
    (rows,) = engine.execute(f"SELECT count(*) FROM {quote_name(name)}").fetchall()[0]
    trends = _measure_trends(engine, name, source)
    columns = [
        DescribedColumn(
            name=column_name,
            type=column.type,
            unit=column.unit,
            description=column.description,
            origin="delivered" if column.expression is None else "derived",
            expression=column.expression,
            nullable=column.nullable,
            range=range_words(source, column_name),
            **_measure_column(engine, name, column_name, column, rows),
            trend=tuple(trends[column_name]),
        )
        for column_name, column in source.columns.items()
    ]
    return DescribedSource(
        description=source.description,
        kind=source.kind,
        path=source.path,
        key=tuple(source.key),
        rows=rows,
        columns=tuple(columns),
        filters=filters,
    )


def _measure_column(engine: Engine, source: str, name: str, column: Column, rows: int) -> dict[str, Any]:
    """Return the measured fields of a column."""
    value, table = quote_name(name), quote_name(source)
    is_number, is_time = column.type in ("int", "float"), column.type == "timestamp"
    measures = {
        "missing_ratio": f"avg(({value} IS NULL)::INT)",
        "distinct": f"count(DISTINCT {value})",
        "minimum": f"min({value})" if is_number or is_time else "NULL",
        "mean": f"avg({value}::DOUBLE)" if is_number or column.type == "bool" else "NULL",
        "median": f"median({value}::DOUBLE)" if is_number else "NULL",
        "maximum": f"max({value})" if is_number or is_time else "NULL",
    }
    found = engine.execute(f"SELECT {', '.join(measures.values())} FROM {table}").fetchall()[0]
    top: list[FrequentValue] = []
    if not is_number and not is_time:
        counted = engine.execute(
            f"SELECT {value}::VARCHAR, count(*) FROM {table} WHERE {value} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 "
            f"LIMIT {_SHOWN_VALUES}"
        ).fetchall()
        top = [FrequentValue(value=text, rows=count, ratio=round(count / rows, 6)) for text, count in counted]
    return {**{measure: _round(number) for measure, number in zip(measures, found, strict=True)}, "top": top}


def _measure_trends(engine: Engine, name: str, source: Source) -> dict[str, list[TrendPoint]]:
    """Return mean and missing ratio of every column by month of the event; empty for snapshots."""
    trends: dict[str, list[TrendPoint]] = {column: [] for column in source.columns}
    if source.event_timestamp is None:
        return trends
    measures = []
    for column_name, column in source.columns.items():
        value = quote_name(column_name)
        measures.append(f"avg({value}::DOUBLE)" if column.type in ("int", "float", "bool") else "NULL")
        measures.append(f"avg(({value} IS NULL)::INT)")
    month = f"strftime(date_trunc('month', {quote_name(source.event_timestamp)}), '%Y-%m')"
    months = engine.execute(
        f"SELECT {month}, {', '.join(measures)} FROM {quote_name(name)} GROUP BY 1 ORDER BY 1"
    ).fetchall()
    for row in months:
        for place, column_name in enumerate(source.columns):
            mean, missing_ratio = row[1 + 2 * place], row[2 + 2 * place]
            trends[column_name].append(TrendPoint(month=row[0], mean=_round(mean), missing_ratio=_round(missing_ratio)))
    return trends


def _round(number: Any) -> Any:
    """Return a value as JSON holds it; six significant digits are more than a reader needs."""
    if isinstance(number, datetime):
        return number.astimezone(UTC).isoformat()
    return float(f"{number:.6g}") if isinstance(number, float) else number
