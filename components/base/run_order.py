"""Hold a scheduled run back until the run of another pipeline that was due before it has ended.

In: the records of runs, the contract, the time for which the run was due. Out: the record that ended the wait. Called
by `frame` for monitoring, which comes after its refresh: on a cluster each has a recurring run that knows of no other,
and after an outage both start at once. On one machine `governor/timetable.py` keeps the same order.

Invariants
    a refresh that failed does not hold monitoring up, nor one that never comes: the wait has an end
    a refresh as of a later time counts too, whoever started it
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime

from components.base.adapters.s3 import ObjectStore
from components.base.contract.problem import Problem
from components.base.run_records import PipelineRun, RunRecords
from components.base.schedule import find_previous

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 15.0
# A refresh of the flights takes some minutes on a cluster; four attempts of two of its steps take four more.
PATIENCE_SECONDS = 3600.0


def wait_for_earlier(
    store: ObjectStore,
    problem: Problem,
    pipeline: str,
    due: datetime,
    sleep: Callable[[float], None] = time.sleep,
) -> PipelineRun | None:
    """Wait until the run of the pipeline that the contract schedules last at or before `due` has ended.

    Args:
        store: Keeps the records of runs.
        problem: The contract.
        pipeline: Which must have ended; one without a schedule, or an empty text, is not waited for.
        due: Time for which the waiting run was due.
        sleep: Waits so many seconds.

    Returns:
        The record of that run, done or failed; None when there is nothing to wait for, or when it has not ended in
        `PATIENCE_SECONDS`, which the log says.

    Raises:
        TransientError: the object store does not answer.
    """
    schedule = next((cron for name, cron in problem.schedules.items() if name == pipeline), None)
    if schedule is None:
        return None
    since, records = find_previous(schedule, due), RunRecords(store, problem.name)
    for waited in range(int(PATIENCE_SECONDS / _PAUSE_SECONDS) + 1):
        if waited:
            sleep(_PAUSE_SECONDS)
        ended = [run for run in records.read() if run.pipeline == pipeline and run.as_of >= since]
        if ended:
            if ended[-1].status == "failed":
                log.warning("frame: %s %s failed, and the run goes on: %s", pipeline, ended[-1].name, ended[-1].error)
            return ended[-1]
        if not waited:
            log.info("frame: waits for the %s that was due at %s", pipeline, since.isoformat())
    log.warning(
        "frame: the %s that was due at %s must have ended within %.0f s, but has not, and the run goes on. "
        "Look with `tidemill runs`, and start it with `tidemill submit %s`.",
        pipeline,
        since.isoformat(),
        PATIENCE_SECONDS,
        pipeline,
    )
    return None
