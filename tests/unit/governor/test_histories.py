"""Whatever comes in whatever order, the governor keeps its promises: random alerts, clocks, ends and crashes."""

import contextlib
import itertools
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from components.governor.inbox import Times
from tests.unit.governor.world import World, result

# Thousands of commits that each wait for a disk would take half a minute.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
FINGERPRINTS = st.sampled_from(["a", "b", "c"])
STARTS = st.integers(0, 3).map(lambda hour: f"2026-01-01T{hour:02d}:00:00.000000+00:00")
OUTCOMES = st.sampled_from(["promoted", "held", "refused", "failed"])


class GovernorMachine(RuleBasedStateMachine):
    """A governor with a short cooldown and a budget of two, so that every limit is met often."""

    @initialize(cooldown=st.sampled_from([0, 0, 5, 30]), budget=st.integers(1, 2), failures=st.integers(1, 3))
    def begin(self, cooldown, budget, failures):
        self.stack = contextlib.ExitStack()
        folder = self.stack.enter_context(tempfile.TemporaryDirectory(dir=MEMORY))
        self.world = World(
            Path(folder),
            cooldown_hours=cooldown,
            daily_budget=budget,
            maximum_failures=failures,
            minimum_new_labels=100,
            clear_within_hours=60,
            schedule="0 */9 * * *",
        )

    @rule(fingerprint=FINGERPRINTS, starts_at=STARTS, firing=st.booleans(), times=st.integers(1, 3))
    def hear(self, fingerprint, starts_at, firing, times):
        for _ in range(times):
            self.world.alert(fingerprint, starts_at, firing)
        self.world.step()

    @rule(hours=st.sampled_from([0, 0, 1, 2, 9, 30, 100]), outcome=st.none() | OUTCOMES)
    def pass_time(self, hours, outcome):
        if outcome:
            self.world.runner.end(outcome)
        self.world.step(hours)
        self.world.step()

    @rule()
    def turn_back_the_clock(self):
        self.world.now -= timedelta(hours=3)

    @rule(labels=st.sampled_from([99, 100, 5000, 9000]), version=st.sampled_from(["1", "2"]))
    def count_labels(self, labels, version):
        self.world.newest = result(labels, version, self.world.now)

    @rule(outcome=OUTCOMES)
    def end_run(self, outcome):
        self.world.runner.end(outcome)
        self.world.step()
        self.world.step()

    @rule(is_down=st.sampled_from([False, False, True]))
    def break_runner(self, is_down):
        self.world.runner.is_down = is_down

    @rule(outcome=st.none() | OUTCOMES)
    def ask(self, outcome):
        if outcome:
            self.world.runner.end(outcome)
        self.world.wall += timedelta(seconds=1)
        self.world.inbox.open_request(self.world.name, "anna", "", Times(self.world.now, self.world.wall))
        self.world.step()

    @rule(paused=st.sampled_from([False, False, False, True]))
    def steer(self, paused):
        if paused:
            self.world.inbox.pause(self.world.name, "anna", "")
        else:
            self.world.inbox.resume(self.world.name, "anna", self.world.now)

    @rule()
    def crash(self):
        self.world.restart()

    @invariant()
    def every_promise_holds(self):
        if not hasattr(self, "world"):
            return
        retraining = self.world.problem.retraining
        runs = [record.run for record in self.world.archive.list_rulings(limit=1000) if record.run]
        begun = sorted((run.started_at for run in runs if run.started_at), reverse=True)
        assert sum(run.state in ("planned", "running") for run in runs) <= 1, "two runs in flight"
        assert len(set(self.world.runner.starts)) == len(self.world.runner.starts), "an episode ran twice"
        assert len(self.world.runner.starts) == len(begun), "a run was started and forgotten"
        days = Counter(moment.date() for moment in begun)
        assert all(count <= retraining.daily_budget for count in days.values()), "beyond the daily budget"
        gaps = [later - earlier for later, earlier in itertools.pairwise(begun)]
        assert all(gap >= timedelta(hours=retraining.cooldown_hours) for gap in gaps), "within the cooldown"

    @invariant()
    def no_pass_fails_but_for_the_runner(self):
        troubles = self.world.worker._troubles if hasattr(self, "world") else {}
        assert all("the runner must answer" in words for words in troubles.values()), troubles

    @invariant()
    def nothing_runs_on_its_own_after_too_many_failures(self):
        if not hasattr(self, "world"):
            return
        by_key = {record.run.key: record for record in self.world.archive.list_rulings(limit=1000) if record.run}
        records = [by_key[key] for key in self.world.runner.starts]
        answered = self.world.store.read_ledger(self.world.name).answered_at
        streak = 0
        for record in records:
            counts = answered is None or (record.run.ended_at and record.run.ended_at > answered)
            if record.cause != "person" and answered is None:
                assert streak < self.world.problem.retraining.maximum_failures, "it loops"
            if record.run.state == "promoted" or not counts:
                streak = 0
            elif record.run.state in ("held", "refused", "failed"):
                streak += 1

    def teardown(self):
        if hasattr(self, "world"):
            self.world.database.engine.dispose()
            self.stack.close()


TestGovernor = GovernorMachine.TestCase
TestGovernor.settings = settings(
    max_examples=20, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
