"""The report and the model card: every part of a release on one page that stands alone.

In: the material of a release. Out: HTML that loads nothing from elsewhere, and Markdown. Called by `present`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from components.base.text.templating import render
from components.reports.release.headline import build_answer
from components.reports.release.material import Material
from components.reports.release.pictures_model import (
    draw_importance,
    draw_leaderboard,
    draw_months,
    draw_split,
    draw_tuning,
)
from components.reports.release.pictures_value import draw_value, draw_value_by_day
from components.reports.release.task_report import Picture

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class ReportSection:
    """One section: its template, its heading, and the step that made what it shows."""

    id: str
    title: str
    step: str = ""


SECTIONS = (
    ReportSection("answer", "The answer"),
    ReportSection("framing", "The question", "frame"),
    ReportSection("data", "Data", "ingest · validate"),
    ReportSection("findings", "Findings", "explore"),
    ReportSection("features", "Features and time", "build · prepare"),
    ReportSection("candidates", "Candidates", "select"),
    ReportSection("tuning", "Tuning", "tune"),
    ReportSection("model", "The model", "ensemble"),
    ReportSection("test", "Test", "evaluate"),
    ReportSection("gates", "Gates", "evaluate · deploy"),
    ReportSection("card", "Model card", "present"),
    ReportSection("deployment", "Deployment", "deploy"),
    ReportSection("record", "Decision record", "register"),
)
# Pictures that every kind of problem has; the task adds its own.
PICTURES: dict[str, Picture] = {
    "value": draw_value,
    "value_by_day": draw_value_by_day,
    "leaderboard": draw_leaderboard,
    "split": draw_split,
    "tuning": draw_tuning,
    "importance": draw_importance,
    "months": draw_months,
}


def draw_pictures(material: Material) -> dict[str, str]:
    """Draw every picture that the material allows, as SVG by name."""
    drawn = {name: draw(material) for name, draw in {**PICTURES, **material.task.report.pictures}.items()}
    return {name: svg for name, svg in drawn.items() if svg}


def render_report(material: Material, pictures: Mapping[str, str]) -> str:
    """Render the report as one HTML file."""
    return _render(material, "report.html.j2", pictures=pictures, sections=SECTIONS)


def render_card(material: Material) -> str:
    """Render the model card as Markdown: the answer and the gates first."""
    return _render(material, "model_card.md.j2").strip() + "\n"


def _render(material: Material, template: str, **values: Any) -> str:
    problem, report = material.problem, material.task.report
    guards = [guard.metric for guard in problem.metrics.guards]
    documents = {field.name: getattr(material, field.name) for field in fields(material) if field.name != "pictures"}
    return render(
        (_TEMPLATES, report.templates),
        template,
        **documents,
        **report.collect_values(material),
        format_mean=report.format_mean,
        output_word=report.output_word,
        problem=problem,
        noun=material.problem.noun,
        outcome=material.problem.outcome,
        currency=problem.business.currency,
        contenders=material.contenders,
        role_names={role: material.name_role(role) for role in material.contenders},
        metric_labels={name: metric.label for name, metric in material.task.metrics.items()},
        metric_words=report.metric_words,
        shown_metrics=list(dict.fromkeys([problem.metrics.primary, *guards])),
        answer=build_answer(material),
        finding_pictures=material.pictures,
        **values,
    )
