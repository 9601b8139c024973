"""Present a release: the report for everyone, the model card for the registry's readers, the summary for the terminal.

In: the task and the artifacts of all steps. Out: a folder with `report.html`, one page that loads nothing from
elsewhere, `model_card.md` and `summary.json`. Called by the `present` step.
"""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from components.base import documents
from components.base.task import Task
from components.base.text.templating import render
from components.base.text.wording import write_bytes
from components.reports.release.headline import build_answer
from components.reports.release.material import Material, read_material
from components.reports.release.pictures import (
    draw_importance,
    draw_leaderboard,
    draw_months,
    draw_split,
    draw_tuning,
    draw_value,
    draw_value_by_day,
)
from components.reports.release.summary import summarise
from components.reports.release.task_report import Picture

REPORT, CARD, SUMMARY = "report.html", "model_card.md", "summary.json"
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


def present_release(task: Task, run_id: str, as_of: str, places: Mapping[str, Path], folder: Path) -> Material:
    """Write report, model card and summary into `folder`.

    Args:
        task: The task of the contract.
        run_id: The run's id in Kubeflow Pipelines.
        as_of: ISO 8601, UTC.
        places: Path of each step's artifact, as `read_material` takes them.
        folder: Where to write; made when missing.
    """
    material = read_material(task, run_id, as_of, places)
    folder.mkdir(parents=True, exist_ok=True)
    report = render_report(material, draw_pictures(material))
    (folder / REPORT).write_text(report, encoding="utf-8")
    (folder / CARD).write_text(render_card(material), encoding="utf-8")
    documents.write(summarise(material), folder / SUMMARY)
    logging.getLogger(__name__).info(
        "present: a report of %s, %s findings", write_bytes(len(report.encode())), len(material.pictures)
    )
    return material


def copy_presentation(folder: Path, report: Path, card: Path) -> None:
    """Copy report and card to where the Kubeflow UI looks for its HTML and Markdown."""
    for source, target in ((folder / REPORT, report), (folder / CARD, card)):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


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
    read = {field.name: getattr(material, field.name) for field in fields(material) if field.name != "pictures"}
    return render(
        (_TEMPLATES, report.templates),
        template,
        **read,
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
        cut_short=material.cut_short,
        failed_families=material.failed,
        measured_on=material.measured_on,
        served=material.served,
        **values,
    )
