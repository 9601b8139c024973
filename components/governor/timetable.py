"""Start on one machine what the contracts schedule: each refresh, and after it the monitoring.

In: the contracts, a runner, the time. Out: runs, each with a key made of problem, pipeline and due time, so that a due
time is one run however often it is looked at. Called by the worker in each of its passes. On a cluster Kubeflow keeps
recurring runs instead; trainings are due by `retraining.schedule`, on which the governor rules.

Invariants
    of the due times that were missed only the newest is made up; one before the problem was known never is
    monitoring does not start while the refresh before it runs; a refresh that failed does not hold it up
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from components.base.contract.problem import Problem
from components.base.runner import Runner
from components.base.schedule import find_previous

log = logging.getLogger("governor")
# A run is visible some seconds after its start. After this it is started again; its key keeps it from running twice.
_UNSEEN = timedelta(seconds=120)


class Timetable:
    """The clock of one machine."""

    def __init__(self, runner: Runner, known_since: Mapping[str, datetime]) -> None:
        """Start nothing yet.

        Args:
            runner: Starts the runs.
            known_since: Problem to the time up to which its due times are handled.
        """
        self._runner = runner
        self._known_since = known_since
        self._started: dict[str, datetime] = {}

    def start_due(self, problem: Problem, now: datetime, wall: datetime) -> None:
        """Start what is due and has not run; what comes after a run in flight waits for the next call.

        Args:
            problem: The contract.
            now: On the clock of the data, by which a run is due.
            wall: On the clock of the machine.

        Raises:
            TransientError: a run could not be started or looked up now.
            PermanentError: it can never be started.
        """
        for pipeline, schedule in problem.schedules.items():
            due = find_previous(schedule, now)
            if due <= self._known_since[problem.name]:
                continue
            key = f"{problem.name}-{pipeline}-{due:%Y-%m-%dT%H%M}"
            state = self._runner.find(key, problem.name).state
            if state == "unknown" and wall - self._started.get(key, datetime.min.replace(tzinfo=wall.tzinfo)) > _UNSEEN:
                self._runner.start(key, pipeline, problem.name, due)
                self._started[key] = wall
                log.info("run %s: started, as of %s", key, due.isoformat())
            if state in ("unknown", "running"):
                return
