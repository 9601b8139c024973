"""Monitoring that its schedule started waits for its refresh, as long as one may still come."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from components.base.contract.load import load_problem
from components.base.run_order import PATIENCE_SECONDS, wait_for_earlier
from components.base.run_records import PipelineRun, write_record

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml")
# Refresh is due at 05:00, monitoring at 06:00.
DUE = datetime(2026, 11, 24, 6, tzinfo=UTC)
REFRESH = datetime(2026, 11, 24, 5, tzinfo=UTC)


def record(store, as_of, pipeline="refresh", status="done", error=None):
    ended = as_of + timedelta(minutes=5)
    given = {"name": f"{pipeline}-{as_of:%d-%H%M}", "started": as_of, "ended": ended, "seconds": 300}
    run = PipelineRun(pipeline=pipeline, problem=PROBLEM.name, as_of=as_of, status=status, error=error, **given)
    write_record(store, run)
    return run


class Clock:
    """Counts what was slept, and lets the refresh end at some point."""

    def __init__(self, store, ends_after=None):
        self.store, self.ends_after, self.seconds = store, ends_after, 0.0

    def sleep(self, seconds):
        self.seconds += seconds
        if self.ends_after is not None and self.seconds >= self.ends_after:
            record(self.store, REFRESH)


def wait(store, clock, pipeline="refresh"):
    return wait_for_earlier(store, PROBLEM, pipeline, DUE, clock.sleep)


def test_monitoring_that_starts_before_its_refresh_has_ended_waits_for_it(store):
    # After an outage both are made up at once.
    record(store, REFRESH - timedelta(days=1))
    clock = Clock(store, ends_after=120)
    assert wait(store, clock).as_of == REFRESH
    assert 120 <= clock.seconds < 180


def test_a_refresh_that_has_ended_is_not_waited_for(store):
    record(store, REFRESH)
    clock = Clock(store)
    assert wait(store, clock).as_of == REFRESH
    assert clock.seconds == 0


def test_a_refresh_that_failed_does_not_hold_monitoring_up(store, caplog):
    failed = record(store, REFRESH, status="failed", error="ingest failed.")
    clock = Clock(store)
    assert wait(store, clock) == failed
    assert clock.seconds == 0
    assert "failed, and the run goes on: ingest failed." in caplog.text


def test_a_refresh_as_of_a_later_time_counts(store):
    later = record(store, REFRESH + timedelta(minutes=40))
    assert wait(store, Clock(store)) == later


def test_a_refresh_that_never_comes_holds_monitoring_up_for_an_hour_and_no_longer(store, caplog):
    record(store, REFRESH - timedelta(days=1))
    record(store, REFRESH, pipeline="training")
    clock = Clock(store)
    with caplog.at_level(logging.INFO):
        assert wait(store, clock) is None
    assert clock.seconds == PATIENCE_SECONDS
    assert "waits for the refresh that was due at 2026-11-24T05:00:00+00:00" in caplog.text
    assert "start it with `tidemill submit refresh`" in caplog.text


@pytest.mark.parametrize("pipeline", ["", "training"])
def test_what_the_clock_does_not_start_is_not_waited_for(store, pipeline):
    clock = Clock(store)
    assert wait(store, clock, pipeline) is None
    assert clock.seconds == 0
