"""How strongly a feature goes with an outcome that is a number, measured on its bins.

Notation
    codes    bin of each row, 0 to k - 1 (`profile.code`)            (n,)
    y        outcome of each row                                     (n,)
    days     number of the day of each row                           (n,)
"""

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.intp]
Array = NDArray[np.float64]

# Rows that pull a bin's mean towards that of all: a bin with one wild row must not predict it.
_PRIOR_ROWS = 20.0


def explained_share(codes: Codes, y: Array, bins: int) -> float:
    """Return the share of the outcome's variance that the means of the bins explain, in [0, 1].

    Source: Kelley (1935), An Unbiased Correlation Ratio Measure, PNAS 21(9) (epsilon squared): less what chance gives,
    so that noise with many categories does not look informative.
    """
    rows = np.bincount(codes, minlength=bins)
    n, used = len(y), int(np.count_nonzero(rows))
    spread = float(np.sum((y - y.mean()) ** 2))
    if not spread or n <= used:
        return 0.0
    means = np.bincount(codes, weights=y, minlength=bins) / np.maximum(rows, 1)
    within = float(np.sum((y - means[codes]) ** 2))
    return float(max(0.0, 1 - within / (n - used) * (n - 1) / spread))


def held_out_r2(codes: Codes, y: Array, days: Codes, bins: int) -> float:
    """Return the R² of one feature alone: means learnt on even days predict odd days, and the other way round.

    Not a number with a single day, or without any spread on the days that are predicted.
    """
    is_even = days % 2 == 0
    return float(np.mean([_predict_half(codes, y, learnt, bins) for learnt in (is_even, ~is_even)]))


def _predict_half(codes: Codes, y: Array, learnt: NDArray[np.bool_], bins: int) -> float:
    if not learnt.any() or learnt.all():
        return float("nan")
    overall = float(y[learnt].mean())
    sums = np.bincount(codes[learnt], weights=y[learnt], minlength=bins) + _PRIOR_ROWS * overall
    means = sums / (np.bincount(codes[learnt], minlength=bins) + _PRIOR_ROWS)
    others = y[~learnt]
    spread = float(np.sum((others - others.mean()) ** 2))
    left = float(np.sum((others - means[codes[~learnt]]) ** 2))
    return 1 - left / spread if spread else float("nan")
