"""Rule on stored episodes, start the runs that were ordered, and follow them to their end.

In: the governor's database, the contracts, the newest monitoring result, the clock. Out: rulings, runs, log lines. One
`Worker` lives in the governor's process, in a thread. A pass may stop at any point: the next one starts again from what
is stored.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from components.base.contract.problem import Problem
from components.base.errors import PermanentError, TidemillError, TransientError
from components.base.runner import Runner, RunReport
from components.base.schedule import find_previous
from components.governor.inbox import Inbox, Times
from components.governor.rule import Episode, Facts, LabelFacts, Ruling, TrainingRun, decide
from components.governor.store import Ledger, RulingStore
from components.governor.timetable import Timetable
from components.governor.words import explain
from components.monitoring.results import MonitoringResult

log = logging.getLogger("governor")
# A run is visible some seconds after its start, when its imports are done. After twice that it is started again.
_UNSEEN_SECONDS = 15
# A run that is not visible two minutes after its start has failed.
_LOST_SECONDS = 120
NewestResult = Callable[[str], MonitoringResult | None]
# A text is the reason why the result cannot be read.
_Newest = MonitoringResult | str | None


@dataclass(frozen=True)
class WorkerParts:
    """What a worker works with."""

    problems: Mapping[str, Problem]
    inbox: Inbox
    store: RulingStore
    runner: Runner
    newest_result: NewestResult
    """Returns the newest monitoring result of a problem, None when there is none yet."""
    read_times: Callable[[], Times]
    timetable: Timetable | None = None
    """Starts refresh and monitoring; None where the platform keeps recurring runs, or somebody else is the clock."""


class Worker:
    """Makes a pass over all problems at every tick, and whenever `wake` is called."""

    def __init__(self, parts: WorkerParts) -> None:
        """Take the parts; `run` starts to work.

        Raises:
            ContractError: a schedule is no cron line.
        """
        self._parts = parts
        self._woken = threading.Event()
        self._stopped = False
        self._troubles: dict[str, str] = {}
        self._started: dict[str, float] = {}
        self.last_pass: datetime | None = None
        for problem in parts.problems.values():
            find_previous(problem.retraining.schedule, datetime.now(UTC))

    def run(self, tick_seconds: float) -> None:
        """Work until `stop`."""
        while not self._stopped:
            self._woken.clear()
            self.make_pass()
            self._woken.wait(tick_seconds)

    def wake(self) -> None:
        """Begin the next pass at once."""
        self._woken.set()

    def stop(self) -> None:
        """Let `run` return after the current pass."""
        self._stopped = True
        self._woken.set()

    def make_pass(self) -> None:
        """Work once on every problem; an error with one problem does not stop the others."""
        is_whole = True
        for name in self._parts.problems:
            try:
                self._follow_run(name)
                self._open_due(name)
                self._settle_all(name)
                self._start_run(name)
                self._start_scheduled(name)
                self._troubles.pop(name, None)
            except Exception as error:
                is_whole = False
                self._report(name, error)
        if is_whole:
            self.last_pass = datetime.now(UTC)

    def _report(self, name: str, error: Exception) -> None:
        """Log an error when it begins, not at every tick."""
        is_ours = isinstance(error, TidemillError)
        words = str(error) if is_ours else f"{type(error).__name__}: {error}"
        if self._troubles.get(name) != words:
            log.warning("governor %s: the next pass tries again: %s", name, words)
        if not is_ours:
            log.debug("governor %s", name, exc_info=error)
        self._troubles[name] = words

    def _follow_run(self, problem: str) -> None:
        """Record the end of the run in flight; start it again when it was started and is not visible."""
        found = self._parts.store.find_in_flight(problem)
        if found is None or found[0].state == "planned":
            return
        run, started = found
        report = self._parts.runner.find(run.key, problem)
        if report.state in ("succeeded", "failed"):
            self._end(run, report)
        if report.state != "unknown":
            return
        unseen_seconds = (self._parts.read_times().wall - started).total_seconds()
        if unseen_seconds > _LOST_SECONDS:
            reason = f"The run was not seen for {unseen_seconds:.0f} s after its start."
            self._end(run, RunReport("failed", reasons=(reason,)))
        elif unseen_seconds > _UNSEEN_SECONDS and time.monotonic() - self._started.get(run.key, 0) > _UNSEEN_SECONDS:
            # Its key keeps a run that is only invisible from running twice.
            self._started[run.key] = time.monotonic()
            self._parts.runner.start(run.key, "training", run.problem, run.as_of)

    def _end(self, run: TrainingRun, report: RunReport) -> None:
        state = report.outcome if report.state == "succeeded" and report.outcome else "failed"
        end = {"state": state, "version": report.version, "reasons": report.reasons}
        self._parts.store.end_run(run.model_copy(update=end), self._parts.read_times().now)
        log.info("run %s: %s%s", run.key, state, f", version {report.version}" if report.version else "")

    def _open_due(self, problem: str) -> None:
        """Open an episode for the newest due time; it covers those that were missed before it."""
        times = self._parts.read_times()
        due = find_previous(self._parts.problems[problem].retraining.schedule, times.now)
        if due > self._parts.inbox.read_schedule_seen_at(problem):
            self._parts.inbox.open_due(problem, due, times)

    def _settle_all(self, problem: str) -> None:
        """Rule on every open episode; an escalation is logged as an error."""
        waiting = self._parts.store.list_open(problem)
        # Labels matter only to an episode that may still start a run.
        newest: _Newest = None
        try:
            if not all(has_run for _, has_run in waiting):
                newest = self._parts.newest_result(problem)
        except TidemillError as error:
            self._report(f"{problem} labels", error)
            newest = str(error)
        for episode_id, _ in waiting:
            times = self._parts.read_times()
            ruling = self._parts.store.settle(episode_id, partial(self._rule, newest, times), times)
            if ruling:
                level = logging.ERROR if ruling.choice == "escalate" else logging.INFO
                log.log(level, "ruling on episode %d of %s: %s: %s", episode_id, problem, ruling.choice, ruling.words)

    def _rule(self, newest: _Newest, times: Times, episode: Episode, ledger: Ledger) -> Ruling | None:
        problem, labels = self._parts.problems[episode.problem], _count_labels(newest, ledger)
        facts = Facts(times.now, times.wall, ledger.runs, labels, ledger.paused_by, ledger.answered_at)
        ruling = decide(episode, problem.retraining, facts)
        return replace(ruling, words=explain(episode, problem, facts, ruling)) if ruling else None

    def _start_run(self, problem: str) -> None:
        """Start the planned run; one that was started before is found by its key."""
        found = self._parts.store.find_in_flight(problem)
        if found is None or found[0].state != "planned":
            return
        run, times = found[0], self._parts.read_times()
        try:
            self._parts.store.begin_run(
                run.key, lambda: self._parts.runner.start(run.key, "training", problem, run.as_of), times
            )
        except TransientError:
            raise
        except PermanentError as error:
            self._end(run, RunReport("failed", reasons=(str(error),)))
            return
        log.info("run %s: started, as of %s", run.key, run.as_of.isoformat())

    def _start_scheduled(self, problem: str) -> None:
        """Start what the contract schedules, unless a training has the machine."""
        if self._parts.timetable is None or self._parts.store.find_in_flight(problem):
            return
        times = self._parts.read_times()
        self._parts.timetable.start_due(self._parts.problems[problem], times.now, times.wall)


def _count_labels(result: _Newest, ledger: Ledger) -> LabelFacts:
    """Read the new labels and the critical findings on features, unless a release came after the result."""
    if isinstance(result, str):
        return LabelFacts(None, gap="out_of_reach")
    if result is None:
        return LabelFacts(None, gap="none_yet")
    promoted = next((run for run in ledger.runs if run.state == "promoted"), None)
    if promoted and promoted.version != result.model_version and (promoted.ended_at or result.as_of) >= result.as_of:
        return LabelFacts(None, gap="older_than_model")
    trained = next((run.as_of for run in ledger.runs if run.version == result.model_version), None)
    critical = [one for one in result.findings if one.topic == "features" and one.severity == "critical"]
    broken = " ".join(f"{one.title}. {one.text}" for one in critical) or None
    return LabelFacts(result.labels.new_since_training, result.model_version, trained, broken=broken)
