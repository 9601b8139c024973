"""What the regression adds to documents: how far predictions are off, and what intervals hold, by their size.

In: test rows. Out: `RegressionContender`, the `details` of a `ContenderRecord`. Called through `RegressionTask`; read
by its pages.
"""

import numpy as np

from components.base.documents import Document
from components.base.statistics.resampling import Array
from components.base.task import Decisions, Output
from components.tasks.regression.metrics import is_covered

_BINS = 10


class SizeBin(Document):
    """Rows with predictions of similar size; numbers are in the unit of the outcome."""

    rows: int
    mean_prediction: float
    mean_outcome: float
    mean_absolute_error: float
    coverage: float
    """Share of outcomes in their interval."""
    mean_width: float
    """Of the intervals."""


class RegressionContender(Document):
    """How one contender is off."""

    bias: float
    """Mean prediction less mean outcome."""
    coverage: float
    mean_width: float
    mean_planned: float
    short_rows: int
    """Rows for which less was planned than came."""
    bins: tuple[SizeBin, ...]
    """In the order of rising predictions."""


def describe_regression(y: Array, output: Output, planned: Decisions) -> RegressionContender:
    """Describe one contender on test rows."""
    prediction, covered, width = output[:, 0], is_covered(y, output), output[:, 2] - output[:, 1]
    edges = np.unique(np.quantile(prediction, np.linspace(0, 1, _BINS + 1)[1:-1]))
    places = np.searchsorted(edges, prediction, side="right")
    bins = []
    for place in np.unique(places):
        inside = places == place
        bins.append(
            SizeBin(
                rows=int(inside.sum()),
                mean_prediction=float(prediction[inside].mean()),
                mean_outcome=float(y[inside].mean()),
                mean_absolute_error=float(np.abs(y - prediction)[inside].mean()),
                coverage=float(covered[inside].mean()),
                mean_width=float(width[inside].mean()),
            )
        )
    return RegressionContender(
        bias=float((prediction - y).mean()),
        coverage=float(covered.mean()),
        mean_width=float(width.mean()),
        mean_planned=float(np.asarray(planned, dtype=np.float64).mean()),
        short_rows=int((np.asarray(planned, dtype=np.float64) < y).sum()),
        bins=tuple(bins),
    )
