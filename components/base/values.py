"""The one form of a value: its type, and its text where it names something: an entity, a category, a group.

In: values as pandas, Arrow, DuckDB or JSON hold them. Out: the same text for the same value, whatever held it, so that
training, the online stores, requests and the log name the same thing alike. Different values of a column, whose type
the contract gives, have different texts.

| type      | text |
|-----------|------|
| string    | itself |
| int       | decimal digits, never `4.0` |
| float     | the shortest that reads back; 0 for -0 |
| bool      | `true`, `false` |
| timestamp | ISO 8601 in UTC, to the microsecond |
"""

import math
from datetime import UTC, datetime
from numbers import Integral, Real
from typing import Any

from components.base.contract.types import ColumnType

LARGEST_EXACT_FLOAT = 2**53
"""Beyond it a float is not one whole number but several."""
SMALLEST_INT, LARGEST_INT = -(2**63), 2**63 - 1
"""Limits of the type `int`: what DuckDB, Arrow, and with them the snapshot and the prediction log hold."""
KEY_TYPES: frozenset[ColumnType] = frozenset({"string", "int", "bool", "timestamp"})
"""Types whose values may name an entity: floats that should be equal differ in their last digit."""


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, NaT or pandas' NA."""
    # NaN and NaT differ from themselves; NA compared with itself is NA, which is neither true nor false.
    return value is None or type(value).__name__ == "NAType" or bool(value != value)  # noqa: PLR0124


def write_text(value: Any) -> str | None:
    """Return the text of a value; None for a missing one.

    Raises:
        TypeError: the value is of none of the contract's types.
    """
    if isinstance(value, str):
        return value
    if is_missing(value):
        return None
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return "true" if value else "false"
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        # Adding 0 makes 0 of -0.
        return repr(float(value) + 0.0)
    if isinstance(value, datetime):
        # Of the base class: pandas' own writes nanoseconds too.
        return datetime.isoformat(value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC))
    raise TypeError(f"a value must be a text, a number, true or false, or a time, but got {type(value).__name__}")


def is_whole(value: Any) -> bool:
    """Return whether a number is one whole number that the type `int` holds."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    if isinstance(value, Integral):
        return SMALLEST_INT <= int(value) <= LARGEST_INT
    return math.isfinite(value) and abs(float(value)) <= LARGEST_EXACT_FLOAT and float(value).is_integer()
