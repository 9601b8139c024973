"""Group the rows by one column, for slices and for the search of weak spots."""

import itertools

import numpy as np
import pandas as pd

from components.base.values import write_text

# A number with more values than this is grouped by quarters of the rows.
_MOST_GROUPS = 30
_QUARTERS = 4
MISSING = "missing"


def name_groups(column: pd.Series) -> pd.Series:
    """Return the group of each row as text: the value, or the quarter of a number with many values.

    A value of more than a quarter of the rows is a group of its own, and the others share what is left.
    """
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > _MOST_GROUPS:
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        shares = column.value_counts(normalize=True)
        frequent = shares.index[shares > 1 / _QUARTERS]
        is_rest = ~np.isin(numbers, frequent) & ~np.isnan(numbers)
        quarters = max(round(_QUARTERS * is_rest.sum() / column.notna().sum()), 1)
        edges = np.unique(np.quantile(numbers[is_rest], np.linspace(0, 1, quarters + 1)))
        labels = np.array([f"{low:.4g} to {high:.4g}" for low, high in itertools.pairwise(edges)])
        places = np.searchsorted(edges[1:-1], numbers, side="left")
        named: pd.Series = column.map("{:.4g}".format).where(~is_rest, labels[places])
        return named.astype(object).where(column.notna(), MISSING)
    write = "{:.6g}".format if pd.api.types.is_float_dtype(column) else write_text
    texts = [write(value) for value in column.array]
    return pd.Series(texts, index=column.index, dtype=object).where(column.notna(), MISSING)
