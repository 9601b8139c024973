"""What the binary task adds to documents: confusion matrix and curves of a contender, the search of the threshold.

Notation
    y    outcome of each row, 0 or 1          (n,)
    p    probabilities of one contender       (n,)

In: test rows. Out: `BinaryContender`, the `details` of a `ContenderRecord`. Called through `BinaryTask`; read by its
pages.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict

from components.base.documents import Document
from components.base.task import Decisions
from components.tasks.binary.metrics import bin_calibration
from components.tasks.binary.policy import ThresholdPoint

Array = NDArray[np.float64]
Curve = tuple[tuple[float, float], ...]

# Points of a drawn curve: more than the pixels of a phone can show apart.
_CURVE_POINTS = 100
# Points of the ROC curve in the artifact's metadata, which is kept in a database.
_ROC_POINTS = 50


class Confusion(Document):
    """Rows by outcome and decision."""

    hits: int
    """Positive rows with the action."""
    false_alarms: int
    """Negative rows with the action."""
    misses: int
    """Positive rows without it."""
    correct_rejections: int
    """Negative rows without it."""

    @property
    def rows(self) -> int:
        """All rows."""
        return self.hits + self.false_alarms + self.misses + self.correct_rejections

    @property
    def actions(self) -> int:
        """Rows with the action."""
        return self.hits + self.false_alarms

    @property
    def positives(self) -> int:
        """Rows of outcome 1."""
        return self.hits + self.misses

    @property
    def precision(self) -> float | None:
        """Share of the actions that were right; None without an action."""
        return self.hits / self.actions if self.actions else None

    @property
    def recall(self) -> float | None:
        """Share of the positive rows that got the action; None without a positive row."""
        return self.hits / self.positives if self.positives else None


class ReliabilityPoint(Document):
    """Rows with similar probabilities."""

    rows: int
    mean_probability: float
    observed_rate: float


class BinaryContender(Document):
    """Counts and curves of one contender."""

    confusion: Confusion
    calibration: tuple[ReliabilityPoint, ...]
    """The reliability curve, in the order of rising probability."""
    precision_recall: Curve
    """Pairs (recall, precision)."""
    roc: Curve
    """Pairs (false positive rate, true positive rate)."""


class ThresholdSearch(BaseModel):
    """How the threshold was chosen: what `BinaryTask.fit_policy` finds; `ensemble` adds the rows and their time."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    chosen: ThresholdPoint
    break_even: float
    """Probability from which an action pays."""
    curve: tuple[ThresholdPoint, ...]


def describe_binary(y: Array, p: Array, decided: Decisions) -> BinaryContender:
    """Count and trace one contender on test rows; curves are thinned out for drawing."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    precision, recall, _ = precision_recall_curve(y, p)
    alarms, hits, _ = roc_curve(y, p)
    positive, acted = y == 1, np.asarray(decided, dtype=bool)
    return BinaryContender(
        confusion=Confusion(
            hits=int((positive & acted).sum()),
            false_alarms=int((~positive & acted).sum()),
            misses=int((positive & ~acted).sum()),
            correct_rejections=int((~positive & ~acted).sum()),
        ),
        calibration=tuple(ReliabilityPoint(**vars(group)) for group in bin_calibration(y, p)),
        precision_recall=_thin(recall, precision),
        roc=_thin(alarms, hits),
    )


def list_roc_points(y: ArrayLike, p: ArrayLike) -> tuple[list[float], list[float], list[float]]:
    """Return false and true positive rates with their thresholds, at most 50 points."""
    from sklearn.metrics import roc_curve

    alarms, hits, thresholds = roc_curve(y, p)
    places = np.unique(np.linspace(0, len(alarms) - 1, _ROC_POINTS).astype(int))
    # The curve starts above every probability, which scikit-learn writes as infinity and JSON cannot.
    finite = np.where(np.isfinite(thresholds), thresholds, 1.0)
    return alarms[places].tolist(), hits[places].tolist(), finite[places].tolist()


def _thin(x: Array, y: Array) -> Curve:
    places = np.unique(np.linspace(0, len(x) - 1, _CURVE_POINTS).astype(int))
    return tuple((round(float(x[place]), 5), round(float(y[place]), 5)) for place in places)
