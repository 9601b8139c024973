"""The library of reports in the object store: the pages of each run, kept for everyone who may read them.

In: the folder that `present` or `report` wrote. Out: `<problem>/reports/<pipeline>/<name>/<file>`; `summary.json` comes
last, so that a run is listed when all of its pages are there. A run that is repeated replaces its pages. Called by the
two steps; the reports service reads.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import orjson

from components.base.adapters.s3 import ObjectStore, StoredObject
from components.base.errors import DataError
from components.base.local_run import LocalRun
from components.base.run_records import RunRecords
from components.base.times import parse_time

_SUMMARY = "summary.json"
# The page that a person opens first, by pipeline.
FRONT_PAGES = {"training": "report.html", "monitoring": "daily.html"}
_PAGE_SUFFIXES = (".html", ".md")


def publish_release(store: ObjectStore, problem: str, as_of: str, run_id: str, folder: Path) -> str:
    """Keep the report of a training; return the place of its summary."""
    return _publish(store, _release_prefix(problem, as_of, run_id), folder)


def find_release_report(store: ObjectStore, problem: str, as_of: str, run_id: str) -> str | None:
    """Return the URI of the report of a training; None where the store has none."""
    key = f"{_release_prefix(problem, as_of, run_id)}/{FRONT_PAGES['training']}"
    return store.uri(key) if store.exists(key) else None


def _release_prefix(problem: str, as_of: str, run_id: str) -> str:
    return f"{problem}/reports/training/{_name(parse_time(as_of))}-{run_id}"


def publish_window(store: ObjectStore, problem: str, as_of: datetime, folder: Path) -> str:
    """Keep the reports of a monitored window; return the place of their summary."""
    return _publish(store, f"{problem}/reports/monitoring/{_name(as_of)}", folder)


def _publish(store: ObjectStore, prefix: str, folder: Path) -> str:
    for page in sorted(path for path in folder.iterdir() if path.suffix in _PAGE_SUFFIXES):
        store.put_file(f"{prefix}/{page.name}", page)
    return store.put_file(f"{prefix}/{_SUMMARY}", folder / _SUMMARY)


def _name(as_of: datetime) -> str:
    # Without the colons, which a browser's address and a downloaded file would carry on as %3A.
    return f"{as_of:%Y-%m-%dT%H%M%S}"


class Library:
    """The runs of some problems, with the keys of their pages; a summary is read again only when it has changed."""

    def __init__(self, store: ObjectStore, problems: Sequence[str]) -> None:
        """Read nothing yet."""
        self.problems = tuple(problems)
        self._store = store
        self._runs = {problem: RunRecords(store, problem) for problem in problems}
        self._known: dict[tuple[str, str], LocalRun] = {}

    def list_runs(self) -> tuple[list[LocalRun], set[str]]:
        """Return all runs, `report` being a key, and the keys of all pages.

        Raises:
            DataError: a summary or a record cannot be read.
            StoreUnavailableError: the object store does not answer.
        """
        records: list[LocalRun] = []
        pages: set[str] = set()
        known = {}
        for problem, runs in self._runs.items():
            found = self._store.list_objects(f"{problem}/reports/")
            pages |= {entry.key for entry in found if entry.key.endswith(_PAGE_SUFFIXES)}
            for entry in found:
                if entry.key.endswith(f"/{_SUMMARY}"):
                    place = (entry.key, entry.etag)
                    known[place] = self._known.get(place) or self._read_summary(problem, entry)
            # A run that failed has no report, and a refresh none in any case.
            records += [
                LocalRun.model_validate(run.model_dump(mode="json") | {"report": None})
                for run in runs.read()
                if run.status == "failed" or run.pipeline == "refresh"
            ]
        self._known = known
        return [*records, *known.values()], pages

    def read_page(self, key: str) -> bytes:
        """Return a page.

        Raises:
            ObjectMissingError: there is none.
        """
        return self._store.get_bytes(key)

    def _read_summary(self, problem: str, entry: StoredObject) -> LocalRun:
        _, _, pipeline, name, _ = entry.key.split("/")
        try:
            summary = orjson.loads(self._store.get_bytes(entry.key))
        except orjson.JSONDecodeError as error:
            raise DataError(f"report {entry.key}: it must be JSON, but got {error}. Remove it.") from error
        own = {
            "name": name,
            "problem": problem,
            "pipeline": pipeline,
            "status": "done",
            "started": entry.modified_at.isoformat(),
            "report": entry.key.removesuffix(_SUMMARY) + FRONT_PAGES[pipeline],
        }
        return LocalRun.model_validate({**summary, **own})
