"""The report and the model card: every part of a release on one page that stands alone.

In: the material of a release. Out: HTML that loads nothing from elsewhere, and Markdown. Called by `present`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.base.contract.types import MetricName
from components.base.text.templating import render
from components.reports.release.headline import answer
from components.reports.release.material import Material
from components.reports.release.pictures_model import MODEL_PICTURES
from components.reports.release.pictures_value import VALUE_PICTURES

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
# What each metric says, in one line for readers who never met it.
METRIC_WORDS: dict[MetricName, str] = {
    "average_precision": "how clean the top of the ranking is; chance gives the share of cases, 1 is perfect",
    "roc_auc": "chance that a case is ranked above a row that is none; 0.5 is chance, 1 is perfect",
    "log_loss": "penalty for confident mistakes; lower is better",
    "brier": "mean squared error of the probabilities; lower is better",
    "calibration_error": "how far probabilities are from what then happens; 0 is perfect",
    "f1": "balance of precision and recall at the threshold; 1 is perfect",
}


def draw_pictures(material: Material) -> dict[str, str]:
    """Draw every picture that the material allows, as SVG by name."""
    drawn = {name: draw(material) for name, draw in {**VALUE_PICTURES, **MODEL_PICTURES}.items()}
    return {name: svg for name, svg in drawn.items() if svg}


def render_report(material: Material, pictures: Mapping[str, str]) -> str:
    """Render the report as one HTML file."""
    return render(_TEMPLATES, "report.html.j2", **_values(material), pictures=pictures, sections=SECTIONS)


def render_card(material: Material) -> str:
    """Render the model card as Markdown: the answer and the gates first."""
    return render(_TEMPLATES, "model_card.md.j2", **_values(material)).strip() + "\n"


def count_decisions(material: Material) -> list[tuple[str, list[tuple[int, float]]]]:
    """Return the confusion matrix at the threshold: by decision and outcome the rows and their worth.

    Empty without an evaluation.
    """
    challenger, opened = material.contenders.get("challenger"), material["evaluation"].get("opened")
    if not challenger or not opened:
        return []
    values = material.problem.business.values
    positives = round(opened["rows"] * opened["positive_ratio"])
    hits = round(challenger["actions"] * (challenger["precision"] or 0))
    false_alarms = challenger["actions"] - hits
    cells = {
        "action": [(hits, values.true_positive), (false_alarms, values.false_positive)],
        "no action": [
            (positives - hits, values.false_negative),
            (opened["rows"] - positives - false_alarms, values.true_negative),
        ],
    }
    return [(label, [(rows, rows * worth) for rows, worth in row]) for label, row in cells.items()]


def _values(material: Material) -> dict[str, Any]:
    problem = material.problem
    guards = [guard.metric for guard in problem.metrics.guards]
    return {
        **material.documents,
        "release": material.release,
        "deployment": material.deployment,
        "quality": material.quality,
        "dictionary": material.dictionary,
        "problem": problem,
        "prepared": material.prepared,
        "run_id": material.run_id,
        "as_of": material.as_of,
        "noun": material.noun,
        "outcome": material.outcome,
        "currency": problem.business.currency,
        "contenders": material.contenders,
        "role_names": {role: material.name_role(role) for role in material.contenders},
        "metric_words": METRIC_WORDS,
        "shown_metrics": list(dict.fromkeys([problem.metrics.primary, *guards])),
        "answer": answer(material),
        "confusion": count_decisions(material),
        "finding_pictures": material.pictures,
        "manifest": material.manifest,
    }
