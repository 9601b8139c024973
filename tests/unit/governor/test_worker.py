"""The governor over time: episodes, repeats, the schedule, ends of runs, failures, restarts."""

import logging
from datetime import UTC, datetime, timedelta

import pytest

from components.base.errors import ContractError, StoreUnavailableError
from components.base.runner import RunReport
from components.governor.inbox import UNKNOWN_START
from components.monitoring.results import WindowFinding
from tests.unit.governor.world import START, World, result


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def choices(world, number=1):
    return [(change.choice, change.reason) for change in world.ruling(number).history]


def test_an_alert_starts_one_run_and_closes_when_the_release_has_silenced_it(world):
    assert world.alert() == "accepted"
    world.step()
    assert world.ruling().run.state == "running"
    world.runner.end("promoted", "2")
    world.step(hours=1)
    assert "was promoted; ValueBelowLimit must clear by" in world.ruling().words
    assert world.alert(firing=False) == "cleared"
    world.step(hours=1)
    assert choices(world) == [("run", "worth_it"), ("run", "on_trial"), ("closed", "cleared")]
    assert len(world.runner.starts) == 1


def test_a_run_gets_the_time_of_its_ruling_as_of(world):
    world.alert()
    world.step(hours=5)
    assert world.ruling().run.as_of == START + timedelta(hours=5)


def test_repeats_of_a_decided_episode_change_nothing_but_the_count(world):
    world.alert()
    world.step()
    assert [world.alert() for _ in range(3)] == ["duplicate"] * 3
    world.step()
    assert (world.ruling().repeats, len(world.runner.starts)) == (3, 1)


def test_a_held_episode_runs_once_when_what_held_it_is_over(world):
    world.newest = result(12_000)
    world.alert()
    world.step()
    world.step(hours=1)
    assert choices(world) == [("hold", "too_few_labels")]
    world.newest = result(19_999)
    world.step(hours=24)
    assert "19,999 of 20,000" in world.ruling().words
    world.newest = result(20_000)
    world.step(hours=24)
    world.step(hours=24)
    assert choices(world) == [("hold", "too_few_labels"), ("run", "worth_it")]
    assert len(world.runner.starts) == 1


def test_an_episode_that_clears_while_it_is_held_is_closed_and_never_runs(world):
    world.newest = result(0)
    world.alert()
    world.step()
    world.alert(firing=False)
    world.newest = result(30_000)
    world.step(hours=1)
    assert world.alert() == "late"
    world.step(hours=1)
    assert choices(world)[-1] == ("closed", "cleared")
    assert world.runner.starts == []


def test_an_end_that_comes_before_its_beginning_starts_nothing(world):
    assert world.alert(firing=False) == "cleared"
    assert world.alert(firing=True) == "late"
    world.step()
    assert world.runner.starts == []


def test_a_new_beginning_of_the_same_alert_ends_the_one_before(world):
    world.newest = result(0)
    world.alert(starts_at="2026-01-01T00:00:00.000000+00:00")
    world.step()
    assert world.alert(starts_at="2026-01-02T00:00:00.000000+00:00") == "accepted"
    assert world.alert(starts_at="2026-01-01T12:00:00.000000+00:00") == "late"
    world.step()
    assert [record.choice for record in world.archive.list_rulings()] == ["closed", "hold", "closed"]


BEGUN, OVER, AGAIN = (f"2026-01-01T0{hour}:00:00.000000+00:00" for hour in (0, 1, 2))


def test_an_end_whose_start_was_moved_to_the_end_closes_what_fired(world):
    """Grafana 12 writes the time of the end into `startsAt` of a resolved alert."""
    world.newest = result(0)
    world.alert(starts_at=BEGUN)
    world.step()
    assert world.alert(starts_at=OVER, firing=False) == "cleared"
    world.newest = result(30_000)
    world.step(hours=1)
    assert choices(world)[-1] == ("closed", "cleared")
    assert world.runner.starts == []
    assert world.alert(starts_at=BEGUN) == "late"
    assert world.alert(starts_at=AGAIN) == "accepted"


def test_an_end_closes_no_episode_that_began_after_it_or_has_other_labels(world):
    world.alert("a", starts_at=AGAIN)
    world.alert("b", starts_at=BEGUN)
    assert world.alert("a", starts_at=OVER, firing=False) == "cleared"
    assert world.alert("a", starts_at=BEGUN) == "late"
    assert world.alert("a", starts_at=AGAIN) == world.alert("b", starts_at=BEGUN) == "duplicate"


@pytest.mark.parametrize("first", [UNKNOWN_START, BEGUN])
def test_an_alert_without_a_start_is_paired_by_its_labels(world, first):
    """Go writes the year 1 for a time that it does not know."""
    assert world.alert(starts_at=first) == "accepted"
    assert world.alert(starts_at=UNKNOWN_START) == "duplicate"
    assert world.alert(starts_at=UNKNOWN_START, firing=False) == "cleared"
    assert world.alert(starts_at=UNKNOWN_START, firing=False) == "duplicate"
    world.wall += timedelta(hours=1)
    if first == UNKNOWN_START:
        assert world.alert(starts_at=UNKNOWN_START) == "accepted"


def test_a_model_that_always_fails_its_gate_never_loops(world, caplog):
    """A month of alerts, each day a new one, and a runner whose every release is held: two runs, then a person."""
    for day in range(30):
        world.alert(starts_at=f"2026-01-01T00:{day:02d}:00.000000+00:00")
        world.step(hours=24)
        world.runner.end("held", "2", ("The gain is too small.",))
        world.step()
    assert len(world.runner.starts) == world.problem.retraining.maximum_failures
    ruling = world.ruling(30)
    assert (ruling.choice, ruling.reason) == ("escalate", "maximum_failures")
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "duty-manager@airline.example" in told[0].getMessage()
    assert "The gain is too small." in told[0].getMessage()


@pytest.mark.parametrize("outcome", ["held", "refused", "failed"])
def test_one_alert_that_fires_on_after_a_release_that_did_not_help_runs_once(tmp_path, outcome):
    world = World(tmp_path)
    for _ in range(90):
        world.alert()
        world.step(hours=24)
        world.runner.end(outcome)
        world.wall += timedelta(hours=1)
    assert len(world.runner.starts) == 1
    assert choices(world)[-1] == ("escalate", "not_cleared")


def test_a_person_who_resumes_lets_a_new_alert_run_again(world):
    for number in range(3):
        world.alert(starts_at=f"2026-01-0{number + 1}T00:00:00.000000+00:00")
        world.step(hours=72)
        world.runner.end("held")
        world.step()
    assert len(world.runner.starts) == 2
    assert world.ruling(3).choice == "escalate"
    world.inbox.resume(world.name, "anna", world.now)
    world.step(hours=72)
    assert len(world.runner.starts) == 3


def test_a_promotion_that_does_not_silence_the_alert_asks_a_person(world):
    world.alert()
    world.step()
    world.runner.end("promoted")
    world.step(hours=1)
    world.alert()
    world.step(hours=world.problem.retraining.clear_within_hours)
    assert choices(world)[-1] == ("run", "on_trial")
    world.step(hours=1)
    assert choices(world)[-1] == ("escalate", "not_cleared")
    world.alert(firing=False)
    world.step()
    assert choices(world)[-1] == ("closed", "cleared")


def test_two_alerts_of_one_trouble_share_one_release(world):
    world.alert("a")
    world.alert("b")
    world.step()
    assert choices(world, 2) == [("hold", "run_in_flight")]
    world.runner.end("promoted", "2")
    world.newest = result(50_000, "2", START + timedelta(days=40))
    world.step(hours=24 * 40)
    assert choices(world, 2) == [("hold", "run_in_flight"), ("hold", "on_trial")]
    assert len(world.runner.starts) == 1


def test_labels_counted_for_the_model_before_do_not_count_for_the_new_one(world):
    world.alert("a")
    world.step()
    world.runner.end("promoted", "2")
    world.step(hours=1)
    world.alert("a", firing=False)
    world.step(hours=100)
    world.alert("a", "2026-02-01T00:00:00.000000+00:00")
    world.step(hours=1)
    assert choices(world, 2) == [("hold", "labels_unknown")]
    world.newest = result(21_000, "2", world.now)
    world.step(hours=1)
    assert "since version 2 was trained as of 1 October 2013" in world.ruling(2).words
    assert choices(world, 2)[-1] == ("run", "worth_it")


def test_a_pause_holds_and_a_resume_lets_go(world):
    world.inbox.pause(world.name, "anna", "holidays")
    world.alert()
    world.step()
    assert "anna has paused retraining of flight-delays" in world.ruling().words
    world.inbox.resume(world.name, "anna", world.now)
    world.step()
    assert choices(world) == [("hold", "paused"), ("run", "worth_it")]


def test_each_due_time_is_one_episode(tmp_path):
    world = World(tmp_path, schedule="0 4 1 * *", minimum_new_labels=0)
    world.step()
    assert world.archive.list_rulings() == []
    for _ in range(31 * 6):
        world.step(hours=24)
        world.runner.end("promoted")
    records = world.archive.list_rulings()
    assert [record.starts_at[:16] for record in reversed(records)] == [
        *(f"2013-{month}-01T04:00" for month in (11, 12)),
        *(f"2014-{month:02d}-01T04:00" for month in (1, 2, 3, 4)),
    ]
    assert len(world.runner.starts) == 6


def test_due_times_that_were_missed_are_covered_by_one_run(tmp_path):
    world = World(tmp_path, schedule="*/5 * * * *", minimum_new_labels=0)
    world.now += timedelta(days=400)
    world.restart()
    world.step()
    world.step()
    assert [record.starts_at for record in world.archive.list_rulings()] == ["2014-11-05T12:00:00+00:00"]
    assert len(world.runner.starts) == 1


def test_a_due_time_that_could_not_run_is_superseded_by_the_next(tmp_path):
    world = World(tmp_path, schedule="0 0 * * *")
    world.newest = result(5)
    for _ in range(3):
        world.step(hours=24)
    assert [record.choice for record in world.archive.list_rulings()] == ["hold", "closed", "closed"]
    assert choices(world, 1) == [("hold", "too_few_labels"), ("closed", "superseded")]


def test_a_schedule_that_never_comes_true_is_refused_at_the_start(tmp_path):
    with pytest.raises(ContractError, match="must be five cron fields that come true, but got '0 0 30 2 \\*'"):
        World(tmp_path, schedule="0 0 30 2 *")


def test_a_runner_that_is_down_delays_the_run_and_loses_nothing(world):
    world.runner.is_down = True
    world.alert()
    for _ in range(3):
        world.step(hours=1)
    assert world.ruling().run.state == "planned"
    world.runner.is_down = False
    world.restart()
    world.step()
    assert (world.ruling().run.state, len(world.runner.starts)) == ("running", 1)


def test_a_run_that_is_not_seen_is_started_again_under_its_key_and_then_given_up(world):
    world.alert()
    world.step()
    key = world.runner.starts[0]
    del world.runner.reports[key]
    world.step()
    assert world.runner.starts == [key]
    world.wall += timedelta(seconds=16)
    world.step()
    assert world.runner.starts == [key, key]
    del world.runner.reports[key]
    world.wall += timedelta(seconds=120)
    world.step()
    assert world.ruling().run.state == "failed"
    assert "was not seen for 136 s" in world.ruling().words


def test_a_run_that_ended_while_the_governor_was_down_is_found(world):
    world.alert()
    world.step()
    world.runner.end("promoted", "7")
    world.restart()
    world.step()
    assert (world.ruling().run.state, world.ruling().run.version) == ("promoted", "7")


def test_a_monitoring_that_cannot_be_read_holds_and_says_so(world):
    world.newest = StoreUnavailableError("the object store must answer, but does not.")
    world.alert()
    world.step()
    assert "the newest monitoring result could not be read from the object store" in world.ruling().words


def test_a_report_of_an_outcome_is_kept_with_its_reasons(world):
    world.alert()
    world.step()
    world.runner.reports[world.runner.starts[0]] = RunReport("failed", reasons=("ingest failed: no drop.",))
    world.step()
    assert world.ruling().run.reasons == ("ingest failed: no drop.",)
    assert "ended: failed. ingest failed: no drop." in world.ruling().words


def test_the_clock_may_go_back_without_a_second_run(world):
    world.alert("a")
    world.step()
    world.runner.end("promoted")
    world.step()
    world.now = datetime(2013, 1, 1, tzinfo=UTC)
    world.alert("b")
    world.step()
    assert len(world.runner.starts) == 1


def test_broken_features_hold_an_alert_until_they_are_fixed(world):
    stale = WindowFinding(
        severity="critical", topic="features", title="Values of origin_weather are too old", text="Half.", action=""
    )
    world.newest = result(90_000, findings=(stale,))
    world.alert()
    world.step()
    assert choices(world) == [("hold", "inputs_broken")]
    assert "a model must not learn from them: Values of origin_weather are too old. Half." in world.ruling().words
    world.newest = result(90_000, findings=(stale.model_copy(update={"severity": "warning"}),))
    world.step(hours=24)
    assert choices(world)[-1] == ("run", "worth_it")
