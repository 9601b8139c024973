"""Records of local runs: one JSON per run, `last-run.json` for the newest one. `tidemill runs` lists them.

What the steps of a run left lies in its folder too; `tidemill adopt` reads the newest findings of explore there.
"""

import logging
import shutil
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from components.base import documents
from components.base.contract.problem import Problem
from components.base.errors import DataError
from components.base.local_run import LocalRun
from components.features.explore.documents import Findings


def write_record(home: Path, record: LocalRun) -> Path:
    """Write the record beside the run's log and as `last-run.json`; return the latter."""
    last = home / "last-run.json"
    for path in (Path(record.log).with_name("run.json"), last):
        documents.write(record, path)
    return last


def read_records(home: Path) -> list[LocalRun]:
    """Read the records of all runs, oldest first; a damaged one is left out, with a warning that names its file."""
    records = []
    for file in home.glob("runs/*/run.json"):
        try:
            records.append(documents.read(LocalRun, file))
        except DataError as error:
            logging.getLogger(__name__).warning("The list leaves out a run. %s", error)
    return sorted(records, key=lambda record: record.started)


def find_expired_runs(home: Path, problem: Problem, now: datetime) -> list[Path]:
    """Return the folders of a problem's runs that ended before the contract's `keep.run_days`, the oldest first.

    The newest run of each pipeline stays.
    """
    if problem.keep.run_days is None:
        return []
    limit = now - timedelta(days=problem.keep.run_days)
    records = [record for record in read_records(home) if record.problem == problem.name]
    newest = {record.pipeline: record.name for record in records}
    return [
        home / "runs" / record.name
        for record in records
        if datetime.fromisoformat(record.started) < limit and record.name != newest[record.pipeline]
    ]


def delete_runs(folders: Iterable[Path]) -> None:
    """Delete the folders of runs; a step that a later run reused from one of them is computed again when needed."""
    for folder in folders:
        shutil.rmtree(folder)


def read_last_findings(home: Path, problem: str) -> Findings:
    """Read what explore wrote last for a problem, also in a run that its findings stopped.

    Raises:
        DataError: no training of the problem has explored its rows here.
    """
    files = sorted(
        home.glob("runs/*/steps/*/explore/profile/findings.json"), key=lambda file: file.stat().st_mtime, reverse=True
    )
    for file in files:
        findings = documents.read(Findings, file)
        if findings.problem == problem:
            return findings
    raise DataError(
        f"findings of {problem}: a training must have explored the rows on this machine, but none has. Train first: "
        f"`tidemill run training --problem {problem} --as-of YYYY-MM-DD`."
    )
