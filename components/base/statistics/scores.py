"""The technical metrics of a contract, each with its direction, and the calibration curve.

Notation
    y    outcome of each row, 0 or 1                      (n,)
    p    predicted probability of outcome 1, in [0, 1]    (n,)

Called by the models phase and by whoever scores matured predictions later. Intervals are in `base.resampling`, money in
`base.decisions`. Comparisons go through `gain`, so that no caller has to know which metrics are better when smaller.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# Ten bins of equal mass: the usual number, and with 1,000 rows a bin still holds 100.
CALIBRATION_BINS = 10
# As scikit-learn clips: the log of 0 would make one wrong row count for everything.
_SMALLEST = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Metric:
    """One metric: how it is called in a report, which way is better, and its function of (y, p, threshold)."""

    label: str
    higher_is_better: bool
    function: Callable[[Array, Array, float], float]


@dataclass(frozen=True)
class CalibrationBin:
    """Rows with similar probabilities: their number, mean probability and share of outcome 1."""

    rows: int
    mean_probability: float
    observed_rate: float


def average_precision(y: Array, p: Array) -> float:
    """Sum the precision over the steps of recall; not a number without a positive row.

    Source: Manning, Raghavan, Schuetze (2008), Introduction to Information Retrieval, eq. 8.8; scikit-learn's
    `average_precision_score`.
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(y, p)) if y.any() else float("nan")


def roc_auc(y: Array, p: Array) -> float:
    """Estimate the probability that a positive row is ranked above a negative one; not a number with one class.

    Source: Hanley, McNeil (1982), Radiology 143(1); scikit-learn's `roc_auc_score`.
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(y, p)) if 0 < y.sum() < len(y) else float("nan")


def row_log_loss(y: Array, p: Array) -> Array:
    """Return the negative log-likelihood of each row, shape (n,), in nats.

    Source: Good (1952), Rational decisions, JRSS B 14(1).
    """
    clipped = np.clip(p, _SMALLEST, 1 - _SMALLEST)
    losses: Array = -(y * np.log(clipped) + (1 - y) * np.log1p(-clipped))
    return losses


def brier(y: Array, p: Array) -> float:
    """Return the mean squared error of the probabilities. Source: Brier (1950), Monthly Weather Review 78(1)."""
    return float(np.mean((p - y) ** 2))


def f1(y: Array, p: Array, threshold: float) -> float:
    """Return the harmonic mean of precision and recall of `p >= threshold`; 0 when no row is positive in either.

    Source: van Rijsbergen (1979), Information Retrieval, chapter 7.
    """
    flagged = p >= threshold
    claimed_or_true = flagged.sum() + y.sum()
    return float(2 * (y * flagged).sum() / claimed_or_true) if claimed_or_true else 0.0


def calibration_error(y: Array, p: Array) -> float:
    """Return the mean distance of observed rate and mean probability over bins of equal mass, weighted by rows.

    Source: Naeini, Cooper, Hauskrecht (2015), AAAI, eq. 3 (ECE); bins of equal mass as in Nixon et al. (2019),
    Measuring Calibration in Deep Learning, section 3, for they leave no bin nearly empty.
    """
    bins = bin_calibration(y, p)
    return sum(group.rows * abs(group.mean_probability - group.observed_rate) for group in bins) / len(y)


def bin_rows(p: Array, bins: int = CALIBRATION_BINS) -> NDArray[np.intp]:
    """Return the bin of each row, 0 to at most `bins` - 1, by quantiles of p; equal values share a bin."""
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1]))
    numbers: NDArray[np.intp] = np.searchsorted(edges, p, side="right")
    return numbers


def bin_calibration(y: Array, p: Array, bins: int = CALIBRATION_BINS) -> list[CalibrationBin]:
    """Return the points of the reliability curve, in the order of rising probability, empty bins left out."""
    numbers = bin_rows(p, bins)
    rows = np.bincount(numbers)
    predicted, observed = np.bincount(numbers, weights=p), np.bincount(numbers, weights=y)
    return [CalibrationBin(int(n), float(predicted[i] / n), float(observed[i] / n)) for i, n in enumerate(rows) if n]


METRICS: dict[str, Metric] = {
    "average_precision": Metric("average precision", True, lambda y, p, _: average_precision(y, p)),
    "roc_auc": Metric("ROC AUC", True, lambda y, p, _: roc_auc(y, p)),
    "log_loss": Metric("log loss", False, lambda y, p, _: float(row_log_loss(y, p).mean())),
    "brier": Metric("Brier score", False, lambda y, p, _: brier(y, p)),
    "calibration_error": Metric("calibration error", False, lambda y, p, _: calibration_error(y, p)),
    "f1": Metric("F1 at the threshold", True, f1),
}


def score(metric: str, y: ArrayLike, p: ArrayLike, threshold: float = 0.5) -> float:
    """Score probabilities; only `f1` looks at the threshold.

    Raises:
        ValueError: when y and p have no rows or different shapes.
    """
    outcomes, probabilities = np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64)
    if outcomes.shape != probabilities.shape or not outcomes.size:
        raise ValueError(
            f"score: y and p must have the same rows, at least one, but got shapes (y={outcomes.shape}, "
            f"p={probabilities.shape}). Score the rows that were predicted."
        )
    return METRICS[metric].function(outcomes, probabilities, threshold)


def gain(metric: str, new: float, old: float) -> float:
    """Return how much better `new` is than `old`: positive is better, whatever the metric's direction."""
    return new - old if METRICS[metric].higher_is_better else old - new
