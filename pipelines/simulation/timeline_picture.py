"""The picture of a loop: performance, value as it adds up, and what happened, month under month on one axis of time.

In: a `Timeline`. Out: one SVG for a screen and one for a phone; nothing without months. Called by `timeline_page`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, MonthLocator

from components.base.text.figures import (
    ACCENT,
    BAD,
    COLOURS,
    INK,
    draw_band,
    draw_reference,
    new_figure,
    render_svg,
    show_thousands,
)
from components.base.text.wording import write_gain
from components.reports.trends import place_times, to_numbers
from pipelines.simulation.timeline import Timeline, TimelineEvent, add_up, pair_alerts

# Width and height in inches, and the font of the marks, of the picture for a screen and the one for a phone.
SCREEN, PHONE = (9.8, 6.9), (5.0, 7.6)
_CURRENT, _FROZEN = COLOURS["current"], COLOURS["dummy"]
# The lanes of what the governor decided and what was released.
_DONE = {"ruling": "rulings", "release": "releases"}
_ALT = "Three charts over the months: performance with its limit, value as it adds up, and alerts with what was done."


def draw_timeline(timeline: Timeline, size: tuple[float, float] = SCREEN) -> str | None:
    """Draw the whole loop."""
    if not any(one.score is not None or one.value is not None for one in timeline.months):
        return None
    lanes = list_lanes(timeline)
    figure, (scores, values, happened) = new_figure(size[1], rows=3, width=size[0])
    grid = scores.get_gridspec()
    if grid is not None:
        grid.set_height_ratios([3, 3, max(1.2, 0.4 * len(lanes))])
    _draw_scores(scores, timeline)
    _draw_values(values, timeline)
    is_wide = size[0] >= SCREEN[0]
    _draw_lanes(happened, timeline, lanes, longest=40 if is_wide else 22)
    style: dict[str, Any] = {"borderaxespad": 0.1, "handlelength": 1.4, "columnspacing": 1.2}
    for axes in (scores, values):
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3 if is_wide else 2, **style)
    if is_wide:
        _write_difference(values, timeline)
    for axes in (scores, values, happened):
        _finish(axes, timeline, months_a_tick=1 if is_wide else 1 + len(timeline.months) // 6)
    for axes in (scores, values):
        axes.set_xticklabels([])
    return render_svg(figure, f"{_ALT} {'Wide' if is_wide else 'Narrow'}.")


def list_lanes(timeline: Timeline) -> list[str]:
    """Return the names of the lanes, from the top: incidents, alerts, rulings."""
    injected = [event.title for event in timeline.ordered if event.kind == "injected"]
    alerts = [span.title for span in pair_alerts(timeline)]
    kinds = {event.kind for event in timeline.events}
    done = [lane for kind, lane in _DONE.items() if kind in kinds]
    return list(dict.fromkeys([*injected, *alerts, *done]))


def _draw_scores(axes: Axes, timeline: Timeline) -> None:
    months = timeline.months
    middle = (place_times(one.start for one in months) + place_times(one.end for one in months)) / 2
    score = to_numbers([one.score for one in months])
    low, high = to_numbers([one.score_low for one in months]), to_numbers([one.score_high for one in months])
    frozen, estimated = (
        to_numbers([one.frozen_score for one in months]),
        to_numbers([one.estimated_score for one in months]),
    )
    axes.plot(middle, frozen, color=_FROZEN, marker="o", markersize=3, label="first model, frozen")
    axes.plot(middle, estimated, color=COLOURS["champion"], linestyle=":", label="promised without labels")
    draw_band(axes, middle, score, low, high, marker="o", markersize=3.5, label="served")
    limit = next((one.score_limit for one in reversed(months) if one.score_limit is not None), None)
    if limit is not None:
        draw_reference(axes, limit, "limit", colour=BAD)
    axes.set_ylabel(timeline.metric)


def _draw_values(axes: Axes, timeline: Timeline) -> None:
    ends = place_times([timeline.months[0].start, *(one.end for one in timeline.months)])
    lines = {
        "current solution": ([one.current_value for one in timeline.months], _CURRENT),
        "first model, frozen": ([one.frozen_value for one in timeline.months], _FROZEN),
        "with retraining": ([one.value for one in timeline.months], ACCENT),
    }
    sums = {name: to_numbers([0.0, *add_up(earned)]) for name, (earned, _) in lines.items()}
    for name, (_, colour) in lines.items():
        axes.plot(ends, sums[name], color=colour, marker="o", markersize=3, label=name)
    frozen, served = sums["first model, frozen"], sums["with retraining"]
    axes.fill_between(ends, frozen, served, color=ACCENT, alpha=0.12, linewidth=0)
    show_thousands(axes)
    axes.set_ylabel(f"{timeline.currency}, added up")


def _write_difference(axes: Axes, timeline: Timeline) -> None:
    """Write what retraining earned beside the end of the lines."""
    totals = timeline.totals
    if totals is None or not round(totals.retraining_earned):
        return
    end = place_times([timeline.months[-1].end])[0]
    text = write_gain(totals.retraining_earned, timeline.currency).replace(" ", "\n")
    style: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontweight": "bold"}
    place = (end, (totals.served + totals.frozen) / 2)
    axes.annotate(text, place, (7, 0), ha="left", annotation_clip=False, **style)


def _draw_lanes(axes: Axes, timeline: Timeline, lanes: Sequence[str], longest: int) -> None:
    end = timeline.months[-1].end
    axes.set_xlim(*place_times([timeline.months[0].start, end]))
    heights = {name: len(lanes) - place for place, name in enumerate(lanes)}
    for event in timeline.ordered:
        if event.kind == "injected":
            _draw_bar(axes, heights[event.title], event.at, event.until or event.at, _CURRENT)
        elif event.kind in _DONE:
            _draw_mark(axes, heights[_DONE[event.kind]], event)
    for span in pair_alerts(timeline):
        _draw_bar(axes, heights[span.title], span.start, span.end or end, BAD)
    axes.set_yticks(
        list(heights.values()),
        [name if len(name) <= longest else f"{name[: longest - 1]}…" for name in heights],
    )
    axes.set_ylim(0.4, len(lanes) + 0.6)
    axes.grid(axis="y", visible=False)


def _draw_bar(axes: Axes, height: float, start: datetime, end: datetime, colour: str) -> None:
    places = place_times([start, end])
    axes.plot(places, [height, height], color=colour, linewidth=6, solid_capstyle="butt")
    axes.plot(places[:1], [height], "|", color=colour, markersize=9, markeredgewidth=2)


def _draw_mark(axes: Axes, height: float, event: TimelineEvent) -> None:
    """Draw a release as a triangle, a ruling as a circle; it is full where a run starts or a model takes over."""
    marker, colour = ("^", COLOURS["champion"]) if event.kind == "release" else ("o", ACCENT)
    filled = colour if event.is_promotion or event.is_run else "none"
    place = place_times([event.at])
    axes.plot(place, [height], marker, color=colour, markerfacecolor=filled, markersize=6)
    if event.kind == "release":
        is_late = place[0] > sum(axes.get_xlim()) / 2
        axes.annotate(
            event.title,
            (place[0], height),
            (-7 if is_late else 7, 0),
            textcoords="offset points",
            ha="right" if is_late else "left",
            va="center",
        )


def _finish(axes: Axes, timeline: Timeline, months_a_tick: int) -> None:
    """Give every chart the same months, and mark incidents and releases."""
    start, end = place_times([timeline.months[0].start, timeline.months[-1].end])
    for event in timeline.events:
        at, until = place_times([event.at, event.until or event.at])
        if event.kind == "injected":
            axes.axvspan(max(at, start), min(until, end), color=_CURRENT, alpha=0.08, linewidth=0)
        elif event.is_promotion:
            axes.axvline(at, color=COLOURS["champion"], linewidth=0.9)
    axes.set_xlim(start, end)
    axes.xaxis.set_major_locator(MonthLocator(interval=months_a_tick))
    axes.xaxis.set_major_formatter(DateFormatter("%b\n%Y" if len(timeline.months) < 3 else "%b"))
    axes.tick_params(colors=INK)
