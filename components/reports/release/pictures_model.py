"""Pictures of the report about data and models: months, folds, candidates, tuning, calibration, curves, importance.

In: the material of a report. Out: SVG, or nothing where the material lacks what a picture needs. Called by the report.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from components.base.statistics.scores import METRICS
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
)
from components.base.text.wording import say_plainly, write_score
from components.reports.release.material import Document, Material

_BARS = 15


def draw_leaderboard(material: Material) -> str | None:
    """Draw the cross-validated score of each entry with its folds."""
    board = material["leaderboard"]
    entries = [entry for entry in board.get("entries", []) if entry["scores"]]
    if not entries:
        return None
    metric = board["metric"]
    figure, (axes,) = new_figure(0.8 + 0.26 * len(entries))
    places = np.arange(len(entries))[::-1]
    for place, entry in zip(places, entries, strict=True):
        score = entry["scores"][metric]
        colour = CONTENDER_COLOURS.get(entry["kind"], ACCENT if entry["chosen"] else SOFT)
        axes.plot([min(score["folds"]), max(score["folds"])], [place, place], color=colour, linewidth=2.5, alpha=0.45)
        axes.plot(score["folds"], np.full(len(score["folds"]), place), "|", color=colour, markersize=8)
        axes.plot(score["mean"], place, "o", color=colour, markersize=7)
    axes.set_yticks(places, [clip_label(say_plainly(entry["name"])) for entry in entries])
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"{METRICS[metric].label}: dot mean, strokes folds")
    return render_svg(figure, "Dots of the cross-validated score of each candidate and baseline, with their folds.")


def draw_split(material: Material) -> str | None:
    """Draw which time each role and fold covers."""
    if material.prepared is None:
        return None
    limits, folds = material.prepared.limits, material["leaderboard"].get("folds", [])
    bars = [
        (role, limits[f"{role}_start"], limits[f"{role}_end"], colour)
        for role, colour in (("train", ACCENT), ("validation", COLOURS["current"]), ("test", COLOURS["champion"]))
    ]
    figure, (axes,) = new_figure(0.75 + 0.24 * (len(bars) + len(folds)))
    labels = []
    for place, fold in enumerate(folds):
        _span(axes, place, bars[0][1], fold["fit_until"], GRID)
        _span(axes, place, fold["score_from"], fold["score_until"], SOFT)
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
    """Draw every trial's score in the order of time, and the best so far."""
    tuned = material["tuned"]
    families = [f for f in tuned.get("families", []) if any(t["state"] == "complete" for t in f["trials"])]
    if sum(t["state"] == "complete" for f in families for t in f["trials"]) < 2:
        return None
    figure, (axes,) = new_figure()
    colours = [ACCENT, COLOURS["champion"], COLOURS["current"]]
    better = np.maximum if tuned["higher_is_better"] else np.minimum
    for family, colour in zip(families, colours, strict=False):
        done = [t for t in family["trials"] if t["state"] == "complete"]
        done.sort(key=lambda t: t["started_seconds"] + t["seconds"])
        ends = [t["started_seconds"] + t["seconds"] for t in done]
        scores = [t["score"] for t in done]
        axes.plot(ends, scores, "o", color=colour, markersize=4, alpha=0.6)
        axes.step(ends, better.accumulate(scores), where="post", color=colour, label=say_plainly(family["family"]))
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds since the search began")
    axes.set_ylabel(METRICS[tuned["metric"]].label)
    draw_legend(figure)
    return render_svg(
        figure, "Dots of the score of each trial over time, with a step line of the best so far by family."
    )


def draw_calibration(material: Material) -> str | None:
    """Draw observed rates against predicted probabilities."""
    curves = material["evaluation"].get("calibration", {})
    if not curves:
        return None
    figure, (axes,) = new_figure(3.1)
    top = max(max(b["mean_probability"], b["observed_rate"]) for bins in curves.values() for b in bins)
    axes.plot([0, top], [0, top], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="honest")
    for role, bins in curves.items():
        x, y = [b["mean_probability"] for b in bins], [b["observed_rate"] for b in bins]
        axes.plot(x, y, color=CONTENDER_COLOURS[role], marker="o", markersize=4, label=material.name_role(role))
    show_percent(axes)
    show_percent(axes, "x")
    axes.set_xlabel("predicted probability")
    axes.set_ylabel(f"observed share {material.outcome}")
    draw_legend(figure)
    return render_svg(figure, "Observed share of the outcome against the predicted probability, in ten bins.")


def draw_precision_recall(material: Material) -> str | None:
    """Draw precision against recall."""
    return _draw_curves(material, "precision_recall", "recall: share of cases found", "precision: share right")


def draw_roc(material: Material) -> str | None:
    """Draw true against false positive rates."""
    return _draw_curves(material, "roc", "false positive rate", "true positive rate")


def draw_importance(material: Material) -> str | None:
    """Draw how much the score falls when a feature is shuffled."""
    ranked = [entry for entry in material["evaluation"].get("importance", []) if entry["mean"] > 0][:_BARS]
    if not ranked:
        return None
    figure, (axes,) = new_figure(0.8 + 0.19 * len(ranked))
    means = [entry["mean"] for entry in ranked]
    draw_bars(axes, [say_plainly(e["feature"]) for e in ranked], means, [write_score(m, 4) for m in means])
    axes.set_xlabel(f"fall of the {METRICS[material.problem.metrics.primary].label} when shuffled")
    return render_svg(figure, "Bars of how much the score falls when the values of one feature are shuffled.")


def draw_months(material: Material) -> str | None:
    """Draw the special outcomes of each month as shares of its rows."""
    if material.quality is None or not material.quality.outcomes.months:
        return None
    months, names = material.quality.outcomes.months, list(material.problem.target.outcomes)
    figure, (axes,) = new_figure(2.3)
    shown = [("positive", material.outcome, ACCENT)]
    shown += [(n, say_plainly(n), c) for n, c in zip(names, (BAD, COLOURS["current"], MUTED), strict=False)]
    for name, label, colour in shown:
        shares = [month.count(name) / max(month.rows, 1) for month in months]
        axes.plot(range(len(months)), shares, color=colour, marker="o", markersize=4, label=label)
    axes.set_xticks(range(len(months)), [month.month[2:] if len(months) > 6 else month.month for month in months])
    show_percent(axes)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"share of {material.noun}")
    draw_legend(figure)
    return render_svg(figure, "Lines of the share of the outcome and of each special case by month.")


MODEL_PICTURES: dict[str, Callable[[Material], str | None]] = {
    "leaderboard": draw_leaderboard,
    "split": draw_split,
    "tuning": draw_tuning,
    "calibration": draw_calibration,
    "precision_recall": draw_precision_recall,
    "roc": draw_roc,
    "importance": draw_importance,
    "months": draw_months,
}


def _draw_curves(material: Material, name: str, x_label: str, y_label: str) -> str | None:
    curves: dict[str, Document] = material["evaluation"].get("curves", {})
    if not curves:
        return None
    figure, (axes,) = new_figure(3.1)
    for role, curve in curves.items():
        points: Sequence[Sequence[float]] = curve[name]
        axes.plot(
            [p[0] for p in points],
            [p[1] for p in points],
            color=CONTENDER_COLOURS[role],
            label=material.name_role(role),
        )
    if name == "roc":
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="chance")
    show_percent(axes)
    show_percent(axes, "x")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    draw_legend(figure)
    return render_svg(figure, f"Curve of {y_label} against {x_label} for each contender.")


def _span(axes: Axes, place: int, start: str, end: str, colour: Any) -> None:
    first, last = pd.Timestamp(start), pd.Timestamp(end)
    axes.barh(place, (last - first) / pd.Timedelta(days=1), left=_day(first), height=0.62, color=colour)


def _day(moment: pd.Timestamp) -> float:
    from matplotlib.dates import date2num

    return float(date2num(moment.tz_convert(None).to_pydatetime()))
