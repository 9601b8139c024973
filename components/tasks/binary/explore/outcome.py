"""Findings about the outcome: over time, against the capacity, and by group.

In: `TrainingRows`. Out: statements with their figures. Called by explore.
"""

from typing import cast

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from components.base.contract.binary import BinaryProblem
from components.base.statistics.capacity import limit_actions
from components.base.text.figures import (
    ACCENT,
    MUTED,
    draw_band,
    draw_dots,
    draw_reference,
    new_figure,
    show_days,
    show_percent,
)
from components.base.text.wording import say_plainly, write_capacity, write_count, write_date, write_percent
from components.features.explore.findings.finding import Statement, state
from components.features.explore.proposals import propose_values
from components.features.explore.training_rows import TrainingRows
from components.tasks.binary.explore.association import Rate, count_outcomes, cramers_v, rate_by_bin

_DAYS_PER_WEEK = 7
# Groups with fewer rows have intervals so wide that naming them as best or worst is a lottery.
_FEWEST_ROWS_OF_GROUP = 100
_GROUPS_SHOWN = 12


def find_over_time(training: TrainingRows) -> list[Statement]:
    """State how the outcome moved from week to week."""
    weeks, target = training.days // _DAYS_PER_WEEK, cast("BinaryProblem", training.problem).target
    rates = rate_by_bin(weeks, training.y, training.days, int(weeks.max()) + 1)
    seen = [number for number, rate in enumerate(rates) if rate.rows >= _FEWEST_ROWS_OF_GROUP]
    if len(seen) < 2:
        return []
    start = training.times.min().floor("D")
    dates = {number: start + pd.Timedelta(days=_DAYS_PER_WEEK * number) for number in seen}
    lowest, highest = (pick(seen, key=lambda n: rates[n].rate) for pick in (min, max))
    headline = (
        f"{write_percent(float(training.y.mean()))} of {training.problem.noun} were {training.problem.outcome}, from "
        f"{write_percent(rates[lowest].rate)} in the week of {write_date(dates[lowest])} to "
        f"{write_percent(rates[highest].rate)} in the week of {write_date(dates[highest])}."
    )
    finding = {
        "id": "outcome_over_time", "kind": "target", "severity": "insight", "headline": headline,
        "detail": f"{write_count(len(training.y))} training rows; {training.problem.outcome}: "
        f"{target.positive}. "
        "The line is the share by week, the band its 95% interval with a day as one observation, the dots are days "
        "(UTC).",
        "alt": f"Line of the share of {training.problem.outcome} by week with its interval, and a dot for each day.",
        "effect": cramers_v(count_outcomes(weeks, training.y, len(rates))),
    }  # fmt: skip
    return [state(finding, _plot_weeks(training, rates, list(dates.items())))]


def find_daily_load(training: TrainingRows) -> list[Statement]:
    """State how many outcomes a day brings, against the actions that can be taken."""
    problem = training.problem
    capacity, shifts = problem.business.capacity_per_day, problem.business.capacity_periods_per_day
    if capacity is None:
        return []
    by_day = np.bincount(training.days, weights=training.y)[np.bincount(training.days) > 0]
    reached = limit_actions(training.y == 1, training.y, training.times, capacity, shifts)
    missed = 1 - float(reached[training.y == 1].mean()) if training.y.any() else 0.0
    headline = (
        f"A median day brings {write_count(float(np.median(by_day)))} {problem.noun} that are {problem.outcome}, with "
        f"room for {write_capacity(capacity, shifts)}: even perfect foresight could act on "
        f"{write_percent(1 - missed, 0)} of them."
    )
    figure, (axes,) = new_figure(2.3)
    axes.hist(by_day, bins=25, color=ACCENT)
    axes.margins(y=0.18)
    draw_reference(axes, capacity, f"capacity {capacity}", vertical=True)
    axes.set_xlabel(f"{problem.noun} that are {problem.outcome}, a day")
    axes.set_ylabel("days")
    finding = {
        "id": "daily_load", "kind": "target", "severity": "note", "headline": headline,
        "detail": f"Where the room is short, ranking well matters more than finding all cases. {len(by_day)} days of "
        f"UTC; the "
        f"dashed line is the capacity of a day.",
        "alt": f"Histogram of {problem.outcome} {problem.noun} per day with the capacity marked.", "effect": missed,
    }  # fmt: skip
    return [state(finding, figure)]


def find_groups(training: TrainingRows) -> list[Statement]:
    """State for each categorical feature which groups have the outcome most and least often."""
    categorical = [one for one in training.measured.values() if one.feature.kind == "categorical"]
    fewest = max(_FEWEST_ROWS_OF_GROUP, len(training.y) // 1000)
    statements = []
    for one in categorical:
        rates = rate_by_bin(one.codes, training.y, training.days, len(one.labels))
        groups = [(name, rate) for name, rate in zip(one.labels, rates, strict=True) if rate.rows >= fewest]
        if len(groups) < 2:
            continue
        groups.sort(key=lambda group: -group[1].rate)
        name, (top, high), (bottom, low) = one.feature.name, groups[0], groups[-1]
        headline = (
            f"{say_plainly(name).capitalize()} {top} has the highest share, {write_percent(high.rate)} "
            f"{training.problem.outcome} (95% interval {write_percent(high.low)} to {write_percent(high.high)}); "
            f"{bottom} has the lowest, {write_percent(low.rate)}."
        )
        finding = {
            "id": f"group_{name}", "kind": "group", "severity": "insight", "headline": headline, "feature": name,
            "detail": f"{len(groups)} groups with at least {write_count(fewest)} rows"
            f"{f', the outer {_GROUPS_SHOWN} are shown' if len(groups) > _GROUPS_SHOWN else ''}. "
            f"The dashed line is the overall share. {one.feature.description}.",
            "alt": f"Share of {training.problem.outcome} by {say_plainly(name)} with intervals, "
            f"from {top} down to {bottom}.",
            "effect": cramers_v(count_outcomes(one.codes, training.y, len(one.labels))),
            "proposals": propose_values(training, name),
        }  # fmt: skip
        statements.append(state(finding, _plot_groups(training, groups)))
    return statements


def _plot_weeks(training: TrainingRows, rates: list[Rate], dates: list[tuple[int, pd.Timestamp]]) -> Figure:
    figure, (axes,) = new_figure()
    per_day = np.bincount(training.days)
    used = np.flatnonzero(per_day)
    daily = np.bincount(training.days, weights=training.y)[used] / per_day[used]
    start = training.times.min().floor("D").tz_localize(None)
    axes.plot(start + pd.to_timedelta(used, unit="D"), daily, ".", color=MUTED, markersize=3, alpha=0.55)
    middle = [date.tz_localize(None) + pd.Timedelta(days=3) for _, date in dates]
    shown = [rates[number] for number, _ in dates]
    draw_band(axes, middle, [r.rate for r in shown], [r.low for r in shown], [r.high for r in shown])
    show_percent(axes)
    show_days(axes)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"share {training.problem.outcome}")
    return figure


def _plot_groups(training: TrainingRows, groups: list[tuple[str, Rate]]) -> Figure:
    half = _GROUPS_SHOWN // 2
    shown = groups if len(groups) <= _GROUPS_SHOWN else [*groups[:half], *groups[-half:]]
    figure, (axes,) = new_figure(0.9 + 0.2 * len(shown))
    rates = [rate for _, rate in shown]
    draw_dots(axes, [n for n, _ in shown], [r.rate for r in rates], [r.low for r in rates], [r.high for r in rates])
    draw_reference(axes, float(training.y.mean()), "all", vertical=True)
    show_percent(axes, "x")
    axes.set_xlabel(f"share {training.problem.outcome}, with 95% interval")
    return figure
