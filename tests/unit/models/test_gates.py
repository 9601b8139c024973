"""Gates: the right verdict, in the right direction, with reasons that can be read."""

import math

import pytest

from components.base.contract.problem import Guard
from components.base.gate import Gate
from components.base.statistics.resampling import Interval
from components.models.documents import ComparisonRecord
from components.models.gates import (
    Lift,
    count_more_labels,
    decide_release,
    gate_champion,
    gate_constants,
    gate_current_solution,
    gate_dummy,
    gate_generalisation,
    gate_guard,
    gate_incomparable,
)

PROVEN = ComparisonRecord(primary=Interval(0.10, 0.05, 0.15), value_per_1000=Interval(9000, 4000, 14000))


def with_value(estimate, low, high):
    return PROVEN.model_copy(update={"value_per_1000": Interval(estimate, low, high)})


def test_both_gains_must_be_proven_against_the_current_solution(task):
    assert gate_current_solution(task, PROVEN, 1000).verdict == "pass"
    gate = gate_current_solution(task, with_value(2905, -3060, 9045), 1000)
    assert (gate.verdict, gate.value, gate.limit) == ("hold", -3060, 500)
    assert gate.reason == (
        "Against shop_rule: average precision gains +0.1000 (+0.0500 to +0.1500; at least +0.0050 is required); value "
        "in USD per 1,000 predictions gains +2,905 (-3,060 to +9,045; at least +500 is required). About 5,152 more "
        "labels would decide it, if the gain stays as measured."
    )


def test_gain_below_the_useful_one_does_not_pass(task):
    small_gain = PROVEN.model_copy(update={"primary": Interval(0.006, 0.004, 0.008)})
    assert gate_current_solution(task, small_gain, 1000).verdict == "hold"


def test_model_that_does_not_even_look_useful_is_refused(task):
    assert gate_current_solution(task, with_value(400, -1000, 1800), 1000).verdict == "fail"
    worse = PROVEN.model_copy(update={"primary": Interval(-0.01, -0.05, 0.03)})
    assert gate_current_solution(task, worse, 1000).verdict == "fail"


def test_zero_gain_does_not_pass_even_when_nothing_is_asked(task, small):
    greedy = small.change(task, metrics={"minimum_lift": 0}, business={"minimum_lift_per_1000": 0})
    same = ComparisonRecord(primary=Interval(0, 0, 0), value_per_1000=Interval(0, 0, 0))
    assert gate_champion(greedy, same, "1", 1000).verdict == "hold"
    assert gate_dummy(greedy, same).verdict == "fail"


def test_gain_over_a_losing_rule_is_none_while_doing_nothing_costs_less(task):
    """Who never acts "earns" 25,408 more than a rule that loses it, and nothing more than doing nothing."""
    gains = {"no action": Interval(0, 0, 0), "always acting": Interval(25_408, 20_000, 31_000)}
    idle = gate_constants(task, gains, "no action", 1000)
    assert (idle.verdict, idle.value, idle.limit) == ("fail", 0, 0)
    assert idle.reason == (
        "The model wants the same for all 1,000 test rows (no action). Against no action: value in USD per 1,000 "
        "predictions gains +0 (+0 to +0; at least +0 is required)."
    )


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [(Interval(900, 100, 1700), "pass"), (Interval(900, -100, 1900), "hold"), (Interval(-1, -9, 7), "fail")],
)
def test_gain_over_the_best_constant_decision_decides(gain, verdict, task):
    gains = {"no action": gain, "always acting": Interval(25_408, 20_000, 31_000)}
    assert gate_constants(task, gains, None, 1000).verdict == verdict


def test_unknown_bound_does_not_pass(task):
    unknown = PROVEN.model_copy(update={"primary": Interval(0.1, math.nan, math.nan)})
    gate = gate_current_solution(task, unknown, 1000)
    assert gate.verdict == "hold"
    assert gate.reason.endswith("There are too few rows to measure the gain in average precision.")


def test_champion_gate_holds_and_says_how_many_labels_would_decide(task):
    """Room 2000 - 500 = 1,500, half width 3,000: twice the room needs 4 times the rows, 3,000 more than 1,000."""
    gate = gate_champion(task, with_value(2000, -1000, 5000), "7", 1000)
    assert gate.verdict == "hold"
    assert gate.reason.startswith("Against champion version 7: ")
    assert gate.reason.endswith("About 3,000 more labels would decide it, if the gain stays as measured.")


def test_champion_gate_says_when_no_number_of_labels_would_decide(task):
    gate = gate_champion(task, with_value(-2000, -4000, 100), "7", 1000)
    assert gate.verdict == "hold"
    assert "More labels would not decide it: the gain in value in USD" in gate.reason


@pytest.mark.parametrize(
    ("interval", "more"),
    [(Interval(3, 1, 5), 0), (Interval(3, -1, 7), 300), (Interval(0.5, 0, 1), None), (Interval(2, 0, 4), 300)],
)
def test_more_labels_follow_one_over_the_root_of_the_rows(interval, more):
    assert count_more_labels(Lift("gain", interval, 1.0, "{}"), 100) == more


@pytest.mark.parametrize(
    ("guard", "value", "verdict"),
    [
        (Guard(metric="roc_auc", minimum=0.6), 0.61, "pass"),
        (Guard(metric="roc_auc", minimum=0.6), 0.59, "fail"),
        (Guard(metric="calibration_error", maximum=0.15), 0.14, "pass"),
        (Guard(metric="calibration_error", maximum=0.15), 0.16, "fail"),
        (Guard(metric="roc_auc", minimum=0.6), math.nan, "fail"),
        (Guard(metric="brier", minimum=0.1, maximum=0.2), 0.3, "fail"),
        (Guard(metric="brier", minimum=0.1, maximum=0.2), 0.05, "fail"),
    ],
)
def test_guard_vetoes_beyond_its_limit(guard, value, verdict):
    gate = gate_guard(guard, "a metric", value)
    assert gate.verdict == verdict
    assert gate.name == f"guard_{guard.metric}"


def test_guard_says_which_limit_was_broken():
    gate = gate_guard(Guard(metric="brier", minimum=0.1, maximum=0.2), "Brier score", 0.3)
    assert gate.limit == 0.2
    assert gate.reason == "Brier score on test is 0.3000; at least 0.1 and at most 0.2 is required."


def test_generalisation_gap_beyond_the_limit_fails():
    assert gate_generalisation(Interval(0.19, 0.1, 0.3), 0.2).verdict == "pass"
    assert gate_generalisation(Interval(0.21, 0.1, 0.3), 0.2).verdict == "fail"
    assert gate_generalisation(Interval(-0.5, -0.6, -0.4), 0.2).verdict == "pass"
    assert gate_generalisation(Interval(math.nan, math.nan, math.nan), 0.2).verdict == "fail"


def test_one_failure_refuses_and_one_open_question_holds():
    passed = Gate(name="beats_current_solution", verdict="pass", value=1.0, limit=0.0, reason="better")
    failed = Gate(name="slices", verdict="fail", value=1.0, limit=0.0, reason="a slice is worse")
    held = gate_incomparable("no fair comparison")
    assert decide_release([passed]) == ("promote", ["better", "All 1 gates are passed."])
    unjudged = Gate(name="slices", verdict="not judged", value=None, limit=None, reason="No group has enough rows.")
    counted = "1 of 2 gates are passed; not judged: slices."
    assert decide_release([passed, unjudged]) == ("promote", ["better", counted])
    assert decide_release([passed, held]) == ("hold", ["no fair comparison"])
    assert decide_release([passed, held, failed]) == ("refuse", ["a slice is worse"])
