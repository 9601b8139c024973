"""A finding: one statement about the training rows, with its numbers, its weight and its picture.

In: statements drawn by the `findings_*` modules. Out: `findings.json` and one SVG a finding, most important first.
Called by explore; the report reads the JSON.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from components.base.text.figures import render_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Severity = Literal["critical", "warning", "insight", "note"]
Kind = Literal["leak", "missing", "shift", "outlier", "relation", "target", "group", "feature", "distribution"]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "insight", "note")


@dataclass(frozen=True)
class Finding:
    """One statement, as it is written to `findings.json`."""

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
    feature: str | None
    effect: float
    """Strength from 0 to 1; ranks findings of one severity."""


@dataclass(frozen=True)
class Statement:
    """A finding with its picture still to be written."""

    finding: Finding
    figure: "Figure"


def state(finding: dict[str, Any], figure: "Figure") -> Statement:
    """Join the parts of a finding with its figure; the picture is named after the finding."""
    parts = {"feature": None, **finding, "picture": f"{finding['id']}.svg"}
    return Statement(Finding(**parts), figure)


def rank_statements(statements: list[Statement]) -> list[Statement]:
    """Order by severity, within it leaks first, then by effect; equal ones by id, so that chance orders nothing."""
    return sorted(statements, key=lambda statement: _rank(statement.finding))


def write_statements(statements: list[Statement], folder: Path) -> list[dict[str, Any]]:
    """Write every picture, best first, and return the findings as JSON-able records."""
    ranked = rank_statements(statements)
    for statement in ranked:
        picture = render_svg(statement.figure, statement.finding.alt)
        (folder / statement.finding.picture).write_text(picture, encoding="utf-8")
    return [asdict(statement.finding) for statement in ranked]


def _rank(finding: Finding) -> tuple[int, bool, float, str]:
    return SEVERITIES.index(finding.severity), finding.kind != "leak", -finding.effect, finding.id
