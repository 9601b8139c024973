"""Name the group of each row, as the rules of current solutions count by group. Called by the tasks' rules."""

from collections.abc import Sequence

import pandas as pd

# The group of rows whose column is missing, however the table says so.
_MISSING = "(missing)"


def name_groups(rows: pd.DataFrame, columns: Sequence[str]) -> "pd.Series[str]":
    """Join the columns into one name a row, shape (n,); an hour of the day counts by its whole part.

    No other number has a fraction: the contract refuses a float here.
    """
    parts = []
    for column in columns:
        values = rows[column]
        named = values.astype("float64") // 1 if pd.api.types.is_numeric_dtype(values) else values
        parts.append(named.astype(str).where(values.notna(), _MISSING))
    names = parts[0]
    for part in parts[1:]:
        names = names + "|" + part
    return names
