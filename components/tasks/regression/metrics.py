"""The metrics of a regression: of its predictions, and of its intervals.

Notation
    y            outcome of each row                                   (n,)
    o            output: prediction, low and high end of its interval  (n, 3)
    coverage     share of outcomes that shall lie inside               (0, 1)

None has an estimate without labels: nothing in a prediction tells how far the outcome will be from it, beyond what the
interval claims already. Called through `RegressionTask`.
"""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np

from components.base.statistics.resampling import Array, Resamples, resample_mean
from components.base.task import Metric, Output, require_rows


def row_absolute_error(y: Array, output: Output) -> Array:
    """Return how far each prediction is from its outcome, shape (n,), in the unit of the outcome."""
    return np.abs(y - output[:, 0])


def row_interval_score(y: Array, output: Output, coverage: float) -> Array:
    """Return the width of each interval and, where the outcome lies outside, a penalty for how far, shape (n,).

    Lowest in expectation for the true quantiles. Source: Gneiting, Raftery (2007), Strictly Proper Scoring Rules,
    Prediction, and Estimation, JASA 102(477), eq. 43.
    """
    low, high = output[:, 1], output[:, 2]
    outside = np.maximum(low - y, 0) + np.maximum(y - high, 0)
    return high - low + 2 / (1 - coverage) * outside


def is_covered(y: Array, output: Output) -> Array:
    """Return 1 where the outcome lies in the interval, ends included, else 0, shape (n,)."""
    return ((output[:, 1] <= y) & (y <= output[:, 2])).astype(np.float64)


def _of_rows(label: str, loss: Callable[[Array, Output], Array], finish: Callable[[Array], Array]) -> Metric:
    """Make a metric that is a function of the mean of a loss by row; lower is better."""

    def score(y: Array, output: Output, _: object) -> float:
        require_rows(y, output)
        return float(finish(loss(y, output).mean()))

    def resample(y: Array, output: Output, _: object, resamples: Resamples) -> Array:
        return finish(resample_mean(loss(y, output), resamples))

    return Metric(label, False, score, resample)


@cache
def build_metrics(coverage: float) -> Mapping[str, Metric]:
    """Build the metrics of a problem whose intervals shall cover so large a share of the outcomes."""
    return {
        "mean_absolute_error": _of_rows("mean absolute error", row_absolute_error, lambda mean: mean),
        "root_mean_squared_error": _of_rows(
            "root mean squared error", lambda y, output: (y - output[:, 0]) ** 2, np.sqrt
        ),
        "interval_score": _of_rows(
            "interval score", lambda y, output: row_interval_score(y, output, coverage), lambda mean: mean
        ),
        "coverage_gap": _of_rows("coverage gap", is_covered, lambda mean: np.abs(mean - coverage)),
    }
