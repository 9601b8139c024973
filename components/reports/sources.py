"""Gather what the reports of a window are written from: the results up to it, and what the governor decided.

In: the contract, the result of the monitoring run, the settings. Out: the folder that `report` writes. Called by the
`report` step. Where no governor has run, or its database is out of reach, the reports say nothing of decisions and are
written all the same.
"""

import logging
import shutil
from pathlib import Path
from typing import Any

from components.base.adapters.s3 import open_store
from components.base.contract.problem import Problem
from components.base.errors import TidemillError
from components.base.settings import Settings
from components.monitoring.results import MonitoringResult, read_results
from components.reports.write import DAILY, KPI, write_reports

log = logging.getLogger(__name__)
_SQLITE = "sqlite:///"
# More than the governor takes in a year of daily budgets.
_DECISIONS = 400


def report_window(problem: Problem, result: Path, settings: Settings, folder: Path) -> None:
    """Write the reports of the result in the file; results of later moments are not seen.

    Raises:
        StoreUnavailableError: the object store does not answer.
    """
    newest = MonitoringResult.model_validate_json(result.read_text(encoding="utf-8"))
    earlier = [one for one in read_results(open_store(settings), problem.name) if one.as_of < newest.as_of]
    write_reports(problem, [*earlier, newest], list_decisions(problem, settings), folder)


def copy_pages(folder: Path, daily: Path, kpi: Path) -> None:
    """Copy the pages to the artifacts that the Kubeflow UI shows."""
    for page, target in ((DAILY, daily), (KPI, kpi)):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / page, target)


def list_decisions(problem: Problem, settings: Settings) -> list[dict[str, Any]]:
    """Return the governor's decisions on a problem, the newest first; none where it never ran."""
    url = settings.governor_database
    if url.startswith(_SQLITE) and not Path(url.removeprefix(_SQLITE)).is_file():
        return []
    from components.governor.archive import Archive
    from components.governor.schema import Database

    try:
        found = Archive(Database(url)).list_decisions(problem.name, _DECISIONS)
    except TidemillError as error:
        log.warning("report: written without the governor's decisions: %s", error)
        return []
    return [decision.model_dump() for decision in found]
