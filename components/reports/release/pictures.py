"""Pictures of the report that every kind of problem has: money, candidates, folds, tuning, importance, months.

In: the material of a report. Out: SVG, or nothing where the material lacks what a picture needs. Called by the report.
Contenders keep their colours from picture to picture.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from components.base.text.figures import (
    ACCENT,
    BAD,
    COLOURS,
    CONTENDER_COLOURS,
    GRID,
    MUTED,
    SOFT,
    clip_label,
    draw_bars,
    draw_legend,
    new_figure,
    render_svg,
    show_days,
    show_percent,
    show_thousands,
)
from components.base.text.wording import has_bounds, say_plainly, write_confidence, write_count, write_score
from components.reports.release.material import Material

_BARS = 15


def draw_value(material: Material) -> str | None:
    """Draw what each contender's decisions are worth, with intervals."""
    contenders, evaluation = material.contenders, material.evaluation
    if not contenders or evaluation is None:
        return None
    figure, (axes,) = new_figure(0.8 + 0.36 * len(contenders))
    places = np.arange(len(contenders))[::-1]
    for place, (role, judged) in zip(places, contenders.items(), strict=True):
        value, end = judged.value_per_1000, max(judged.value_per_1000.estimate, 0)
        axes.barh(place, value.estimate, height=0.62, color=CONTENDER_COLOURS[role], alpha=0.85)
        if has_bounds(value):
            axes.plot([value.low, value.high], [place, place], color=COLOURS["ink"], linewidth=1.2)
            axes.plot([value.low, value.high], [place, place], "|", color=COLOURS["ink"], markersize=7)
            end = max(end, value.high)
        text = write_count(value.estimate)
        axes.annotate(text, (end, place), (5, 0), textcoords="offset points", va="center", fontweight="bold")
    axes.margins(x=0.2)
    axes.set_yticks(places, [material.name_role(role) for role in contenders])
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.grid(axis="y", visible=False)
    show_thousands(axes, "x")
    interval = f"{write_confidence(evaluation.bootstrap.confidence)} interval"
    axes.set_xlabel(f"{material.problem.business.currency} per 1,000 {material.problem.noun}, {interval}")
    return render_svg(
        figure, "Bars of what the decisions of each contender are worth on the test rows, with intervals."
    )


def draw_value_by_day(material: Material) -> str | None:
    """Draw the value that adds up over the test days."""
    by_day = material.evaluation.value_by_day if material.evaluation else {}
    shown = {role: by_day[role] for role in material.contenders if len(by_day.get(role, {})) > 1}
    if not shown:
        return None
    figure, (axes,) = new_figure()
    for role, values in shown.items():
        total = np.cumsum(list(values.values()))
        axes.plot(pd.to_datetime(list(values)), total, color=CONTENDER_COLOURS[role], label=material.name_role(role))
    show_days(axes)
    show_thousands(axes)
    axes.set_ylabel(f"{material.problem.business.currency}, added up")
    draw_legend(figure)
    return render_svg(figure, "Lines of the value of the decisions, added up over the days of the test.")


def draw_leaderboard(material: Material) -> str | None:
    """Draw the cross-validated score of each entry with its folds."""
    board = material.leaderboard
    entries = [entry for entry in board.entries if entry.scores] if board else []
    if board is None or not entries:
        return None
    figure, (axes,) = new_figure(0.8 + 0.26 * len(entries))
    places = np.arange(len(entries))[::-1]
    for place, entry in zip(places, entries, strict=True):
        score = entry.scores[board.metric]
        colour = CONTENDER_COLOURS.get(entry.kind, ACCENT if entry.chosen else SOFT)
        axes.plot([min(score.folds), max(score.folds)], [place, place], color=colour, linewidth=2.5, alpha=0.45)
        axes.plot(score.folds, np.full(len(score.folds), place), "|", color=colour, markersize=8)
        axes.plot(score.mean, place, "o", color=colour, markersize=7)
    axes.set_yticks(places, [clip_label(say_plainly(entry.name)) for entry in entries])
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"{material.task.metrics[board.metric].label}: dot mean, strokes folds")
    return render_svg(figure, "Dots of the cross-validated score of each candidate and baseline, with their folds.")


def draw_split(material: Material) -> str | None:
    """Draw which time each role and fold covers."""
    if material.prepared is None:
        return None
    limits, folds = material.prepared.limits, material.leaderboard.folds if material.leaderboard else ()
    bars = [
        (role, limits[f"{role}_start"], limits[f"{role}_end"], colour)
        for role, colour in (("train", ACCENT), ("validation", COLOURS["current"]), ("test", COLOURS["champion"]))
    ]
    figure, (axes,) = new_figure(0.75 + 0.24 * (len(bars) + len(folds)))
    labels = []
    for place, fold in enumerate(folds):
        _span(axes, place, bars[0][1], fold.fit_until, GRID)
        _span(axes, place, fold.score_from, fold.score_until, SOFT)
        labels.append(f"fold {place + 1}")
    for place, (role, start, end, colour) in enumerate(bars, start=len(folds)):
        _span(axes, place, start, end, colour)
        labels.append(role)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.xaxis_date()
    axes.grid(axis="y", visible=False)
    show_days(axes)
    return render_svg(
        figure, "Time covered by each fold (grey fits, light green scores) and by train, validation and test."
    )


def draw_tuning(material: Material) -> str | None:
    """Draw the score of every complete trial in their order, and the best so far."""
    tuned = material.tuned
    searched = {
        family.family: [(trial.number + 1, trial.score) for trial in family.trials if trial.score is not None]
        for family in (tuned.families if tuned else ())
    }
    if tuned is None or sum(map(len, searched.values())) < 2:
        return None
    figure, (axes,) = new_figure()
    colours = [ACCENT, COLOURS["champion"], COLOURS["current"]]
    better = np.maximum if tuned.higher_is_better else np.minimum
    drawn = {family: trials for family, trials in searched.items() if trials}
    for (family, trials), colour in zip(drawn.items(), colours, strict=False):
        numbers, scores = zip(*trials, strict=True)
        axes.plot(numbers, scores, "o", color=colour, markersize=4, alpha=0.6)
        axes.step(numbers, better.accumulate(scores), where="post", color=colour, label=say_plainly(family))
    axes.set_xlim(left=0)
    axes.set_xlabel("trial")
    axes.set_ylabel(material.task.metrics[tuned.metric].label)
    draw_legend(figure)
    return render_svg(
        figure, "Dots of the score of each complete trial, in order, with a step line of the best so far by family."
    )


def draw_importance(material: Material) -> str | None:
    """Draw how much the score falls when a feature is shuffled."""
    ranked = [entry for entry in (material.evaluation.importance if material.evaluation else ()) if entry.mean > 0]
    if not ranked:
        return None
    shown = ranked[:_BARS]
    figure, (axes,) = new_figure(0.8 + 0.19 * len(shown))
    means = [entry.mean for entry in shown]
    draw_bars(axes, [say_plainly(entry.feature) for entry in shown], means, [write_score(mean, 4) for mean in means])
    axes.set_xlabel(f"fall of the {material.task.primary.label} when shuffled")
    return render_svg(figure, "Bars of how much the score falls when the values of one feature are shuffled.")


def draw_months(material: Material) -> str | None:
    """Draw the special outcomes of each month as shares of its rows."""
    if material.quality is None or not material.quality.outcomes.months or not material.problem.outcome_cases:
        return None
    months, names = material.quality.outcomes.months, list(material.problem.outcome_cases)
    figure, (axes,) = new_figure(2.3)
    words = {"positive": material.problem.outcome}
    colours = (ACCENT, BAD, COLOURS["current"], MUTED)
    shown = [(name, words.get(name, say_plainly(name)), c) for name, c in zip(names, colours, strict=False)]
    for name, label, colour in shown:
        shares = [month.count(name) / max(month.rows, 1) for month in months]
        axes.plot(range(len(months)), shares, color=colour, marker="o", markersize=4, label=label)
    axes.set_xticks(range(len(months)), [month.month[2:] if len(months) > 6 else month.month for month in months])
    show_percent(axes)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"share of {material.problem.noun}")
    draw_legend(figure)
    return render_svg(figure, "Lines of the share of the outcome and of each special case by month.")


def _span(axes: Axes, place: int, start: str, end: str, colour: Any) -> None:
    from matplotlib.dates import date2num

    first, last = (pd.Timestamp(time).tz_convert(None).to_pydatetime() for time in (start, end))
    left = float(date2num(first))
    axes.barh(place, float(date2num(last)) - left, left=left, height=0.62, color=colour)
