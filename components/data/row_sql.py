"""Turn the columns of a source in the contract into DuckDB SQL: delivered text to typed columns, then derived ones.

In: a `Source` and the name of a relation whose delivered columns are text. Out: SQL text. Called by ingest, to find out
when a row became available, and by validation. Nothing is executed here.
"""
# ruff: noqa: S608 - names and texts come from the checked contract and are quoted

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from components.base.adapters.duckdb import SQL_TYPES, only_times, quote_name, quote_text
from components.base.contract.problem import Source
from components.base.contract.types import ColumnType


def delivered_columns(source: Source) -> list[str]:
    """Return the columns that a file must hold, in contract order."""
    return [name for name, column in source.columns.items() if column.expression is None]


def delivered_names(source: Source) -> dict[str, str]:
    """Return the columns that a file must hold: by name in the contract, the name in the file."""
    return {name: source.columns[name].delivered_as or name for name in delivered_columns(source)}


def derived_columns(source: Source) -> list[str]:
    """Return the columns that are computed from delivered ones, in contract order."""
    return [name for name, column in source.columns.items() if column.expression is not None]


def text_name(column: str) -> str:
    """Return the quoted name under which `typed_sql` keeps a column's delivered text."""
    return quote_name(f"_text_{column}")


def name_list(columns: Iterable[str]) -> str:
    """Return quoted names, separated by commas."""
    return ", ".join(quote_name(column) for column in columns)


def _cast_sql(text: str, kind: ColumnType) -> str:
    if kind == "string":
        return text
    if kind == "timestamp":
        text = only_times(text)
    return f"TRY_CAST({text} AS {SQL_TYPES[kind]})"


def implausible_sql(source: Source, name: str) -> str:
    """Return the condition that a timestamp lies outside of its plausible days."""
    first, last = source.plausible_days(name)
    limits = [f"{quote_name(name)} < {_day_sql(first)}"] if first else []
    # The last day of the calendar has no next one.
    limits += [f"{quote_name(name)} >= {_day_sql(last + timedelta(days=1))}"] if last and last < date.max else []
    return f"({' OR '.join(limits)})" if limits else "false"


def _day_sql(day: date) -> str:
    return f"{quote_text(f'{day.isoformat()} 00:00:00+00')}::TIMESTAMPTZ"


def typed_sql(source: Source, raw: str, extra: Sequence[str] = ()) -> str:
    """Select every column of the contract typed, NULL where the text is none of its type, and each delivered text.

    Args:
        source: The source in the contract.
        raw: A relation with the delivered columns as text.
        extra: Columns of `raw` that are passed on.
    """
    delivered = delivered_columns(source)
    texts = [f"{quote_name(name)} AS {text_name(name)}" for name in delivered]
    casts = {name: _cast_sql(quote_name(name), source.columns[name].type) for name in delivered}
    typed = [f"{cast} AS {quote_name(name)}" for name, cast in casts.items()]
    inner = f"SELECT {', '.join([*map(quote_name, extra), *texts, *typed])} FROM {raw}"
    derived = [
        f"TRY(CAST({source.columns[name].expression} AS {SQL_TYPES[source.columns[name].type]})) AS {quote_name(name)}"
        for name in derived_columns(source)
    ]
    return f"SELECT {', '.join(['*', *derived])} FROM ({inner})"
