"""Group the rows by one column, for slices and for the search of weak spots."""

import itertools

import numpy as np
import pandas as pd

# A number with more values than this is grouped by quartiles.
_MOST_GROUPS = 30
MISSING = "missing"


def name_groups(column: pd.Series) -> pd.Series:
    """Return the group of each row as text: the value, or the quartile of a number with many values."""
    named = column.astype(object)
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > _MOST_GROUPS:
        edges = np.unique(np.nanquantile(column.to_numpy(dtype=np.float64), [0, 0.25, 0.5, 0.75, 1]))
        labels = np.array([f"{low:.4g} to {high:.4g}" for low, high in itertools.pairwise(edges)])
        places = np.searchsorted(edges[1:-1], column.fillna(edges[0]).to_numpy(), side="left")
        named = pd.Series(labels[places], index=column.index, dtype=object)
        return named.where(column.notna(), MISSING)
    if pd.api.types.is_float_dtype(column):
        named = column.map("{:.6g}".format).astype(object)
    return named.where(column.notna(), MISSING).astype(str)
