"""The technical metrics of a binary problem, each with its direction and its bootstrap, and the calibration curve.

Notation
    y    outcome of each row, 0 or 1                      (n,)
    p    predicted probability of outcome 1, in [0, 1]    (n,)
    d    whether the row gets the action                  (n,)
    B    resamples of days                                see `base.statistics.resampling`

Called through `BinaryTask.metrics`, whose functions take the output of a model, shape (n, 1).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.base.statistics.resampling import Resamples, divide, resample_mean, sum_blocks
from components.base.task import Decisions, Metric, Output, require_rows
from components.tasks.binary.estimate import expect_average_precision, expect_brier, expect_f1, expect_roc_auc
from components.tasks.binary.ranking import resample_average_precision, resample_roc_auc

Array = NDArray[np.float64]

# Ten bins of equal mass: the usual number, and with 1,000 rows a bin still holds 100.
CALIBRATION_BINS = 10
# As scikit-learn clips: the log of 0 would make one wrong row count for everything.
_SMALLEST = float(np.finfo(np.float64).eps)


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


def expect_log_loss(p: Array) -> float:
    """Return the expected negative log-likelihood, in nats: the mean entropy of the probabilities."""
    return float(np.mean(row_log_loss(p, p))) if len(p) else float("nan")


def brier(y: Array, p: Array) -> float:
    """Return the mean squared error of the probabilities. Source: Brier (1950), Monthly Weather Review 78(1)."""
    return float(np.mean((p - y) ** 2))


def f1(y: Array, decisions: Decisions) -> float:
    """Return the harmonic mean of precision and recall of the decisions; 0 when no row is positive in either.

    Source: van Rijsbergen (1979), Information Retrieval, chapter 7.
    """
    require_rows(y, decisions)
    claimed_or_true = decisions.sum() + y.sum()
    return float(2 * (y * decisions).sum() / claimed_or_true) if claimed_or_true else 0.0


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


def resample_f1(y: Array, decisions: Decisions, resamples: Resamples) -> Array:
    """Return F1 in each resample, shape (B,)."""
    flagged = np.asarray(decisions, dtype=np.float64)
    totals = sum_blocks(resamples, 2 * flagged * y, flagged + y)
    return np.nan_to_num(divide(totals[:, 0], totals[:, 1]))


def resample_calibration_error(y: Array, p: Array, resamples: Resamples) -> Array:
    """Return the calibration error in each resample, shape (B,); the bins stay those of the whole sample.

    The sum over bins of |mean p - mean y|, weighted by their rows: the rows of a bin cancel out of weight and mean.
    """
    bins = bin_rows(p)
    gaps = sum_blocks(resamples, *((p - y) * (bins == number) for number in np.unique(bins)))
    rows = sum_blocks(resamples, np.ones(len(y)))[:, 0]
    return divide(np.abs(gaps).sum(axis=1), rows)


def _of_probabilities(
    label: str,
    higher_is_better: bool,
    score: Callable[[Array, Array], float],
    resample: Callable[[Array, Array, Resamples], Array],
    estimate: Callable[[Array], float] | None = None,
) -> Metric:
    """Make a metric of functions that read probabilities and no decision."""

    def score_output(y: Array, output: Output, _: Decisions) -> float:
        require_rows(y, output)
        return score(y, output[:, 0])

    return Metric(
        label,
        higher_is_better,
        score=score_output,
        resample=lambda y, output, _, resamples: resample(y, output[:, 0], resamples),
        estimate=(lambda output, _: estimate(output[:, 0])) if estimate else None,
    )


METRICS: Mapping[str, Metric] = {
    "average_precision": _of_probabilities(
        "average precision", True, average_precision, resample_average_precision, expect_average_precision
    ),
    "roc_auc": _of_probabilities("ROC AUC", True, roc_auc, resample_roc_auc, expect_roc_auc),
    "log_loss": _of_probabilities(
        "log loss",
        False,
        lambda y, p: float(row_log_loss(y, p).mean()),
        lambda y, p, resamples: resample_mean(row_log_loss(y, p), resamples),
        expect_log_loss,
    ),
    "brier": _of_probabilities(
        "Brier score", False, brier, lambda y, p, resamples: resample_mean((p - y) ** 2, resamples), expect_brier
    ),
    # Calibration has no estimate: every estimate assumes it.
    "calibration_error": _of_probabilities("calibration error", False, calibration_error, resample_calibration_error),
    "f1": Metric(
        "F1 at the threshold",
        True,
        score=lambda y, _, decisions: f1(y, decisions),
        resample=lambda y, _, decisions, resamples: resample_f1(y, decisions, resamples),
        estimate=lambda output, decisions: expect_f1(output[:, 0], np.asarray(decisions, dtype=np.float64)),
    ),
}
