"""Turn stored episodes into decisions, start the runs that were decided, and follow them to their end.

In: the governor's database, the contracts, the newest monitoring result, the clock. Out: rulings, runs, log lines. One
`Worker` lives in the governor's process, in a thread; its passes may be cut off anywhere and are made again from what
is stored.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from components.base.contract.problem import Problem
from components.base.errors import PermanentError, TidemillError, TransientError
from components.base.schedule import find_previous
from components.governor.inbox import Inbox, Times
from components.governor.launcher import Launcher, RunReport
from components.governor.rule import Episode, Facts, LabelFacts, Policy, Run, decide
from components.governor.store import DecisionStore, Ledger, Ruling
from components.governor.words import explain
from components.monitoring.results import MonitoringResult

log = logging.getLogger("governor")
# A run that was started is seen after a few seconds of imports; twice that, and it is started again under its key.
_UNSEEN_SECONDS = 15
# After it, a run that nobody sees has failed.
_LOST_SECONDS = 120
NewestResult = Callable[[str], MonitoringResult | None]
# A text says why the result cannot be read.
_Newest = MonitoringResult | str | None


@dataclass(frozen=True)
class WorkerParts:
    """What a worker works with."""

    problems: Mapping[str, Problem]
    inbox: Inbox
    store: DecisionStore
    launcher: Launcher
    newest_result: NewestResult
    """Returns the newest monitoring result of a problem, None when there is none yet."""
    read_times: Callable[[], Times]


class Worker:
    """Makes passes over all problems, whenever it is woken and at every tick."""

    def __init__(self, parts: WorkerParts) -> None:
        """Take the parts; `run` starts to work.

        Raises:
            ContractError: a schedule is no cron line.
        """
        self._parts = parts
        self._policies = {name: Policy.of(problem) for name, problem in parts.problems.items()}
        self._woken = threading.Event()
        self._stopped = False
        self._troubles: dict[str, str] = {}
        self._started: dict[str, float] = {}
        self.last_pass: datetime | None = None
        for problem in parts.problems.values():
            find_previous(problem.retraining.schedule, datetime.now(UTC))

    def run(self, tick_seconds: float) -> None:
        """Work until `stop`; `wake` makes the next pass begin at once."""
        while not self._stopped:
            self._woken.clear()
            self.make_pass()
            self._woken.wait(tick_seconds)

    def wake(self) -> None:
        """Begin the next pass at once."""
        self._woken.set()

    def stop(self) -> None:
        """Let `run` return after the pass that it is in."""
        self._stopped = True
        self._woken.set()

    def make_pass(self) -> None:
        """Work once on every problem; what goes wrong with one keeps no other from its turn."""
        whole = True
        for name in self._parts.problems:
            try:
                self._work(name)
                self._troubles.pop(name, None)
            except TidemillError as error:
                whole = False
                self._report(name, error)
            except Exception as error:
                whole = False
                self._report(name, error)
                log.debug("governor %s", name, exc_info=True)
        if whole:
            self.last_pass = datetime.now(UTC)

    def _report(self, name: str, error: Exception) -> None:
        """Log a trouble when it begins, not at every tick."""
        words = str(error) if isinstance(error, TidemillError) else f"{type(error).__name__}: {error}"
        if self._troubles.get(name) != words:
            log.warning("governor %s: this pass is made again at the next tick: %s", name, words)
        self._troubles[name] = words

    def _work(self, problem: str) -> None:
        self._follow(problem)
        self._look_at_schedule(problem)
        self._settle_all(problem)
        self._begin(problem)

    def _follow(self, problem: str) -> None:
        """Look after the run in flight."""
        found = self._parts.store.find_in_flight(problem)
        if found is None or found[0].state == "planned":
            return
        run, started = found
        report = self._parts.launcher.find(run.key, problem)
        if report.state == "unknown":
            report = self._seek(run, started)
        if report.state in ("succeeded", "failed"):
            self._end(run, report)

    def _seek(self, run: Run, started: datetime) -> RunReport:
        """Start a run again that was started and cannot be seen; its key keeps it from running twice."""
        times = self._parts.read_times()
        unseen_seconds = (times.wall - started).total_seconds()
        if unseen_seconds > _LOST_SECONDS:
            return RunReport("failed", reasons=(f"The run was not seen for {unseen_seconds:.0f} s after its start.",))
        if unseen_seconds > _UNSEEN_SECONDS and time.monotonic() - self._started.get(run.key, 0) > _UNSEEN_SECONDS:
            self._started[run.key] = time.monotonic()
            self._parts.launcher.start(run.key, run.problem, run.as_of)
        return RunReport("unknown")

    def _end(self, run: Run, report: RunReport) -> None:
        state = report.outcome if report.state == "succeeded" and report.outcome else "failed"
        times = self._parts.read_times()
        self._parts.store.end_run(replace(run, state=state, version=report.version, reasons=report.reasons), times.now)
        log.info("run %s: %s%s", run.key, state, f", version {report.version}" if report.version else "")

    def _look_at_schedule(self, problem: str) -> None:
        """Open an episode for the newest due moment; those that were missed before it are covered by it."""
        times = self._parts.read_times()
        due = find_previous(self._parts.problems[problem].retraining.schedule, times.now)
        if due > self._parts.inbox.seen_schedule(problem):
            self._parts.inbox.open_due(problem, due, times)

    def _settle_all(self, problem: str) -> None:
        waiting = self._parts.store.list_open(problem)
        is_wanted = not all(has_run for _, has_run in waiting)
        newest = self._read_newest(problem) if is_wanted else None
        for episode_id, _ in waiting:
            times = self._parts.read_times()
            judge = self._judge(problem, newest, times)
            ruling = self._parts.store.settle(episode_id, judge, times)
            if ruling:
                level = logging.ERROR if ruling.choice == "escalate" else logging.INFO
                log.log(level, "decision %d of %s: %s", episode_id, problem, ruling.words)

    def _judge(self, problem: str, result: _Newest, times: Times) -> Callable[[Episode, Ledger], Ruling | None]:
        policy = self._policies[problem]

        def judge(episode: Episode, ledger: Ledger) -> Ruling | None:
            labels = _count_labels(result, ledger)
            facts = Facts(times.now, ledger.runs, labels, ledger.paused_by, ledger.answered_at)
            verdict = decide(episode, policy, facts)
            if verdict is None:
                return None
            as_of = times.now if verdict.reason == "worth_it" else None
            return Ruling(verdict.choice, verdict.reason, explain(episode, policy, facts, verdict), as_of)

        return judge

    def _read_newest(self, problem: str) -> _Newest:
        """Return the newest monitoring result; in place of one that cannot be read, why."""
        try:
            return self._parts.newest_result(problem)
        except TidemillError as error:
            self._report(f"{problem} labels", error)
            return str(error)

    def _begin(self, problem: str) -> None:
        """Start the planned run; what was started before is found by its key."""
        found = self._parts.store.find_in_flight(problem)
        if found is None or found[0].state != "planned":
            return
        run, times = found[0], self._parts.read_times()
        try:
            self._parts.store.begin_run(run.key, lambda: self._parts.launcher.start(run.key, problem, run.as_of), times)
        except TransientError:
            raise
        except PermanentError as error:
            self._end(run, RunReport("failed", reasons=(str(error),)))
            return
        log.info("run %s: started, as of %s", run.key, run.as_of.isoformat())


def _count_labels(result: _Newest, ledger: Ledger) -> LabelFacts:
    """Take the new labels out of a monitoring result, unless a release has made it old."""
    if isinstance(result, str):
        return LabelFacts(None, gap="out_of_reach")
    if result is None:
        return LabelFacts(None, gap="none_yet")
    promoted = next((run for run in ledger.runs if run.state == "promoted"), None)
    if promoted and promoted.version != result.model_version and (promoted.ended_at or result.as_of) >= result.as_of:
        return LabelFacts(None, gap="older_than_model")
    trained = next((run.as_of for run in ledger.runs if run.version == result.model_version), None)
    return LabelFacts(result.labels.new_since_training, result.model_version, trained, broken=_find_broken(result))


def _find_broken(result: MonitoringResult) -> str | None:
    """Return what is critically wrong with the features as served."""
    critical = [one for one in result.findings if one.topic == "features" and one.severity == "critical"]
    return " ".join(f"{one.title}. {one.text}" for one in critical) or None
