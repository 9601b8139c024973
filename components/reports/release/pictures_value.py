"""Pictures of the report about money: what decisions are worth, by contender, day, threshold and capacity.

In: the material of a report. Out: SVG, or nothing where the material lacks what a picture needs. Called by the report.
Contenders keep their colours from picture to picture.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from components.base.text.figures import (
    ACCENT,
    BAD,
    COLOURS,
    CONTENDER_COLOURS,
    MUTED,
    draw_legend,
    draw_reference,
    new_figure,
    render_svg,
    show_days,
    show_percent,
    show_thousands,
)
from components.base.text.wording import write_count
from components.reports.release.material import Document, Material

# Steps of the what-if over the capacity, as shares of the contract's own.
_CAPACITY_STEPS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)


def draw_value(material: Material) -> str | None:
    """Draw what each contender's decisions are worth, with intervals."""
    contenders = material.contenders
    if not contenders:
        return None
    figure, (axes,) = new_figure(0.8 + 0.36 * len(contenders))
    places = np.arange(len(contenders))[::-1]
    for place, (role, judged) in zip(places, contenders.items(), strict=True):
        value, colour = judged["value_per_1000"], CONTENDER_COLOURS[role]
        axes.barh(place, value["estimate"], height=0.62, color=colour, alpha=0.85)
        _whisker(axes, value, place)
        end = max(value["estimate"], value["high"] or 0, 0)
        text = write_count(value["estimate"])
        axes.annotate(text, (end, place), (5, 0), textcoords="offset points", va="center", fontweight="bold")
    axes.margins(x=0.2)
    axes.set_yticks(places, [material.name_role(role) for role in contenders])
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.grid(axis="y", visible=False)
    show_thousands(axes, "x")
    axes.set_xlabel(f"{material.problem.business.currency} per 1,000 {material.noun}, 95% interval")
    return render_svg(
        figure, "Bars of what the decisions of each contender are worth on the test rows, with intervals."
    )


def draw_value_by_day(material: Material) -> str | None:
    """Draw the value that adds up over the test days."""
    days = material["evaluation"].get("value_by_day", [])
    if len(days) < 2:
        return None
    figure, (axes,) = new_figure()
    dates = pd.to_datetime([day["day"] for day in days])
    for role in material.contenders:
        if role in days[0]:
            total = np.cumsum([day[role] for day in days])
            axes.plot(dates, total, color=CONTENDER_COLOURS[role], label=material.name_role(role))
    show_days(axes)
    show_thousands(axes)
    axes.set_ylabel(f"{material.problem.business.currency}, added up")
    draw_legend(figure)
    return render_svg(figure, "Lines of the value of the decisions, added up over the days of the test.")


def draw_thresholds(material: Material) -> str | None:
    """Draw the value of each threshold on the rows that chose it, and on the test rows."""
    chosen = material["model"].get("details", {}).get("threshold", {})
    if not chosen.get("curve"):
        return None
    figure, (axes,) = new_figure()
    for points, colour, label in (
        (chosen["curve"], ACCENT, "validation (chose it)"),
        (material["evaluation"].get("thresholds", []), COLOURS["champion"], "test (shown only)"),
    ):
        if points:
            x, y = [p["threshold"] for p in points], [p["value_per_1000"] for p in points]
            axes.plot(x, y, color=colour, label=label)
    draw_reference(axes, chosen["chosen"]["threshold"], "in force", vertical=True, colour=BAD)
    axes.axhline(0, color=MUTED, linewidth=0.8)
    show_thousands(axes)
    show_percent(axes, "x")
    axes.set_xlabel("act from this probability on")
    axes.set_ylabel(f"{material.problem.business.currency} per 1,000")
    draw_legend(figure)
    return render_svg(figure, "Curve of the value of the decisions by threshold, with the threshold in force.")


def draw_capacity(material: Material) -> str | None:
    """Draw what the same thresholds would earn with more or fewer actions a day."""
    capacity, predictions = material.problem.business.capacity_per_day, material.predictions
    if predictions is None or capacity is None:
        return None
    shifts = material.problem.business.capacity_periods_per_day
    steps = sorted({shifts * max(1, round(capacity * step / shifts)) for step in _CAPACITY_STEPS})
    figure, (axes,) = new_figure()
    for role, judged in material.contenders.items():
        if f"p_{role}" in predictions and role != "dumb":
            values = [_value_with(material, predictions, role, judged["threshold"], step) for step in steps]
            axes.plot(
                steps, values, color=CONTENDER_COLOURS[role], marker="o", markersize=3, label=material.name_role(role)
            )
    draw_reference(axes, capacity, "today", vertical=True)
    show_thousands(axes)
    axes.set_xlabel("actions possible a day")
    axes.set_ylabel(f"{material.problem.business.currency} per 1,000")
    draw_legend(figure)
    return render_svg(figure, "Lines of the value of the decisions by the number of actions that are possible a day.")


VALUE_PICTURES: dict[str, Callable[[Material], str | None]] = {
    "value": draw_value,
    "value_by_day": draw_value_by_day,
    "thresholds": draw_thresholds,
    "capacity": draw_capacity,
}


def _whisker(axes: Axes, interval: Document, place: float) -> None:
    if interval.get("low") is not None and interval.get("high") is not None:
        axes.plot([interval["low"], interval["high"]], [place, place], color=COLOURS["ink"], linewidth=1.2)
        axes.plot([interval["low"], interval["high"]], [place, place], "|", color=COLOURS["ink"], markersize=7)


def _value_with(material: Material, predictions: pd.DataFrame, role: str, threshold: float, capacity: int) -> float:
    from components.base.statistics.decisions import value_per_1000

    business = material.problem.business.model_copy(update={"capacity_per_day": capacity})
    outcomes = predictions[material.problem.target.name].to_numpy(dtype=np.float64)
    scores = predictions[f"p_{role}"].to_numpy(dtype=np.float64)
    return value_per_1000(outcomes, scores, threshold, predictions["predicted_at"], business)
