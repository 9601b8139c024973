"""The governor as the clock of one machine: each due time is one run, in order, and a missed one is made up once."""

from datetime import UTC, datetime, timedelta

import pytest

from components.base.errors import TransientError
from components.base.runner import RunReport
from components.governor.timetable import Timetable
from tests.unit.governor.world import CONTRACT, MemoryRunner, World

NOON = datetime(2013, 10, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def runner():
    return MemoryRunner()


def make_timetable(runner, since=NOON - DAY):
    return Timetable(runner, {CONTRACT.name: since})


def end(runner, key, state="succeeded"):
    runner.reports[key] = RunReport(state)


def test_monitoring_starts_when_its_refresh_has_ended(runner):
    timetable = make_timetable(runner)
    for seconds in range(3):
        timetable.start_due(CONTRACT, NOON, NOON + timedelta(seconds=seconds))
    assert runner.starts == ["flight-delays-refresh-2013-10-01T0500"]
    end(runner, runner.starts[0])
    timetable.start_due(CONTRACT, NOON, NOON)
    assert runner.starts[1:] == ["flight-delays-monitoring-2013-10-01T0600"]


def test_a_refresh_that_failed_does_not_hold_up_monitoring(runner):
    timetable = make_timetable(runner)
    end(runner, "flight-delays-refresh-2013-10-01T0500", "failed")
    timetable.start_due(CONTRACT, NOON, NOON)
    assert runner.starts == ["flight-delays-monitoring-2013-10-01T0600"]


def test_of_the_windows_that_were_missed_the_newest_is_made_up_once(runner):
    for _ in range(3):
        timetable = make_timetable(runner, NOON - 9 * DAY)
        timetable.start_due(CONTRACT, NOON, NOON)
        end(runner, runner.starts[-1])
    assert runner.starts == ["flight-delays-refresh-2013-10-01T0500", "flight-delays-monitoring-2013-10-01T0600"]


def test_nothing_is_made_up_from_before_the_problem_was_known(runner):
    timetable = make_timetable(runner, NOON)
    timetable.start_due(CONTRACT, NOON, NOON)
    assert runner.starts == []
    timetable.start_due(CONTRACT, NOON + DAY, NOON + DAY)
    assert runner.starts == ["flight-delays-refresh-2013-10-02T0500"]


def test_a_run_that_is_not_seen_yet_is_started_again_after_two_minutes_only(runner):
    timetable, started = make_timetable(runner), []
    runner.start = lambda key, *_: started.append(key)
    for seconds in (0, 60, 119, 121):
        timetable.start_due(CONTRACT, NOON, NOON + timedelta(seconds=seconds))
    assert started == ["flight-delays-refresh-2013-10-01T0500"] * 2


def test_a_runner_that_is_down_is_tried_again_at_the_next_pass(runner):
    timetable = make_timetable(runner)
    runner.is_down = True
    with pytest.raises(TransientError):
        timetable.start_due(CONTRACT, NOON, NOON)
    runner.is_down = False
    timetable.start_due(CONTRACT, NOON, NOON)
    assert len(runner.starts) == 1


def test_a_governor_without_a_timetable_starts_trainings_alone(tmp_path):
    world = World(tmp_path)
    world.step(hours=72)
    assert world.runner.starts == []
