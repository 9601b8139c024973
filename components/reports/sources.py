"""Read what the reports of a window are written from: the results up to it, and the governor's rulings.

In: the task, the result of the monitoring run, the settings. Out: the folder that `report` writes, and its pages in
the object store. Called by the `report` step. Where no governor has run, or its database is out of reach, the reports
are written without rulings.
"""

import logging
import shutil
from pathlib import Path

from components.base.adapters.s3 import open_store
from components.base.contract.problem import Problem
from components.base.errors import TidemillError
from components.base.settings import Settings
from components.base.task import Task
from components.governor.rulings import RulingRecord
from components.monitoring.results import MonitoringResult, read_results
from components.reports.library import publish_window
from components.reports.write import DAILY, KPI, write_reports

log = logging.getLogger(__name__)
_SQLITE = "sqlite:///"
# More than the runs of a year with a daily budget of one.
_RULINGS = 400


def report_window(task: Task, result: Path, settings: Settings, folder: Path) -> None:
    """Write the reports of the result in the file, and keep them in the object store; later results are left out.

    Raises:
        StoreUnavailableError: the object store does not answer.
    """
    newest = MonitoringResult.model_validate_json(result.read_text(encoding="utf-8"))
    store = open_store(settings)
    earlier = [one for one in read_results(store, task.problem.name) if one.as_of < newest.as_of]
    write_reports(task, [*earlier, newest], list_rulings(task.problem, settings), folder)
    publish_window(store, task.problem.name, newest.as_of, folder)


def copy_pages(folder: Path, daily: Path, kpi: Path) -> None:
    """Copy the pages to the artifacts that the Kubeflow UI shows."""
    for page, target in ((DAILY, daily), (KPI, kpi)):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / page, target)


def list_rulings(problem: Problem, settings: Settings) -> list[RulingRecord]:
    """Return the governor's rulings on a problem, the newest first; none where it never ran."""
    url = settings.governor_database
    if url.startswith(_SQLITE) and not Path(url.removeprefix(_SQLITE)).is_file():
        return []
    from components.governor.archive import Archive
    from components.governor.schema import Database

    try:
        return Archive(Database(url)).list_rulings(problem.name, _RULINGS)
    except TidemillError as error:
        log.warning("report: written without the governor's rulings: %s", error)
        return []
