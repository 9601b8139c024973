"""Record how a run of a pipeline ended, with the age of the data that it read, on one machine and on a cluster.

In: what the runner knows of the run. Out: the quality report of validation under the run's `as_of`, and the record of
the run beside those before it, which the exporter reads. Called by `pipelines/runners/run.py` on one machine, and on a
cluster by the exit handler's `notify` step, which learns from `step_faults` which step failed, and why.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from components.base.adapters.s3 import ObjectStore
from components.base.errors import DataError
from components.base.run_records import PipelineRun, write_record
from components.base.runner import Pipeline
from components.base.step_faults import read_faults
from components.base.times import parse_time
from components.data.quality import Quality


@dataclass(frozen=True)
class ClusterRun:
    """What Kubeflow Pipelines tells the exit handler of a run."""

    pipeline: Pipeline
    problem: str
    as_of: str
    run_id: str
    name: str
    """As the UI shows it; not unique."""
    created: str
    """ISO 8601."""
    state: str
    """FAILED, or anything else: a group that came from the cache as a whole is reported as RUNNING."""


def publish_quality(store: ObjectStore, quality: Quality) -> str:
    """Keep the quality report under its problem and `as_of`; return its URI.

    A reused validation has the same snapshot, thus the same `as_of`, and its report lies there already.
    """
    return store.put_bytes(_quality_key(quality.problem, quality.as_of), quality.model_dump_json(indent=1).encode())


def record_run(store: ObjectStore, run: PipelineRun) -> str:
    """Write the record of a run with the age of each source at its `as_of`; return its URI."""
    key = _quality_key(run.problem, run.as_of)
    ages = _read_ages(store, key) if store.exists(key) else {}
    return write_record(store, run.model_copy(update={"source_age_hours": ages}))


def record_cluster_run(store: ObjectStore, run: ClusterRun) -> PipelineRun:
    """Write the record of a run on a cluster, with the reason of the first step that failed."""
    started, ended = parse_time(run.created), datetime.now(UTC)
    has_failed = run.state == "FAILED"
    record = PipelineRun(
        pipeline=run.pipeline,
        problem=run.problem,
        name=f"{re.sub(r'[^A-Za-z0-9.-]+', '-', run.name).strip('-')}-{run.run_id[:8]}",
        as_of=parse_time(run.as_of),
        status="failed" if has_failed else "done",
        started=started,
        ended=ended,
        seconds=(ended - started).total_seconds(),
        error=find_reason(store, run.run_id) if has_failed else None,
    )
    record_run(store, record)
    return record


def find_reason(store: ObjectStore, run_id: str) -> str:
    """Return why a run failed: the words of the step that failed first, or where to look when it left none."""
    faults = read_faults(store, run_id)
    if faults:
        return f"{faults[0].step} failed. {faults[0].reason}"
    return (
        "A step failed and left no reason: its pod ran out of memory or time, or never started. "
        f"Run `kubectl get pods -l pipeline/runid={run_id}` and look at their events."
    )


def _read_ages(store: ObjectStore, key: str) -> dict[str, float]:
    """Return the age of the newest accepted row of each source that has a limit for it."""
    try:
        quality = Quality.model_validate_json(store.get_bytes(key))
    except ValidationError as error:
        raise DataError(f"{key}: it must be a quality report, but got {error}. Remove it.") from error
    ages = {name: source.freshness.age_hours for name, source in quality.sources.items() if source.freshness}
    return {name: age for name, age in ages.items() if age is not None}


def _quality_key(problem: str, as_of: datetime) -> str:
    return f"{problem}/quality/{as_of.astimezone(UTC):%Y%m%dT%H%M%SZ}.json"
