"""How strongly a feature goes with the outcome, measured on its bins.

Notation
    codes    bin of each row, 0 to k - 1 (`profile.code`)            (n,)
    y        outcome of each row, 0 or 1                             (n,)
    days     number of the day of each row                           (n,)

Rows of one day share weather and crews, so a day counts as one observation wherever an interval is given. Every
measure works on counts: cheap for all rows, the same for numbers and categories, and missing values are a bin.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.base.statistics.clusters import mean_by_group

Codes = NDArray[np.intp]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rate:
    """The share of outcome 1 in one bin, with an interval of 95 %."""

    rows: int
    rate: float
    low: float
    high: float


def count_outcomes(codes: Codes, y: Array, bins: int) -> Array:
    """Count rows by bin and outcome, shape (bins, 2): outcome 0, outcome 1."""
    rows = np.bincount(codes, minlength=bins).astype(np.float64)
    positives = np.bincount(codes, weights=y, minlength=bins)
    return np.column_stack([rows - positives, positives])


def information_ratio(table: Array) -> float:
    """Return the mutual information of bin and outcome as a share of the outcome's entropy, in [0, 1].

    Source: Cover, Thomas (2006), Elements of Information Theory, eq. 2.28; less its bias (Miller 1955: (k - 1) / 2n
    nats for k bins in use), so that noise with many categories does not look informative.
    """
    joint = table / table.sum()
    by_bin, by_outcome = joint.sum(axis=1, keepdims=True), joint.sum(axis=0, keepdims=True)
    entropy = -float(np.sum(by_outcome[by_outcome > 0] * np.log(by_outcome[by_outcome > 0])))
    cells = joint > 0
    mutual = float(np.sum(joint[cells] * np.log(joint[cells] / (by_bin @ by_outcome)[cells])))
    bias = (np.count_nonzero(table.sum(axis=1)) - 1) / (2 * table.sum())
    return max(0.0, mutual - bias) / entropy if entropy else 0.0


def cramers_v(table: Array) -> float:
    """Return the strength of the association of bin and outcome, from 0 (none) to 1 (the bin tells the outcome).

    With two outcomes it is the spread of the bins' rates over that of the outcome. Source: Cramér (1946), Mathematical
    Methods of Statistics, section 21.9; less its bias (Bergsma 2013, J. Korean Stat. Soc. 42(3), for two columns).
    """
    total, rows = table.sum(), table.sum(axis=1)
    overall = table[:, 1].sum() / total
    used = rows > 0
    if overall in (0.0, 1.0) or total < 2:
        return 0.0
    spread = float(np.sum(rows[used] * (table[used, 1] / rows[used] - overall) ** 2) / total)
    squared = spread / (overall * (1 - overall)) - (np.count_nonzero(used) - 1) / (total - 1)
    return float(np.sqrt(max(0.0, squared)))


def held_out_auc(codes: Codes, y: Array, days: Codes, bins: int) -> float:
    """Return the ROC AUC of one feature alone: rates learnt on even days score odd days, and the other way round.

    Not a number with a single class or a single day.
    """
    is_even = days % 2 == 0
    tables = [count_outcomes(codes[half], y[half], bins) for half in (is_even, ~is_even)]
    return float(np.mean([_auc_of_rates(tables[0], tables[1]), _auc_of_rates(tables[1], tables[0])]))


def rate_by_bin(codes: Codes, y: Array, days: Codes, bins: int) -> list[Rate]:
    """Return the outcome rate of each bin with its interval inside [0, 1], as `mean_by_group`."""
    return [
        Rate(one.rows, one.mean, *np.clip([one.low, one.high], 0, 1).tolist())
        for one in mean_by_group(codes, y, days, bins)
    ]


def _auc_of_rates(learnt: Array, scored: Array) -> float:
    """Score the bins of one table by the rates of the other; ties count one half (Mann-Whitney)."""
    overall = learnt[:, 1].sum() / max(learnt.sum(), 1.0)
    rates = (learnt[:, 1] + overall) / (learnt.sum(axis=1) + 1)
    _, places = np.unique(rates, return_inverse=True)
    negatives = np.bincount(places, weights=scored[:, 0])
    positives = np.bincount(places, weights=scored[:, 1])
    below = np.cumsum(negatives) - negatives
    pairs = negatives.sum() * positives.sum()
    return float(np.sum(positives * (below + negatives / 2)) / pairs) if pairs else float("nan")
