"""Findings about the outcome: how it is spread, over time, and by group.

In: `TrainingRows`. Out: statements with their figures. Called by explore.
"""

from typing import cast

import numpy as np
import pandas as pd

from components.base.contract.regression import RegressionProblem
from components.base.statistics.clusters import mean_by_group
from components.base.text.figures import ACCENT, MUTED, draw_band, draw_dots, draw_reference, new_figure, show_days
from components.base.text.wording import say_plainly, write_count, write_date, write_percent, write_quantity
from components.features.explore.findings.finding import Statement, state
from components.features.explore.proposals import propose_values
from components.features.explore.training_rows import TrainingRows
from components.tasks.regression.explore.association import explained_share

_DAYS_PER_WEEK = 7
# Groups with fewer rows have intervals so wide that naming them as highest or lowest is a lottery.
_FEWEST_ROWS_OF_GROUP = 100
_GROUPS_SHOWN = 12
_LEVELS = (0.05, 0.5, 0.95)


def read_unit(training: TrainingRows) -> str:
    """Return the unit of the outcome."""
    return cast("RegressionProblem", training.problem).target.unit


def find_distribution(training: TrainingRows) -> list[Statement]:
    """State where the outcomes lie, and whether a few of them outweigh the rest."""
    unit, y = read_unit(training), training.y
    low, median, high = np.quantile(y, _LEVELS)
    mean = float(y.mean())
    skewed = abs(mean - median) > 0.1 * (high - low)
    tail = (
        f"The mean, {write_quantity(mean, unit)}, is far from the median: a few rows weigh much, and a model of the "
        "median and one of the mean predict different things."
        if skewed
        else f"The mean, {write_quantity(mean, unit)}, is near the median."
    )
    figure, (axes,) = new_figure(2.5)
    ends = np.quantile(y, [0.005, 0.995])
    axes.hist(y[(y >= ends[0]) & (y <= ends[1])], bins=60, color=ACCENT)
    draw_reference(axes, float(median), "median", vertical=True)
    axes.set_xlabel(f"{training.problem.outcome} ({unit})")
    axes.set_ylabel("rows")
    finding = {
        "id": "outcome_distribution", "kind": "target", "severity": "insight",
        "headline": f"Half of the {training.problem.noun} have {training.problem.outcome} of at most "
        f"{write_quantity(float(median), unit)}; nine in ten lie between {write_quantity(float(low), unit)} and "
        f"{write_quantity(float(high), unit)}.",
        "detail": f"{tail} {write_count(len(y))} training rows; the outer half percent at each end is not drawn.",
        "alt": f"Histogram of {training.problem.outcome} with its median.",
        "effect": float(min(1.0, abs(mean - median) / max(high - low, 1e-12))),
    }  # fmt: skip
    return [state(finding, figure)]


def find_over_time(training: TrainingRows) -> list[Statement]:
    """State how the mean outcome moved from week to week."""
    weeks, unit = training.days // _DAYS_PER_WEEK, read_unit(training)
    means = mean_by_group(weeks, training.y, training.days, int(weeks.max()) + 1)
    seen = [number for number, mean in enumerate(means) if mean.rows >= _FEWEST_ROWS_OF_GROUP]
    if len(seen) < 2:
        return []
    start = training.times.min().floor("D")
    dates = {number: start + pd.Timedelta(days=_DAYS_PER_WEEK * number) for number in seen}
    lowest, highest = (pick(seen, key=lambda n: means[n].mean) for pick in (min, max))
    figure, (axes,) = new_figure()
    middle = [dates[number].tz_localize(None) + pd.Timedelta(days=3) for number in seen]
    shown = [means[number] for number in seen]
    per_day = np.bincount(training.days)
    used = np.flatnonzero(per_day)
    daily = np.bincount(training.days, weights=training.y)[used] / per_day[used]
    days = start.tz_localize(None) + pd.to_timedelta(used, unit="D")
    axes.plot(days, daily, ".", color=MUTED, markersize=3, alpha=0.55)
    draw_band(axes, middle, [m.mean for m in shown], [m.low for m in shown], [m.high for m in shown])
    show_days(axes)
    axes.set_ylabel(f"mean {training.problem.outcome} ({unit})")
    finding = {
        "id": "outcome_over_time", "kind": "target", "severity": "insight",
        "headline": f"The mean {training.problem.outcome} was {write_quantity(float(training.y.mean()), unit)}, from "
        f"{write_quantity(means[lowest].mean, unit)} in the week of {write_date(dates[lowest])} to "
        f"{write_quantity(means[highest].mean, unit)} in the week of {write_date(dates[highest])}.",
        "detail": f"{write_count(len(training.y))} training rows. The line is the mean by week, the band its 95% "
        "interval with a day as one observation, the dots are days (UTC).",
        "alt": f"Line of the mean {training.problem.outcome} by week with its interval, and a dot for each day.",
        "effect": explained_share(weeks, training.y, len(means)) ** 0.5,
    }  # fmt: skip
    return [state(finding, figure)]


def find_groups(training: TrainingRows) -> list[Statement]:
    """State for each categorical feature which groups have the highest and the lowest mean outcome."""
    fewest, unit = max(_FEWEST_ROWS_OF_GROUP, len(training.y) // 1000), read_unit(training)
    statements = []
    for one in (one for one in training.measured.values() if one.feature.kind == "categorical"):
        means = mean_by_group(one.codes, training.y, training.days, len(one.labels))
        groups = [(name, mean) for name, mean in zip(one.labels, means, strict=True) if mean.rows >= fewest]
        if len(groups) < 2:
            continue
        groups.sort(key=lambda group: -group[1].mean)
        name, (top, high), (bottom, low) = one.feature.name, groups[0], groups[-1]
        half = _GROUPS_SHOWN // 2
        shown = groups if len(groups) <= _GROUPS_SHOWN else [*groups[:half], *groups[-half:]]
        figure, (axes,) = new_figure(0.9 + 0.2 * len(shown))
        drawn = [mean for _, mean in shown]
        draw_dots(axes, [n for n, _ in shown], [m.mean for m in drawn], [m.low for m in drawn], [m.high for m in drawn])
        draw_reference(axes, float(training.y.mean()), "all", vertical=True)
        axes.set_xlabel(f"mean {training.problem.outcome} ({unit}), with 95% interval")
        finding = {
            "id": f"group_{name}", "kind": "group", "severity": "insight", "feature": name,
            "headline": f"{say_plainly(name).capitalize()} {top} has the highest mean, "
            f"{write_quantity(high.mean, unit)} (95% interval {write_quantity(high.low, None)} to "
            f"{write_quantity(high.high, None)}); {bottom} has the lowest, {write_quantity(low.mean, unit)}.",
            "detail": f"{len(groups)} groups with at least {write_count(fewest)} rows"
            f"{f', the outer {_GROUPS_SHOWN} are shown' if len(groups) > _GROUPS_SHOWN else ''}: "
            f"{write_percent(one.association.strength)} of the variance. {one.feature.description}.",
            "alt": f"Mean {training.problem.outcome} by {say_plainly(name)} with intervals, from {top} to {bottom}.",
            "effect": one.association.strength**0.5,
            "proposals": propose_values(training, name),
        }  # fmt: skip
        statements.append(state(finding, figure))
    return statements
