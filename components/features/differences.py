"""Compare two tables of the same feature value by value: what was served, and what the point-in-time join gives.

In: a feature and two columns of it. Out: which values are equal, and how far numbers are apart. Called by the trial of
a release and by monitoring, so that both call the same values equal.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.dataset import Feature

# Values are stored as doubles; a sum in another order differs by less than this.
_TOLERANCE = 1e-9


def compare_values(
    feature: Feature, one: "pd.Series[Any]", other: "pd.Series[Any]"
) -> tuple[NDArray[np.bool_], float | None]:
    """Return which of n values are equal, shape (n,), and the mean absolute difference where both are numbers.

    Two missing values are equal; a missing one differs from any other. The mean is None where there is no such pair.
    """
    both_missing = one.isna().to_numpy(dtype=bool) & other.isna().to_numpy(dtype=bool)
    if feature.kind == "categorical":
        return (one.to_numpy() == other.to_numpy()).astype(bool) | both_missing, None
    first, second = one.to_numpy(dtype=np.float64), other.to_numpy(dtype=np.float64)
    differences = np.abs(first - second)
    known = differences[~np.isnan(differences)]
    is_equal = np.isclose(first, second, rtol=_TOLERANCE, atol=_TOLERANCE) | both_missing
    return is_equal, float(known.mean()) if len(known) else None
