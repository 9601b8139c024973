"""Record how a run of a pipeline ended, with the age of the data that it read, on one machine and on a cluster.

In: what the runner knows of the run. Out: the quality report of validation under the run's `as_of`, and the record of
the run beside those before it, which the exporter reads. Called by `pipelines/runners/run.py` on one machine, and on a
cluster by the exit handler's `notify` step, which learns from `step_faults` which step failed, and why.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from components.base.adapters.s3 import ObjectStore
from components.base.errors import DataError
from components.base.run_records import PipelineRun, write_record
from components.base.runner import Pipeline
from components.base.step_faults import read_faults
from components.base.times import parse_time
from components.data.quality import Quality

_DAY = timedelta(days=1)


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


def find_earlier_quality(store: ObjectStore, problem: str, as_of: datetime) -> Quality | None:
    """Return the newest report that is at least a day older than `as_of`; None where there is none.

    Refresh and monitoring of one day are compared with those of the day before, and find the same.

    Raises:
        DataError: the object is no quality report.
    """
    last = _quality_key(problem, as_of - _DAY)
    keys = [entry.key for entry in store.list_objects(f"{problem}/quality/") if entry.key <= last]
    return _read_quality(store, max(keys)) if keys else None


def record_run(store: ObjectStore, run: PipelineRun) -> str:
    """Write the record of a run with the age and the changes of each source at its `as_of`; return its URI."""
    key = _quality_key(run.problem, run.as_of)
    if not store.exists(key):
        return write_record(store, run)
    sources = _read_quality(store, key).sources
    ages = {name: source.freshness.age_hours for name, source in sources.items() if source.freshness}
    measured = {
        "source_age_hours": {name: age for name, age in ages.items() if age is not None},
        "source_changes": {name: len(source.changes) for name, source in sources.items()},
    }
    return write_record(store, run.model_copy(update=measured))


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


def _read_quality(store: ObjectStore, key: str) -> Quality:
    try:
        return Quality.model_validate_json(store.get_bytes(key))
    except ValidationError as error:
        raise DataError(f"{key}: it must be a quality report, but got {error}. Remove it.") from error


def _quality_key(problem: str, as_of: datetime) -> str:
    return f"{problem}/quality/{as_of.astimezone(UTC):%Y%m%dT%H%M%SZ}.json"
