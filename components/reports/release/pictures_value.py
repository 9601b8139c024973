"""Pictures of the report about money: what decisions are worth, by contender and by day.

In: the material of a report. Out: SVG, or nothing where the material lacks what a picture needs. Called by the report.
Contenders keep their colours from picture to picture.
"""

import numpy as np
import pandas as pd

from components.base.text.figures import (
    COLOURS,
    CONTENDER_COLOURS,
    MUTED,
    draw_legend,
    new_figure,
    render_svg,
    show_days,
    show_thousands,
)
from components.base.text.wording import has_bounds, write_count
from components.reports.release.material import Material


def draw_value(material: Material) -> str | None:
    """Draw what each contender's decisions are worth, with intervals."""
    contenders = material.contenders
    if not contenders:
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
    axes.set_xlabel(f"{material.problem.business.currency} per 1,000 {material.problem.noun}, 95% interval")
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
