"""Records of pipeline runs in the object store: one JSON a run, the same here and on a cluster.

In: a run that has ended, from whoever ran it (`pipelines/runners/run.py`; on a cluster nobody writes them yet). Out:
`<problem>/runs/<pipeline>/<name>.json`. The exporter reads them: what ran, what failed, what is overdue. Nothing is
judged here, and nothing removes old records: a counter that is counted from them would fall.
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from components.base.adapters.s3 import ObjectStore
from components.base.errors import DataError

Pipeline = Literal["training", "refresh", "monitoring"]


class PipelineRun(BaseModel):
    """One run of one pipeline, written when it has ended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pipeline: Pipeline
    problem: str
    name: str
    """Unique among the runs of its pipeline."""
    as_of: datetime
    """The moment whose data the run saw."""
    status: Literal["done", "failed"]
    started: datetime
    """By the wall clock, like `ended`."""
    ended: datetime
    seconds: float
    error: str | None = None
    source_age_hours: dict[str, float] = {}
    """Age of the newest accepted row of each source at `as_of`: `age_hours` of validation's quality report."""


class RunRecords:
    """The records of one problem; each object is read once, and again only when it has changed."""

    def __init__(self, store: ObjectStore, problem: str) -> None:
        """Read nothing yet."""
        self._store = store
        self._problem = problem
        self._known: dict[tuple[str, str], PipelineRun] = {}

    def read(self) -> list[PipelineRun]:
        """Return all records, the one that ended first first.

        Raises:
            DataError: an object is no record.
        """
        found = [entry for entry in self._store.list_objects(_prefix(self._problem)) if entry.key.endswith(".json")]
        self._known = {
            (entry.key, entry.etag): self._known.get((entry.key, entry.etag)) or _read(self._store, entry.key)
            for entry in found
        }
        return sorted(self._known.values(), key=lambda run: (run.ended, run.name))


def write_record(store: ObjectStore, run: PipelineRun) -> str:
    """Write the record of a run, in the place of an earlier one of the same name; return its URI."""
    key = f"{_prefix(run.problem)}{run.pipeline}/{run.name}.json"
    return store.put_bytes(key, run.model_dump_json(indent=1).encode())


def read_records(store: ObjectStore, problem: str) -> list[PipelineRun]:
    """Read all records of a problem, the one that ended first first.

    Raises:
        DataError: an object is no record.
    """
    return RunRecords(store, problem).read()


def _prefix(problem: str) -> str:
    return f"{problem}/runs/"


def _read(store: ObjectStore, key: str) -> PipelineRun:
    try:
        return PipelineRun.model_validate_json(store.get_bytes(key))
    except ValueError as error:
        raise DataError(f"run record {key}: it must be the record of a run, but got {error}. Remove it.") from error
