"""Realised value: hand-made decisions, pairs, capacity, sampling, limits."""

import numpy as np
import pytest

from components.base.statistics.capacity import limit_actions
from components.monitoring.alternatives import Alternative, do_nothing
from components.monitoring.value import measure_value
from components.tasks import open_task
from components.tasks.binary.policy import value_rows
from tests.unit.monitoring.flights_world import PROBLEM, TASK, make_flights, make_rows

VALUES = PROBLEM.business.values


def without_capacity(problem=PROBLEM, gain=0.0):
    business = problem.business.model_copy(update={"capacity_per_day": None})
    monitoring = problem.monitoring.model_copy(update={"minimum_value_gain_per_1000": gain})
    return open_task(problem.model_copy(update={"business": business, "monitoring": monitoring}))


def alternative(label, probabilities, threshold):
    """Return a model that acts from a threshold."""
    p = np.asarray(probabilities)
    return Alternative(label, p[:, None], p >= threshold)


def blind(flights, threshold=0.5):
    """Somebody who never acts, or who always does."""
    return alternative("blind", np.full(len(flights), 0.4), threshold)


def test_served_earns_what_its_decisions_are_worth():
    """A right desk earns 1,000 USD, a wrong one loses 400."""
    flights = make_flights()
    scored = flights[make_rows(flights).scored]
    acted = scored["probability"] >= 0.3
    right, wrong = (acted & scored["late"]).sum(), (acted & ~scored["late"]).sum()
    value = measure_value(without_capacity(), make_rows(flights), {}, "version 1")
    served = value.contenders["served"]
    assert (served.total, served.actions, served.right_actions) == (1000 * right - 400 * wrong, acted.sum(), right)
    assert served.per_1000.estimate == pytest.approx(1000 * served.total / len(scored))
    assert served.gain_of_served_per_1000 is None


def test_gain_over_doing_nothing_is_the_value_itself():
    flights = make_flights()
    value = measure_value(without_capacity(), make_rows(flights), {"current_solution": blind(flights)}, "version 1")
    assert value.contenders["current_solution"].total == 0
    assert value.contenders["current_solution"].gain_of_served_per_1000 == value.contenders["served"].per_1000


def test_gain_over_oneself_is_exactly_nothing():
    """The pairs cancel, day by day: an interval of unpaired values would be wide."""
    flights = make_flights()
    same = alternative("same", flights["probability"].to_numpy(), 0.3)
    gain = measure_value(TASK, make_rows(flights), {"current_solution": same}, "1").contenders["current_solution"]
    gained = gain.gain_of_served_per_1000
    assert (gained.estimate, gained.low, gained.high) == (0, 0, 0)


def test_row_without_label_uses_capacity_all_the_same():
    flights = make_flights(per_day=240)
    business = PROBLEM.business.model_copy(update={"capacity_per_day": 24, "capacity_periods_per_day": 24})
    unknown = np.arange(len(flights)) % 2 == 0
    rows = make_rows(flights, outcomes=np.where(unknown, np.nan, flights["late"]))
    decided = limit_actions(rows.decisions, rows.output[:, 0], rows.event_time, 24, 24)
    expected = value_rows(rows.outcomes[rows.scored], decided[rows.scored], VALUES).sum()
    value = measure_value(open_task(PROBLEM.model_copy(update={"business": business})), rows, {}, "version 1")
    assert value.contenders["served"].total == expected
    alone = limit_actions(
        rows.decisions[rows.scored], rows.output[rows.scored, 0], rows.event_time[rows.scored], 24, 24
    )
    assert value.contenders["served"].actions < alone.sum()


def test_total_of_a_logged_share_is_that_of_all_requests():
    """One request in four is logged: the totals are those of all, the average is that of the logged."""
    flights = make_flights()
    one = measure_value(without_capacity(), make_rows(flights), {}, "1").contenders["served"]
    four = measure_value(without_capacity(), make_rows(flights, weights=np.full(1800, 4.0)), {}, "1")
    assert four.contenders["served"].total == pytest.approx(4 * one.total)
    assert four.contenders["served"].per_1000.estimate == pytest.approx(one.per_1000.estimate)


def test_rows_logged_at_another_share_weigh_accordingly():
    flights = make_flights()
    weights = np.where(np.arange(1800) < 900, 1.0, 10.0)
    rows = make_rows(flights, weights=weights)
    earned = value_rows(rows.outcomes[rows.scored], rows.output[rows.scored, 0] >= 0.3, VALUES)
    served = measure_value(without_capacity(), rows, {}, "1").contenders["served"]
    assert served.per_1000.estimate == pytest.approx(1000 * np.average(earned, weights=weights[rows.scored]))


@pytest.mark.parametrize(("limit", "below"), [(-1e6, False), (0, False), (1e6, True)])
def test_value_alert_needs_the_whole_gain_below_the_limit(limit, below):
    flights = make_flights()
    alternatives = {"current_solution": blind(flights)}
    assert measure_value(without_capacity(gain=limit), make_rows(flights), alternatives, "1").is_below_limit is below


def test_decisions_that_lose_money_for_sure_are_an_alert_though_the_current_solution_loses_more():
    """Nobody is late: each action costs, and a rule that acts on all flights costs most."""
    flights = make_flights()
    rows = make_rows(flights, outcomes=np.zeros(len(flights)))
    eager = alternative("eager", np.ones(len(flights)), 0.5)
    alternatives = {"current_solution": eager, "no_action": do_nothing(TASK, rows)}
    value = measure_value(without_capacity(), rows, alternatives, "1")
    assert value.find_gain("current_solution").low > 0
    assert value.find_gain("no_action").high < 0
    assert value.contenders["no_action"].label == "no action"
    assert value.is_below_limit


def test_gain_that_is_not_certain_is_no_alert():
    """Labels are coins: a small change of the threshold neither earns nor loses for sure."""
    flights = make_flights()
    coin = np.random.default_rng(4).random(len(flights)) < 2 / 7
    alternatives = {"current_solution": alternative("near", flights["probability"].to_numpy(), 0.31)}
    value = measure_value(without_capacity(), make_rows(flights, outcomes=coin.astype(float)), alternatives, "1")
    gain = value.contenders["current_solution"].gain_of_served_per_1000
    assert gain.low < 0 < gain.high
    assert not value.is_below_limit


def test_window_without_enough_labels_is_not_valued():
    rows = make_rows(make_flights(), outcomes=np.full(1800, np.nan))
    assert measure_value(TASK, rows, {}, "version 1") is None
