import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from components.monitoring.results import Estimate, Window
from components.reports.earnings import measure_capacity_used, measure_gain, sum_earnings
from components.reports.history import add_estimates, build_history, compare_findings, format_window, tile_windows
from components.tasks import open_task
from tests.unit.monitoring import documents as docs
from tests.unit.monitoring.parts import finding

TASK = open_task(docs.problem())
QUIET = docs.healthy()[0]
START = datetime(2013, 7, 1, tzinfo=UTC)


def window(first_day, days):
    """Return a result whose window has other days."""
    start = START + timedelta(days=first_day)
    end = start + timedelta(days=days)
    return QUIET.model_copy(update={"window": Window(start=start, end=end), "as_of": end})


def span(result):
    return ((result.window.start - START).days, (result.window.end - START).days)


def test_windows_of_30_days_that_are_judged_daily_are_counted_once():
    daily = [window(day, 30) for day in range(0, 95)]
    assert [span(one) for one in tile_windows(daily)] == [(4, 34), (34, 64), (64, 94), (94, 124)]


@given(windows=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), min_size=1, max_size=12))
def test_windows_that_are_counted_never_overlap_and_hold_the_newest(windows):
    results = [window(day, days) for day, days in windows]
    spans = [span(one) for one in tile_windows(results)]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert spans[-1][1] == max(day + days for day, days in windows)


def test_independent_intervals_add_up_as_squares_do():
    added = add_estimates([Estimate(estimate=10, low=7, high=16), Estimate(estimate=20, low=16, high=28)])
    assert (added.estimate, added.low, added.high) == (30, 30 - 5, 30 + 10)


def test_the_sum_of_normal_estimates_has_the_interval_of_the_normal_sum():
    deviations = np.array([1.0, 2.0, 0.5])
    reach = norm.ppf(0.975)
    added = add_estimates([Estimate(estimate=0, low=-reach * one, high=reach * one) for one in deviations])
    assert added.high == pytest.approx(norm(0, np.sqrt((deviations**2).sum())).ppf(0.975))


def test_a_sum_with_an_unknown_bound_has_no_interval():
    added = add_estimates([Estimate(estimate=1, low=0, high=2), Estimate(estimate=1)])
    assert (added.estimate, added.low, added.high) == (2, None, None)


def test_gain_of_a_window_is_the_difference_of_the_totals():
    result = docs.healthy()[0]
    totals = {name: one.total for name, one in result.value.contenders.items()}
    gain = measure_gain(result, "current_solution")
    assert gain.estimate == pytest.approx(totals["served"] - totals["current_solution"])


def test_gain_of_a_sampled_log_is_that_of_all_rows():
    """Every second row was logged: the totals stand for twice as many rows as were judged."""
    result = docs.healthy()[0]
    halved = {
        name: one.model_copy(update={"rows": one.rows // 2, "actions": one.actions // 2})
        for name, one in result.value.contenders.items()
    }
    sampled = result.model_copy(update={"value": result.value.model_copy(update={"contenders": halved})})
    assert measure_gain(sampled, "current_solution").estimate == pytest.approx(
        measure_gain(result, "current_solution").estimate
    )


def test_windows_without_a_value_are_left_out_of_the_sum():
    history = build_history(TASK, docs.story())
    beginning = sum_earnings(tile_windows(history.results))
    assert beginning.windows == 7
    assert beginning.earned == pytest.approx(
        sum(one.value.contenders["served"].total for one in docs.story() if one.value)
    )
    assert beginning.more_than_previous.estimate == pytest.approx(
        sum_earnings([docs.recovered()]).more_than_previous.estimate
    )
    assert sum_earnings([docs.too_few()]) is None


def test_capacity_used_is_the_share_of_the_possible_actions():
    """288 actions a day over the 31 days of July, of which 93% were taken."""
    history = build_history(TASK, docs.story()[:1])
    assert measure_capacity_used(history, history.newest) == pytest.approx(0.93, abs=1e-4)


@pytest.mark.parametrize(
    ("days", "words"),
    [((0, 31), "1 to 31 July 2013"), ((0, 1), "1 July 2013"), ((14, 30), "15 July 2013 to 13 August 2013")],
)
def test_a_window_is_written_by_its_days(days, words):
    assert format_window(window(*days).window) == words


def test_findings_are_new_or_gone():
    new, gone = compare_findings(build_history(TASK, docs.story()[:5]))
    assert ([one.topic for one in new], [one.topic for one in gone]) == (["features", "drift"], ["traffic"])


def test_a_finding_with_other_numbers_is_the_same():
    titles = ("1 feature is missing more often", "2 features are missing more often", "1 feature moved")
    before, now, other = (docs.healthy()[place].model_copy(update={"findings": (finding(title=title),)})
                          for place, title in enumerate(titles))  # fmt: skip
    assert compare_findings(build_history(TASK, [before, now])) == ([], [])
    new, gone = compare_findings(build_history(TASK, [now, other]))
    assert (new[0].title, gone[0].title) == (titles[2], titles[1])


def test_results_in_any_order_are_put_in_order():
    history = build_history(TASK, docs.story()[::-1])
    assert (history.newest, history.previous) == (docs.recovered(), docs.too_few())


def ruling(time, **changed):
    return docs.rulings()[0].model_copy(update={"decided_at": time and datetime.fromisoformat(time), **changed})


@pytest.mark.parametrize(
    ("time", "is_recent"),
    [
        # The governor on the wall clock: the result before was computed at 9:12 on that day.
        ("2026-11-24T09:11:00+00:00", False),
        ("2026-11-24T09:13:00+00:00", True),
        # The governor on the replayed clock: the result before is as of December 1.
        ("2013-11-01T00:00:00+00:00", False),
        ("2013-12-01T00:00:00+00:00", True),
        ("2013-12-15T00:00:00+00:00", True),
    ],
)
def test_a_ruling_is_recent_when_it_came_after_the_result_before(time, is_recent):
    history = build_history(TASK, docs.story()[:6], [ruling(time)])
    assert [one.choice for one in history.recent_rulings] == ["hold"] * is_recent


def test_rulings_on_other_problems_and_episodes_without_one_are_left_out():
    others = [ruling("2026-11-24T00:00:00+00:00", problem="other"), ruling(None)]
    assert build_history(TASK, docs.story(), others).rulings == []


def test_rulings_in_any_order_are_put_in_order():
    assert build_history(TASK, docs.story(), docs.rulings()[::-1]).rulings == docs.rulings()
