"""Lines over the windows: how every trend of the reports is drawn.

In: a `History` and what to read of each window. Out: SVG, or marks on axes. Called by the pictures of both reports. A
window stands at its `as_of`; what is not known is a gap; an upright line is where another model took over.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import date2num, num2date
from numpy.typing import NDArray

from components.base.text.figures import (
    BAD,
    MUTED,
    draw_band,
    draw_legend,
    draw_reference,
    new_figure,
    render_svg,
    show_days,
    show_thousands,
)
from components.monitoring.results import Estimate
from components.reports.history import History, Read

Array = NDArray[np.float64]
Lines = Mapping[str, tuple[Read, str]]
"""What to read, and its colour, by the name of the line."""


def place_moments(moments: Iterable[datetime]) -> Array:
    """Return moments as places on a time axis."""
    return np.array([date2num(moment) for moment in moments], dtype=np.float64)


def place_windows(history: History) -> Array:
    """Return the place of each window."""
    return place_moments(result.as_of for result in history.results)


def can_trend(values: Sequence[object | None]) -> bool:
    """Return whether there is a line to draw: one window alone has no trend."""
    return len(values) > 1 and any(value is not None for value in values)


def draw_trend(history: History, lines: Lines, label: str, alt: str, limit: float | None = None) -> str | None:
    """Draw one line for each number over the windows; nothing for one window alone."""
    if not any(can_trend(history.trend(read)) for read, _ in lines.values()):
        return None
    figure, (axes,) = new_figure()
    moments = place_windows(history)
    for name, (read, colour) in lines.items():
        numbers = to_numbers(history.trend(read))
        axes.plot(moments, numbers, color=colour, marker="o", markersize=3, label=name or None)
    if limit is not None:
        draw_reference(axes, limit, "limit", colour=BAD)
    finish_windows(axes, history)
    if max(abs(number) for line in axes.lines for number in np.ravel(line.get_ydata()) if np.isfinite(number)) >= 1000:
        show_thousands(axes)
    axes.set_ylabel(label)
    if any(lines):
        draw_legend(figure)
    return render_svg(figure, alt)


def draw_estimates(axes: Axes, history: History, estimates: Sequence[Estimate | None], colour: str) -> None:
    """Draw a line of estimates within their intervals."""
    middle, low, high = (
        to_numbers([read(one) if one else None for one in estimates])
        for read in (
            lambda one: one.estimate,
            lambda one: bound_or_estimate(one, one.low),
            lambda one: bound_or_estimate(one, one.high),
        )
    )
    moments = place_windows(history)
    draw_band(axes, moments, middle, low, high, color=colour, marker="o", markersize=3)


def bound_or_estimate(estimate: Estimate, bound: float | None) -> float:
    """Return a bound, or the estimate where the rows cannot tell."""
    return estimate.estimate if bound is None else bound


def to_numbers(values: Sequence[float | None]) -> Array:
    """Return values with NaN for what is not known."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def finish_windows(axes: Axes, history: History) -> None:
    """Mark where another model took over, and write the dates."""
    for before, after in zip(history.results[:-1], history.results[1:], strict=True):
        if before.model_version != after.model_version:
            axes.axvline(float(date2num(after.as_of)), color=MUTED, linewidth=0.8, alpha=0.6)
    finish_days(axes, place_windows(history))


def finish_days(axes: Axes, places: Array) -> None:
    """Write the dates; a single day is its own only tick, and has room on both sides."""
    show_days(axes)
    if len(places) == 1:
        axes.set_xticks(places, [f"{num2date(places[0]):%d %b %Y}"])
        axes.set_xlim(places[0] - 1, places[0] + 1)
