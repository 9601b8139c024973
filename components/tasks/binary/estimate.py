"""Estimate how good a model is where labels are missing, from its probabilities alone (CBPE).

Confidence-based performance estimation takes each probability at its word: of the rows with p = 0.3, three in ten are
positive. The estimate of a score is then its expectation over the unknown outcomes.

Notation
    p        predicted probability of outcome 1, in [0, 1]         (n,)
    y        outcome of each row, unknown; independent, 1 with probability p
    flagged  rows whose decision is the action, 0 or 1             (n,)

Where the score is a ratio, the expectation of the numerator is divided by that of the denominator: the difference to
the expectation of the ratio falls as 1/n. Rows that share a cause, such as a storm, are not independent: the
expectation stays right, but the measured score varies more around it.

Known weakness: the estimate assumes that the probabilities are right. It follows a change of the inputs, and does not
see a change of concept: if rows like these become positive more or less often, it stays the same while the true score
falls. Therefore it is shown beside the same estimate on labelled rows, and alerts use labels alone.

Source: Kivimäki, Białek, Kuberski, Nurminen (2025), Performance Estimation in Binary Classification Using Calibrated
Confidence, arXiv 2505.05295.

In: probabilities. Out: expected scores. Called through `Metric.estimate` of `BinaryTask.metrics`.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def expect_roc_auc(p: Array) -> float:
    """Return the expected share of pairs (positive, negative) that are ranked rightly, ties as one half.

    E[y_i (1 - y_j)] = p_i (1 - p_j) for i != j; a row makes no pair with itself.

    Source: Hanley, McNeil (1982), Radiology 143(1), for the pairs.
    """
    positive, negative, _ = _sum_ties(p)
    below = np.cumsum(negative[::-1])[::-1] - negative / 2
    own = float(p @ (1 - p))
    pairs = float(p.sum() * (1 - p).sum()) - own
    return (float(positive @ below) - own / 2) / pairs if pairs > 0 else float("nan")


def expect_average_precision(p: Array) -> float:
    """Return the expected mean precision at the places of the positive rows.

    With P_i the rows that score at least as high as row i, precision there is (1 + other positives in P_i) / |P_i|, of
    which the expectation, given y_i = 1, is (1 + sum of p over P_i - p_i) / |P_i|.

    Source: Manning, Raghavan, Schuetze (2008), Introduction to Information Retrieval, eq. 8.8, for the precision.
    """
    positive, negative, tie = _sum_ties(p)
    found, reached = np.cumsum(positive)[tie], np.cumsum(positive + negative)[tie]
    total = float(p.sum())
    return float(p @ ((1 + found - p) / reached)) / total if total > 0 else float("nan")


def expect_brier(p: Array) -> float:
    """Return the expected squared error: E[(p - y)^2] = p (1 - p)."""
    return float(np.mean(p * (1 - p))) if len(p) else float("nan")


def expect_f1(p: Array, flagged: Array) -> float:
    """Return twice the expected hits by the expected sum of claimed and true positives; 0 when there is none."""
    claimed_or_true = float(flagged.sum() + p.sum())
    return 2 * float(p @ flagged) / claimed_or_true if claimed_or_true else 0.0


def _sum_ties(p: Array) -> tuple[Array, Array, NDArray[np.intp]]:
    """Return expected positives and negatives of each distinct probability, highest first, and the tie of each row."""
    values, tie = np.unique(-p, return_inverse=True)
    positive = np.bincount(tie, weights=p, minlength=len(values)).astype(np.float64)
    return positive, np.bincount(tie, minlength=len(values)) - positive, tie
