"""A finding: one statement about the training rows, with its numbers, its weight and its picture.

In: statements of the finders beside it and of the task. Out: findings, most important first, and one SVG for each.
Called by explore; the report reads them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from components.base.text.figures import render_svg
from components.features.explore.documents import Finding, Severity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEVERITIES = get_args(Severity)


@dataclass(frozen=True)
class Statement:
    """A finding with its picture still to be written."""

    finding: Finding
    figure: "Figure"


def state(finding: dict[str, Any], figure: "Figure") -> Statement:
    """Join the parts of a finding with its figure; the picture is named after the finding."""
    return Statement(Finding(**finding, picture=f"{finding['id']}.svg"), figure)


def rank_statements(statements: list[Statement]) -> list[Statement]:
    """Order by severity, within it leaks first, then by effect; equal ones by id, so that chance orders nothing."""

    def place(statement: Statement) -> tuple[int, bool, float, str]:
        finding = statement.finding
        return SEVERITIES.index(finding.severity), finding.kind != "leak", -finding.effect, finding.id

    return sorted(statements, key=place)


def write_statements(statements: list[Statement], folder: Path) -> list[Finding]:
    """Write every picture, and return the findings, most important first."""
    ranked = rank_statements(statements)
    for statement in ranked:
        picture = render_svg(statement.figure, statement.finding.alt)
        (folder / statement.finding.picture).write_text(picture, encoding="utf-8")
    return [statement.finding for statement in ranked]
