"""The KPI report for the business: one page on what the decisions earned, without a word of the trade.

In: a `History`. Out: its pictures as SVG, none where no period has a known value, and HTML that loads nothing else.
Called by `write_reports`. Judges nothing.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from components.base.text.figures import ACCENT, draw_band, draw_reference, new_figure, render_svg, show_thousands
from components.base.text.templating import render
from components.monitoring.results import Contender, MonitoringResult
from components.reports.daily.pictures import CONTENDER_COLOURS, CONTENDER_NAMES
from components.reports.earnings import find_contender, measure_gain
from components.reports.history import History, Read, add_estimates, format_window, tile_windows
from components.reports.kpi.content import build_kpi
from components.reports.trends import Lines, bound_or_estimate, draw_trend, finish_days, place_times

_TEMPLATES = Path(__file__).parent / "templates"


def render_kpi(history: History, pictures: Mapping[str, str], daily_link: str = "") -> str:
    """Render the report as one HTML file; `daily_link` is the address of the engineers' report beside it."""
    result = history.newest
    return render(
        _TEMPLATES,
        "kpi.html.j2",
        problem=history.problem,
        noun=history.problem.noun,
        outcome=history.problem.outcome,
        currency=history.currency,
        result=result,
        period=format_window(result.window),
        before=format_window(history.previous.window) if history.previous else "",
        kpi=build_kpi(history),
        worth=history.task.report.format_worth(history.problem),
        pictures=pictures,
        daily_link=daily_link,
    )


def draw_earned(history: History) -> str | None:
    """Draw what was earned in each period, and what others would have earned."""
    names = {**CONTENDER_NAMES, "served": "Decisions taken"}
    lines: Lines = {
        names[name]: (_reader(name), colour)
        for name, colour in CONTENDER_COLOURS.items()
        if any(total is not None for total in history.trend(_reader(name)))
    }
    return draw_trend(history, lines, history.currency, "Lines of what the decisions earned in each period.")


def draw_sum(history: History) -> str | None:
    """Draw how the gain over the current solution adds up over periods that do not overlap."""
    measured = [(result, measure_gain(result, "current_solution")) for result in tile_windows(history.results)]
    known = [(result, gain) for result, gain in measured if gain]
    if len(known) < 2:
        return None
    gains = [gain for _, gain in known]
    sums = [add_estimates(gains[: place + 1]) for place in range(len(gains))]
    figure, (axes,) = new_figure()
    places = place_times(result.as_of for result, _ in known)
    low, high = (
        np.array([bound_or_estimate(one, bound) for one, bound in zip(sums, bounds, strict=True)])
        for bounds in ([one.low for one in sums], [one.high for one in sums])
    )
    draw_band(axes, places, [one.estimate for one in sums], low, high, color=ACCENT, marker="o", markersize=3)
    draw_reference(axes, 0.0, "current solution")
    finish_days(axes, places)
    show_thousands(axes)
    axes.set_ylabel(history.currency)
    return render_svg(figure, "Line of how much more than the current solution was earned, added up.")


def draw_kpi(history: History) -> dict[str, str]:
    """Draw every picture that the history allows, as SVG by name."""
    drawn = {"earned": draw_earned(history), "summed": draw_sum(history)}
    return {name: svg for name, svg in drawn.items() if svg}


def _reader(name: Contender) -> Read:
    def read(result: MonitoringResult) -> float | None:
        found = find_contender(result, name)
        return found.total if found else None

    return read
