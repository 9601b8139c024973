"""What explore found, as `findings.json`. Written by the `explore` step, read by the report and by `tidemill adopt`."""

from typing import Any, Literal

from components.base.contract.edit import format_entry
from components.base.contract.problem import Assumption
from components.base.contract.upgrade import Location
from components.base.documents import Document
from components.base.task import Outcome

Severity = Literal["critical", "warning", "insight", "note"]
Kind = Literal["leak", "missing", "shift", "outlier", "relation", "target", "group", "feature", "distribution"]

ContractField = Literal["minimum", "maximum", "allowed", "assumptions"]


class Proposal(Document):
    """A line of the contract by which the next validation checks what a finding says of a column."""

    source: str
    column: str
    field: ContractField
    """Limits of a row are fields of the column; `assumptions` limit all rows of the source together."""
    value: float | tuple[str, ...] | Assumption
    basis: str
    """How the value follows from the training rows, with its margin, and what breaking it does."""

    @property
    def place(self) -> Location:
        """Where the contract takes it."""
        is_list = self.field == "assumptions"
        return (self.field,) if is_list else ("sources", self.source, "columns", self.column, self.field)

    @property
    def entry(self) -> Any:
        """The value as YAML holds it; whole numbers without a point."""
        if isinstance(self.value, Assumption):
            item = self.value.model_dump(exclude_none=True)
            return item | {"maximum": _drop_point(item["maximum"])}
        return list(self.value) if isinstance(self.value, tuple) else _drop_point(self.value)

    @property
    def line(self) -> str:
        """Its place and value in words of the contract."""
        return f"{'.'.join(map(str, self.place))}: {format_entry(self.entry)}"


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
    proposals: tuple[Proposal, ...] = ()
    """Lines of the contract that check it; none where the contract checks it already, or cannot."""

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


def _drop_point(number: float) -> float:
    return int(number) if number == int(number) else number
