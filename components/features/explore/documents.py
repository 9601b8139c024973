"""What explore found, as `findings.json`. Written by the `explore` step, read by the report."""

from typing import Literal

from components.base.documents import Document
from components.base.task import Outcome

Severity = Literal["critical", "warning", "insight", "note"]
Kind = Literal["leak", "missing", "shift", "outlier", "relation", "target", "group", "feature", "distribution"]


class Finding(Document):
    """One statement about the training rows."""

    id: str
    kind: Kind
    severity: Severity
    """critical: do not train on this; warning: look at it; insight: it explains the outcome; note: good to know."""
    headline: str
    """One sentence with its numbers and units."""
    detail: str
    """What it means and how it was measured."""
    picture: str
    """File name beside `findings.json`."""
    alt: str
    """What the picture shows, for those who cannot see it."""
    feature: str | None = None
    blamed: tuple[str, ...] = ()
    """Features that a critical finding is about: each must be mended or accepted by name."""
    accepted: str | None = None
    """The contract's reason to train all the same."""
    effect: float
    """Strength from 0 to 1; ranks findings of one severity."""

    @property
    def is_unanswered(self) -> bool:
        """Whether it must stop the run."""
        return self.severity == "critical" and self.accepted is None


class ExploredFeature(Document):
    """One feature in the training rows."""

    name: str
    kind: Literal["numeric", "categorical"]
    origin: str
    """`request`, or the name of the Feast feature view."""
    description: str
    unit: str | None
    missing_ratio: float
    strength: float
    """Share of the uncertainty about the outcome that the feature removes alone."""
    solo_score: float | None
    """Score of the feature alone: for a binary problem its ROC AUC."""
    psi: float
    """Population stability index of the last third of the rows against the first."""
    low: float | None
    """5 % quantile; None for categories."""
    median: float | None
    high: float | None
    """95 % quantile."""
    groups: int
    """Distinct values."""


class Findings(Document):
    """Everything that explore found."""

    problem: str
    rows: int
    outcome: Outcome
    start: str
    """Time of the first prediction, ISO 8601 in UTC."""
    end: str
    findings: tuple[Finding, ...]
    """Most important first."""
    features: tuple[ExploredFeature, ...]
    """Most informative first."""
    seconds: float
