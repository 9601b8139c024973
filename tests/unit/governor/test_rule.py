"""The rule of the governor, case by case, with its words."""

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from components.governor.rule import Cause, Episode, Facts, LabelFacts, Reason, Ruling, TrainingRun, decide
from components.governor.words import explain
from tests.unit.governor.world import CONTRACT

NOW = datetime(2013, 10, 3, 12, tzinfo=UTC)
LABELS = LabelFacts(30_000, "1", datetime(2013, 7, 1, tzinfo=UTC))
OWNER = CONTRACT.owner.model_copy(update={"contact": "team@airline.example", "escalation": "boss@airline.example"})


def contract(**retraining):
    """Return the contract; the numbers that are not given are those of the world's policy."""
    changed = CONTRACT.retraining.model_copy(update={"clear_within_hours": 240, **retraining})
    return CONTRACT.model_copy(update={"retraining": changed, "owner": OWNER})


def episode(number=9, cause="alert", name="ValueBelowLimit", silent_hours=0, **changes):
    fields = {"fingerprint": "f", "starts_at": "2013-10-03T12:00:00+00:00", "opened_at": NOW, "is_firing": True}
    heard_at = NOW - timedelta(hours=silent_hours)
    identity = {"id": number, "problem": "flight-delays", "cause": cause, "name": name, "heard_at": heard_at}
    return Episode(**identity, **{**fields, **changes})


def ended(hours_ago, state, number=1, version="2", reasons=("Value gains too little.",), **changes):
    at = NOW - timedelta(hours=hours_ago)
    times = {"as_of": at, "planned_at": at, "started_at": at, "ended_at": at, **changes}
    identity = {"key": f"run-{number}", "episode_id": number, "problem": "flight-delays"}
    return TrainingRun(**identity, state=state, version=version, reasons=reasons, **times)


def facts(*runs, labels=LABELS, now=NOW, **changes):
    return Facts(now, NOW, runs, labels, **changes)


def rule(this, known, problem=None):
    problem = problem or contract()
    ruling = decide(this, problem.retraining, known)
    return ruling.choice, ruling.reason, explain(this, problem, known, ruling)


def test_an_alert_that_is_worth_it_runs_and_says_with_which_numbers():
    assert rule(episode(), facts()) == (
        "run",
        "worth_it",
        "ValueBelowLimit fires. 30,000 new labels have arrived since version 1 was trained as of 1 July 2013, 20,000 "
        "are required. No run is in flight, the cooldown is over, and the daily budget of 1 is not used up.",
    )


def test_too_few_labels_hold_with_both_numbers():
    labels = LabelFacts(12_000, "1", datetime(2013, 7, 1, tzinfo=UTC))
    assert rule(episode(), facts(labels=labels)) == (
        "hold",
        "too_few_labels",
        "12,000 of 20,000 new labels have arrived since version 1 was trained as of 1 July 2013. "
        "The governor checks again at every pass while it fires.",
    )


@pytest.mark.parametrize("reason", sorted({*get_args(Reason)} - {"received"}))
@pytest.mark.parametrize("cause", get_args(Cause))
@pytest.mark.parametrize("state", ["promoted", "held"])
def test_every_reason_has_a_whole_sentence_for_every_cause(reason, cause, state):
    ruling = Ruling("closed", reason, ended(1, state), until=NOW, count=2)
    known = facts(paused_by="Anna", labels=LabelFacts(7, broken="Weather is too old."))
    words = explain(episode(cause=cause), contract(), known, ruling)
    assert not words[0].islower()
    assert words.endswith(".")
    assert not [word for word in ("{", "}", "n/a", "None") if word in words]


@pytest.mark.parametrize(
    ("known", "reason", "words"),
    [
        (facts(paused_by="anna"), "paused", "anna has paused retraining of flight-delays"),
        (
            facts(ended(1, "running")),
            "run_in_flight",
            "Run run-1 of version 2 runs since 3 October 2013, 11:00 UTC; one runs at a time",
        ),
        (
            facts(ended(47, "held")),
            "cooldown",
            "the cooldown of 48 hours lasts until 3 October 2013, 13:00 UTC",
        ),
        (facts(labels=LabelFacts(None, gap="none_yet")), "labels_unknown", "there is no monitoring result yet"),
        (
            facts(labels=LabelFacts(None, gap="out_of_reach")),
            "labels_unknown",
            "could not be read from the object store",
        ),
        (facts(labels=LabelFacts(None, gap="older_than_model")), "labels_unknown", "older than the champion"),
    ],
)
def test_each_hold_says_what_it_waits_for(known, reason, words):
    choice, found, text = rule(episode(), known)
    assert (choice, found) == ("hold", reason)
    assert words in text


def test_a_day_has_its_budget_and_the_next_one_a_new_one():
    policy = contract(cooldown_hours=1, minimum_new_labels=0, maximum_failures=9)
    known = facts(ended(2, "held"))
    assert rule(episode(), known, policy)[:2] == ("hold", "daily_budget")
    assert "1 of 1 runs of 3 October 2013 (UTC) are used" in rule(episode(), known, policy)[2]
    tomorrow = facts(ended(2, "held"), now=NOW + timedelta(hours=12))
    assert rule(episode(), tomorrow, policy)[0] == "run"


def test_a_run_that_was_planned_yesterday_and_started_today_counts_today():
    policy = contract(cooldown_hours=0, minimum_new_labels=0, maximum_failures=9)
    run = ended(2, "held")
    late = ended(0, "held", planned_at=NOW - timedelta(days=1))
    assert rule(episode(), facts(late), policy)[1] == "daily_budget"
    assert rule(episode(), facts(run), policy)[1] == "daily_budget"


def test_failures_in_a_row_ask_a_person_by_name_and_the_last_reason():
    runs = [ended(100, "refused", 3, "4"), ended(200, "failed", 2, None), ended(300, "promoted", 1)]
    choice, reason, words = rule(episode(), facts(*runs))
    assert (choice, reason) == ("escalate", "maximum_failures")
    assert "2 releases in a row were not promoted, and the limit is 2" in words
    assert "run run-3 of version 4: refused. Value gains too little." in words
    assert words.endswith("Escalated to team@airline.example, then to boss@airline.example.")


def test_a_promotion_between_failures_starts_the_count_again():
    runs = [ended(100, "held", 3), ended(200, "promoted", 2), ended(300, "failed", 1)]
    late = episode(opened_at=NOW - timedelta(hours=1))
    assert rule(late, facts(*runs))[0] == "run"


def test_a_person_forgives_the_failures():
    runs = [ended(100, "held", 3), ended(200, "failed", 2)]
    assert rule(episode(), facts(*runs, answered_at=NOW - timedelta(hours=150)))[0] == "run"
    assert rule(episode(), facts(*runs, answered_at=NOW - timedelta(hours=250)))[0] == "escalate"


def test_a_person_is_not_bound_by_failures_and_labels_but_by_the_rest():
    wish = episode(cause="person", name="anna")
    few = LabelFacts(3, "1")
    runs = [ended(100, "held", 3), ended(200, "failed", 2)]
    assert rule(wish, facts(*runs, labels=few))[0] == "run"
    assert rule(wish, facts(ended(1, "held"), labels=few))[1] == "cooldown"
    assert rule(wish, facts(ended(1, "running"), labels=few))[1] == "run_in_flight"
    assert rule(wish, facts(labels=few, paused_by="ben"))[1] == "paused"


def test_the_schedule_trains_a_first_model_when_nothing_was_ever_monitored():
    due = episode(cause="schedule", name="schedule")
    assert rule(due, facts(labels=LabelFacts(None, gap="none_yet")))[0] == "run"
    assert rule(due, facts(labels=LabelFacts(None, gap="out_of_reach")))[1] == "labels_unknown"


def test_a_release_meanwhile_answers_the_schedule():
    due = episode(cause="schedule", name="schedule", opened_at=NOW - timedelta(hours=100))
    assert rule(due, facts(ended(80, "held")))[:2] == ("closed", "answered")
    assert rule(due, facts(ended(80, "failed")))[0] == "run"


def test_an_alert_from_before_a_promotion_waits_for_it_to_help_and_then_asks():
    old = episode(opened_at=NOW - timedelta(hours=100))
    choice, reason, words = rule(old, facts(ended(80, "promoted")))
    assert (choice, reason) == ("hold", "on_trial")
    assert "must clear by 10 October 2013, 04:00 UTC, or the governor escalates" in words
    choice, reason, words = rule(old, facts(ended(80, "promoted"), now=NOW + timedelta(hours=161)))
    assert (choice, reason) == ("escalate", "not_cleared")
    assert "still fires more than 240 hours after run run-1 of version 2 ended" in words


def test_an_alert_that_nobody_repeats_starts_nothing():
    assert rule(episode(silent_hours=25.2), facts())[:2] == ("hold", "not_repeated")
    assert rule(episode(silent_hours=23.9), facts())[0] == "run"


def test_an_alert_that_cleared_before_it_ran_is_closed():
    assert rule(episode(is_firing=False), facts(paused_by="anna"))[:2] == ("closed", "cleared")


class TestAfterItsRun:
    def judge(self, state, hours_ago, **changes):
        return rule(episode(1, **changes), facts(ended(hours_ago, state)))

    def test_a_run_in_flight_is_waited_for(self):
        assert decide(episode(1), contract().retraining, facts(ended(1, "running"))) is None

    def test_a_promotion_has_its_time_to_silence_the_alert(self):
        assert self.judge("promoted", 239)[:2] == ("run", "on_trial")
        assert self.judge("promoted", 241)[:2] == ("escalate", "not_cleared")
        assert self.judge("promoted", 241, is_firing=False)[:2] == ("closed", "cleared")

    def test_a_held_release_runs_no_second_time(self):
        choice, reason, words = self.judge("held", 47)
        assert (choice, reason) == ("run", "on_trial")
        assert "ended: held. Value gains too little. An episode runs once" in words

    @pytest.mark.parametrize("state", ["held", "refused", "failed"])
    def test_what_was_not_promoted_asks_after_the_cooldown(self, state):
        choice, reason, words = self.judge(state, 49)
        assert (choice, reason) == ("escalate", "not_cleared")
        assert f"ValueBelowLimit still fires, and its run run-1 of version 2 ended: {state}." in words

    def test_the_last_failure_that_is_allowed_asks_at_once(self):
        known = facts(ended(1, "held", 1), ended(100, "failed", 7))
        assert rule(episode(1), known)[:2] == ("escalate", "maximum_failures")

    def test_what_is_no_alert_ends_with_its_run(self):
        assert self.judge("held", 1, cause="schedule")[:2] == ("closed", "finished")
        assert self.judge("promoted", 1, cause="person")[:2] == ("closed", "finished")
