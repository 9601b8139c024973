"""Draw the trends of the reports: lines over the windows.

In: a `History`, and functions that read one number of a window. Out: SVG, or marks on axes. Called by the pictures of
both reports and of the simulation. A window is drawn at its `as_of`; an unknown number is a gap in the line; a vertical
line marks a new champion.
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
"""The function that reads the number, and the colour, by the name of the line."""


def place_times(times: Iterable[datetime]) -> Array:
    """Return the places of times on a time axis (days, as matplotlib counts them)."""
    return np.array([date2num(time) for time in times], dtype=np.float64)


def place_windows(history: History) -> Array:
    """Return the place of each window."""
    return place_times(result.as_of for result in history.results)


def has_trend(values: Sequence[object | None]) -> bool:
    """Return whether there is a line to draw: at least two windows, and a number in one of them."""
    return len(values) > 1 and any(value is not None for value in values)


def draw_trend(history: History, lines: Lines, label: str, alt: str, limit: float | None = None) -> str | None:
    """Draw one line for each number over the windows; None without a trend."""
    if not any(has_trend(history.trend(read)) for read, _ in lines.values()):
        return None
    figure, (axes,) = new_figure()
    places = place_windows(history)
    for name, (read, colour) in lines.items():
        numbers = to_numbers(history.trend(read))
        axes.plot(places, numbers, color=colour, marker="o", markersize=3, label=name or None)
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
    middle = to_numbers([one.estimate if one else None for one in estimates])
    low = to_numbers([bound_or_estimate(one, one.low) if one else None for one in estimates])
    high = to_numbers([bound_or_estimate(one, one.high) if one else None for one in estimates])
    draw_band(axes, place_windows(history), middle, low, high, color=colour, marker="o", markersize=3)


def bound_or_estimate(estimate: Estimate, bound: float | None) -> float:
    """Return a bound, or the estimate if there were too few rows for a bound."""
    return estimate.estimate if bound is None else bound


def to_numbers(values: Sequence[float | None]) -> Array:
    """Return values with NaN for None."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def finish_windows(axes: Axes, history: History) -> None:
    """Mark where the champion changes, and label the dates."""
    for before, after in zip(history.results[:-1], history.results[1:], strict=True):
        if before.model_version != after.model_version:
            axes.axvline(float(date2num(after.as_of)), color=MUTED, linewidth=0.8, alpha=0.6)
    finish_days(axes, place_windows(history))


def finish_days(axes: Axes, places: Array) -> None:
    """Label the dates; a single day gets one tick, with a day of room on both sides."""
    show_days(axes)
    if len(places) == 1:
        axes.set_xticks(places, [f"{num2date(places[0]):%d %b %Y}"])
        axes.set_xlim(places[0] - 1, places[0] + 1)
