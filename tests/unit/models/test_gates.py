"""Gates: the right verdict, in the right direction, with reasons that can be read."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from components.base.contract.problem import Guard
from components.base.gate import Gate
from components.base.statistics.resampling import Gain, Interval, bound_gain, draw_resamples
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


def gain(estimate, floor):
    """A gain with a two-sided interval a fifth wider than the one-sided one."""
    half = 1.2 * (estimate - floor)
    return Gain(estimate, estimate - half, estimate + half, floor)


PROVEN = ComparisonRecord(primary=gain(0.10, 0.05), value_per_1000=gain(9000, 4000))


def with_value(estimate, floor):
    return PROVEN.model_copy(update={"value_per_1000": gain(estimate, floor)})


def test_both_gains_must_be_proven_against_the_current_solution(task):
    assert gate_current_solution(task, PROVEN, 1000).verdict == "pass"
    gate = gate_current_solution(task, with_value(2905, -3060), 1000)
    assert (gate.verdict, gate.value, gate.limit) == ("hold", -3060, 0)
    assert gate.reason == (
        "Against shop_rule: average precision gains +0.1000, with 95% confidence at least +0.0500 (+0.0050 and "
        "certainly more than 0 is required); value in USD per 1,000 predictions gains +2,905, with 95% confidence at "
        "least -3,060 (+500 and certainly more than 0 is required). About 3,217 more labels would decide it, if the "
        "gain stays as measured."
    )


def test_a_certain_and_useful_gain_passes_though_its_bound_is_below_the_useful_one(task):
    useful = PROVEN.model_copy(update={"primary": gain(0.006, 0.001)})
    assert gate_champion(task, useful, "1", 1000).verdict == "pass"


def test_gain_that_the_first_opening_proves_is_not_proven_by_the_third(task):
    """Three of a hundred resamples show no gain: fewer than the 5 % of the first, more than the 1.25 % of the third."""
    hours = pd.Series(pd.date_range("2013-01-01", periods=40 * 24, freq="h", tz="UTC"))
    first = draw_resamples(hours, seed=0)
    draws = (np.arange(1000) - 30) / 1e5
    gains = [bound_gain(0.006, draws, replace(first, confidence=confidence)) for confidence in (0.95, 0.9875)]
    compared = [PROVEN.model_copy(update={"primary": one}) for one in gains]
    assert [gate_champion(task, one, "1", 960).verdict for one in compared] == ["pass", "hold"]


def test_a_certain_gain_below_the_useful_one_does_not_pass(task):
    small = PROVEN.model_copy(update={"primary": gain(0.0049, 0.004)})
    gate = gate_champion(task, small, "1", 1000)
    assert (gate.verdict, gate.value, gate.limit) == ("hold", 0.0049, 0.005)


def test_model_that_does_not_even_look_useful_is_refused(task):
    assert gate_current_solution(task, with_value(400, -1000), 1000).verdict == "fail"
    worse = PROVEN.model_copy(update={"primary": gain(-0.01, -0.05)})
    assert gate_current_solution(task, worse, 1000).verdict == "fail"


def test_zero_gain_does_not_pass_even_when_nothing_is_asked(task, small):
    greedy = small.change(task, metrics={"minimum_lift": 0}, business={"minimum_lift_per_1000": 0})
    same = ComparisonRecord(primary=gain(0, 0), value_per_1000=gain(0, 0))
    assert gate_champion(greedy, same, "1", 1000).verdict == "hold"
    assert gate_dummy(greedy, same).verdict == "fail"


def test_gain_over_a_losing_rule_is_none_while_doing_nothing_costs_less(task):
    """Who never acts "earns" 25,408 more than a rule that loses it, and nothing more than doing nothing."""
    gains = {"no action": gain(0, 0), "always acting": gain(25_408, 20_000)}
    idle = gate_constants(task, gains, "no action", 1000)
    assert (idle.verdict, idle.value, idle.limit) == ("fail", 0, 0)
    assert idle.reason == (
        "The model wants the same for all 1,000 test rows (no action). Against no action: value in USD per 1,000 "
        "predictions gains +0, with 95% confidence at least +0 (certainly more than 0 is required)."
    )


@pytest.mark.parametrize(
    ("over_nothing", "verdict"), [(gain(900, 100), "pass"), (gain(900, -100), "hold"), (gain(-1, -9), "fail")]
)
def test_gain_over_the_best_constant_decision_decides(over_nothing, verdict, task):
    gains = {"no action": over_nothing, "always acting": gain(25_408, 20_000)}
    assert gate_constants(task, gains, None, 1000).verdict == verdict


def test_unknown_bound_does_not_pass(task):
    unknown = PROVEN.model_copy(update={"primary": gain(0.1, math.nan)})
    gate = gate_current_solution(task, unknown, 1000)
    assert gate.verdict == "hold"
    assert gate.reason.endswith("There are too few rows to measure the gain in average precision.")


def test_champion_gate_holds_and_says_how_many_labels_would_decide(task):
    """Bound 4,000 below a gain of 2,000: half the distance needs 4 times the rows, 3,000 more than 1,000."""
    gate = gate_champion(task, with_value(2000, -2000), "7", 1000)
    assert gate.verdict == "hold"
    assert gate.reason.startswith("Against champion version 7: ")
    assert "About 3,000 more labels would decide it, if the gain stays as measured." in gate.reason


def test_champion_gate_says_when_no_number_of_labels_would_decide(task):
    gate = gate_champion(task, with_value(-2000, -4000), "7", 1000)
    assert gate.verdict == "hold"
    assert "More labels would not decide it: the gain in value in USD" in gate.reason


def test_champion_gate_says_which_gain_it_could_have_seen(task):
    """A bound 0.005 below the estimate is 1.645 standard errors below it, and four of five samples need 2.486."""
    gate = gate_champion(task, ComparisonRecord(primary=gain(0.002, -0.003), value_per_1000=gain(9000, 4000)), "7", 1)
    assert gate.reason.endswith(
        "On this many rows the gate sees a gain of +0.0076 in average precision and +7,558 in value in USD per 1,000 "
        "predictions in four of five cases."
    )


@pytest.mark.parametrize(
    ("measured", "more"),
    [(gain(3, 1), 0), (gain(3, -3), 300), (gain(0.5, 0), None), (gain(2, 0), 1), (gain(-1, -2), None)],
)
def test_more_labels_follow_one_over_the_root_of_the_rows(measured, more):
    assert count_more_labels(Lift("gain", measured, 1.0, "{}"), 100) == more


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
