"""Records of pipeline runs in the object store: one JSON per run.

In: a run that has ended, from `components/data/run_end.py`. Out:
`<problem>/runs/<pipeline>/<name>.json`. The exporter reads them: what ran, what failed, what is overdue. Old records
stay: the exporter counts them, and a counter must not fall.
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from components.base.adapters.s3 import ObjectStore
from components.base.errors import DataError
from components.base.runner import Pipeline


class PipelineRun(BaseModel):
    """One run of one pipeline, written when it has ended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pipeline: Pipeline
    problem: str
    name: str
    """Unique among the runs of the pipeline."""
    as_of: datetime
    """Data known up to this time were read."""
    status: Literal["done", "failed"]
    started: datetime
    """Wall clock, as `ended`."""
    ended: datetime
    seconds: float
    error: str | None = None
    source_age_hours: dict[str, float] = {}
    """Age of the newest accepted row of each source at `as_of`: `age_hours` of validation's quality report."""
    source_changes: dict[str, int] = {}
    """Changes of the data of each source since the report of an earlier snapshot; empty without a report."""


class RunRecords:
    """The records of one problem; an object is read again only when it has changed."""

    def __init__(self, store: ObjectStore, problem: str) -> None:
        """Read nothing yet."""
        self._store = store
        self._problem = problem
        self._known: dict[tuple[str, str], PipelineRun] = {}

    def read(self) -> list[PipelineRun]:
        """Return all records, ordered by their end.

        Raises:
            DataError: an object is not a record.
        """
        found = [entry for entry in self._store.list_objects(f"{self._problem}/runs/") if entry.key.endswith(".json")]
        known = {}
        for entry in found:
            version = (entry.key, entry.etag)
            try:
                known[version] = self._known.get(version) or PipelineRun.model_validate_json(
                    self._store.get_bytes(entry.key)
                )
            except ValueError as error:
                raise DataError(
                    f"run record {entry.key}: it must be the record of a run, but got {error}. Remove it."
                ) from error
        self._known = known
        return sorted(known.values(), key=lambda run: (run.ended, run.name))


def write_record(store: ObjectStore, run: PipelineRun) -> str:
    """Write the record of a run, and replace one with the same name; return its URI."""
    key = f"{run.problem}/runs/{run.pipeline}/{run.name}.json"
    return store.put_bytes(key, run.model_dump_json(indent=1).encode())


def read_records(store: ObjectStore, problem: str) -> list[PipelineRun]:
    """Read all records of a problem, ordered by their end.

    Raises:
        DataError: an object is not a record.
    """
    return RunRecords(store, problem).read()
