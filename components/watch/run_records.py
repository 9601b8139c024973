"""The records of pipeline runs in the object store: what ran, for which moment, and how it ended.

Written after each run to `<problem>/runs/<pipeline>/<name>.json`, read by the exporter, which tells Prometheus when a
pipeline last ended well. The whole record of a local run, with its steps, is in the run's own folder.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from components.base.store import ObjectStore


class PipelineRun(BaseModel):
    """One run of one pipeline."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pipeline: str
    problem: str
    name: str
    as_of: str
    """ISO 8601, UTC: the moment that the run took for now."""
    status: Literal["done", "failed"]
    started: str
    """ISO 8601, UTC, by the wall clock."""
    ended: str
    seconds: float
    error: str | None = None


def write_run(store: ObjectStore, run: PipelineRun) -> str:
    """Write the record of a run, in the place of an earlier one of the same name; return its URI."""
    return store.put_bytes(f"{_prefix(run.problem)}{run.pipeline}/{run.name}.json", run.model_dump_json().encode())


def read_runs(store: ObjectStore, problem: str) -> list[PipelineRun]:
    """Read the records of a problem's runs, the first to end first."""
    keys = [found.key for found in store.list_objects(_prefix(problem)) if found.key.endswith(".json")]
    return sorted((PipelineRun.model_validate_json(store.get_bytes(key)) for key in keys), key=lambda run: run.ended)


def _prefix(problem: str) -> str:
    return f"{problem}/runs/"
