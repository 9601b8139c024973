"""Present a release: the report for everyone, the model card for the registry's readers, the summary for the terminal.

In: the task and the artifacts of all steps. Out: a folder with `report.html`, `model_card.md` and `summary.json`.
Called by the `present` step.
"""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path

from components.base import documents
from components.base.task import Task
from components.base.text.wording import write_bytes
from components.reports.release.material import Material, read_material
from components.reports.release.page import draw_pictures, render_card, render_report
from components.reports.release.summary import summarise

REPORT, CARD, SUMMARY = "report.html", "model_card.md", "summary.json"


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
