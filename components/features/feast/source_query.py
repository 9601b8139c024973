"""Build the SQL that reads feature rows out of parquet: all of them, or the newest of each key.

In: the columns and the span of time as Feast names them. Out: a query for DuckDB. Called by the offline store
for materialisation, and by the point-in-time join for what they share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from components.base.adapters.duckdb import quote_name, quote_text


@dataclass(frozen=True)
class SourceRows:
    """The rows of one source between two times, both inclusive; all columns are those of the parquet files."""

    path: str
    """Local or `s3://`, one file or a glob."""
    keys: Sequence[str]
    """Empty for a view without entity."""
    features: Sequence[str]
    """Empty means all columns."""
    time: str
    """Column of the event time."""
    created: str | None = None
    """Column of the time when the row was written; the latest wins a tie."""
    start: datetime | None = None
    """Without a zone it is UTC."""
    end: datetime | None = None
    """Without a zone it is UTC."""
    key_of_all: tuple[str, str] | None = None
    """Name and value of the key column that is added when `keys` is empty."""


def query_all_rows(rows: SourceRows) -> str:
    """Build the query of every row; without keys in the order of time, so that the last one is the newest."""
    order = ", ".join(f"{column} ASC NULLS FIRST" for column in _times(rows))
    return _select(rows) if rows.keys else f"{_select(rows)} ORDER BY {order}"


def query_latest_rows(rows: SourceRows) -> str:
    """Build the query of the newest row of each key."""
    partition = ", ".join(quote_name(column) for column in rows.keys) or "NULL"
    newest_first = ", ".join(f"{column} DESC NULLS LAST" for column in _times(rows))
    return f"{_select(rows)} QUALIFY row_number() OVER (PARTITION BY {partition} ORDER BY {newest_first}) = 1"


def list_times(rows: SourceRows) -> list[str]:
    """Return the columns that are read as times."""
    return [rows.time, *([rows.created] if rows.created else [])]


def utc_time(column: str) -> str:
    """Read dates, texts and timestamps of any unit as TIMESTAMPTZ, those without a zone as UTC."""
    return f"CAST({quote_name(column)} AS TIMESTAMPTZ)"


def _select(rows: SourceRows) -> str:
    names = dict.fromkeys([*rows.keys, *rows.features, *list_times(rows)])
    columns = [quote_name(name) for name in names] if rows.features else ["*"]
    if rows.key_of_all and not rows.keys:
        name, value = rows.key_of_all
        columns.append(f"{quote_text(value)} AS {quote_name(name)}")
    limits = [f"{utc_time(rows.time)} IS NOT NULL"]
    if rows.start is not None:
        limits.append(f"{utc_time(rows.time)} >= {_literal(rows.start)}")
    if rows.end is not None:
        limits.append(f"{utc_time(rows.time)} <= {_literal(rows.end)}")
    return (
        f"SELECT {', '.join(columns)} FROM read_parquet({quote_text(rows.path)}) "  # noqa: S608
        f"WHERE {' AND '.join(limits)}"
    )


def _times(rows: SourceRows) -> list[str]:
    return [utc_time(column) for column in list_times(rows)]


def _literal(time: datetime) -> str:
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return f"TIMESTAMPTZ {quote_text(aware.isoformat())}"
