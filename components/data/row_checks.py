"""The checks that the contract requires of one row, as SQL over the columns of `row_sql.typed_sql`.

In: a `Source`. Out: `RowCheck`s: when one fails, and its reason in words with value and limit. Called by
`classify_rows`, which checks what needs other rows (uniqueness, references).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from components.base.adapters.duckdb import quote_name, quote_text
from components.base.contract.problem import Source
from components.base.values import LARGEST_EXACT_FLOAT
from components.data.row_sql import implausible_sql, text_name

_TYPE_WORDS = {
    "string": "a text",
    "int": "a whole number",
    "float": "a finite number",
    "bool": "true or false",
    "timestamp": "a date and time, its zone as an offset",
}
# Longer values would make reasons unreadable; the whole text stays in the quarantined row.
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class RowCheck:
    """One demand on one column."""

    name: str
    """`<column>.<what>`, such as `arr_delay.maximum`."""
    column: str
    is_derived: bool
    """A derived column is checked only when every delivered one is right: its fault would be theirs."""
    fails: str
    """SQL, true when the demand is not met; NULL counts as met."""
    words: str
    """SQL of the text for a row that fails."""


def row_checks(source: Source) -> list[RowCheck]:
    """Return every check of every column, in contract order."""
    checks = []
    for name, column in source.columns.items():
        is_derived = column.expression is not None
        shown = quote_name(name) if is_derived else text_name(name)
        value = f"coalesce('''' || left({shown}::VARCHAR, {_SHOWN_CHARACTERS}) || '''', 'nothing')"
        for what, fails, demand in _demands(source, name):
            words = quote_text(f"{name} must {demand}, but got ")
            checks.append(RowCheck(f"{name}.{what}", name, is_derived, fails, f"{words} || {value}"))
    return checks


def range_words(source: Source, name: str) -> str | None:
    """Return the allowed values of a column in words, or None when every value of the type is allowed."""
    column = source.columns[name]
    if column.type == "timestamp":
        return _day_words(*source.plausible_days(name))
    unit = f" {column.unit}" if column.unit else ""
    if column.allowed is not None:
        return f"one of {', '.join(column.allowed)}"
    if column.pattern is not None:
        return f"matches {column.pattern}"
    if column.minimum is not None and column.maximum is not None:
        return f"{column.minimum:g} to {column.maximum:g}{unit}"
    if column.minimum is not None:
        return f"at least {column.minimum:g}{unit}"
    return f"at most {column.maximum:g}{unit}" if column.maximum is not None else None


def _day_words(first: date | None, last: date | None) -> str | None:
    if first and last:
        return f"from {first} to {last}"
    return f"from {first} on" if first else f"up to {last}" if last else None


def _demands(source: Source, name: str) -> Iterator[tuple[str, str, str]]:
    """Yield the name of each check, the SQL of its failure, and the demand in words."""
    value, text, column = quote_name(name), text_name(name), source.columns[name]
    if column.expression is None:
        number = f"TRY_CAST({text} AS DOUBLE)"
        wrong = {
            "string": "false",
            # DuckDB would round '5.5' to 6 and read '0x10' as 16; beyond 2^53 a double cannot tell.
            "int": f"({value} = {number} AND (abs({number}) < {LARGEST_EXACT_FLOAT} "
            f"OR regexp_matches({text}, '^[+-]?[0-9]+$'))) IS NOT TRUE",
            "float": f"isfinite({value}) IS NOT TRUE",
            "bool": f"{value} IS NULL",
            "timestamp": f"isfinite({value}) IS NOT TRUE",
        }
        yield "type", f"{text} IS NOT NULL AND {wrong[column.type]}", f"be {_TYPE_WORDS[column.type]}"
    if not column.nullable:
        delivered = value if column.expression is not None else text
        given = f"be computable as {column.expression}" if column.expression is not None else "be given"
        yield "missing", f"{delivered} IS NULL", given
    yield from _range_demands(source, name)
    if column.allowed is not None:
        allowed = ", ".join(map(quote_text, column.allowed))
        yield "allowed", f"{value}::VARCHAR NOT IN ({allowed})", f"be one of {', '.join(column.allowed)}"
    if column.pattern is not None:
        matches = f"regexp_matches({value}::VARCHAR, {quote_text(column.pattern)})"
        yield "pattern", f"NOT {matches}", f"match {column.pattern}"


def _range_demands(source: Source, name: str) -> Iterator[tuple[str, str, str]]:
    value, column = quote_name(name), source.columns[name]
    if column.type in ("int", "float"):
        unit = f" {column.unit}" if column.unit else ""
        # DuckDB holds NaN greater than every number; the check of the type names it.
        number = f"isfinite({value}::DOUBLE) AND {value}"
        if column.minimum is not None:
            yield "minimum", f"{number} < {column.minimum!r}", f"be at least {column.minimum:g}{unit}"
        if column.maximum is not None:
            yield "maximum", f"{number} > {column.maximum!r}", f"be at most {column.maximum:g}{unit}"
    if column.type == "timestamp" and (days := range_words(source, name)):
        # Times that never come are no times, and the check of the type names them.
        yield "range", f"isfinite({value}) AND {implausible_sql(source, name)}", f"be {days}"
