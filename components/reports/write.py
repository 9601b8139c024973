"""Write the reports of a monitoring run: the daily one for engineers, the KPI one for the business, the summary.

In: the task, all monitoring results, the governor's rulings. Out: a folder with `daily.html`, `kpi.html` and
`summary.json`, which the index of reports and the terminal read. Called by the `report` step.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from components.base import documents
from components.base.errors import DataError
from components.base.local_run import WindowNumber
from components.base.task import Task
from components.base.text.wording import write_bytes
from components.governor.rulings import RulingRecord
from components.monitoring.results import MonitoringResult
from components.reports.daily.page import render_daily
from components.reports.daily.pictures import draw_daily
from components.reports.daily.status import build_status
from components.reports.daily.tiles import Tone
from components.reports.history import History, build_history, format_window
from components.reports.kpi.page import draw_kpi, render_kpi

DAILY, KPI, SUMMARY = "daily.html", "kpi.html", "summary.json"


class MonitoringSummary(documents.Document):
    """The newest window in a few fields, of which the record of the run keeps most."""

    problem: str
    as_of: datetime
    model_version: str
    """The version that served."""
    window: str
    """In words."""
    rows: int
    """Served in the window."""
    tone: Tone
    headline: str
    verdict_in_words: str
    numbers: tuple[WindowNumber, ...]


def write_reports(
    task: Task, results: Sequence[MonitoringResult], rulings: Sequence[RulingRecord], folder: Path
) -> dict[str, Path]:
    """Write the reports about the newest result, with the trend over all of them; return the paths by name.

    Args:
        task: The task of the contract.
        results: Of that problem, in any order.
        rulings: As the governor lists them; those of other problems are left out. May be empty.
        folder: Where to write; made when missing.

    Raises:
        DataError: there is no result.
    """
    if not results:
        raise DataError(
            f"report {task.problem.name}: at least one monitoring result must exist, but got 0. Run `make monitor` "
            "first."
        )
    history = build_history(task, results, rulings)
    pages = {
        DAILY: render_daily(history, draw_daily(history), KPI),
        KPI: render_kpi(history, draw_kpi(history), DAILY),
    }
    documents.write(summarise_monitoring(history), folder / SUMMARY)
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    paths = {name: folder / name for name in (*pages, SUMMARY)}
    sizes = ", ".join(f"{name} {write_bytes(path.stat().st_size)}" for name, path in paths.items())
    logging.getLogger(__name__).info("report: %s findings; %s", len(history.newest.findings), sizes)
    return paths


def summarise_monitoring(history: History) -> MonitoringSummary:
    """Build the summary of the newest window."""
    result, status = history.newest, build_status(history)
    return MonitoringSummary(
        problem=result.problem,
        as_of=result.as_of,
        model_version=result.model_version,
        window=format_window(result.window),
        rows=result.traffic.rows,
        tone=status.tone,
        headline=status.title,
        verdict_in_words=f"{status.title}. {status.changed}",
        numbers=tuple(
            WindowNumber(label=tile.label, number=tile.number, note=tile.note, verdict=tile.verdict)
            for tile in status.tiles
        ),
    )
