"""Pictures of the daily report: traffic, drift, labels, performance and value, over days or over all windows.

In: a `History`. Out: SVG by name, nothing where the windows lack what a picture needs. Called by the daily report.
Windows stand at their `as_of`; what is not known is a gap in the line.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from components.base.text.figures import (
    ACCENT,
    BAD,
    COLOURS,
    SOFT,
    draw_dots,
    draw_legend,
    draw_reference,
    new_figure,
    render_svg,
    show_thousands,
    show_values,
)
from components.base.text.wording import write_count, write_number
from components.monitoring.results import Contender, MonitoringResult
from components.reports.history import History, Read
from components.reports.trends import (
    Lines,
    bound_or_estimate,
    draw_estimates,
    draw_trend,
    finish_days,
    finish_windows,
    has_trend,
    place_times,
    place_windows,
    to_numbers,
)

# As in the release report: the champion, the model before, what people did without a model.
CONTENDER_COLOURS: dict[Contender, str] = {
    "served": ACCENT,
    "previous": COLOURS["champion"],
    "current_solution": COLOURS["current"],
    "no_action": COLOURS["dummy"],
}
CONTENDER_NAMES: dict[Contender, str] = {
    "served": "Served",
    "previous": "Model before",
    "current_solution": "Current solution",
    "no_action": "Doing nothing",
}
# As many features as fit in two rows on a screen.
_MULTIPLES = 8
_MOST_SLICES = 16


def draw_traffic(history: History) -> str | None:
    """Draw rows and actions of each day of the window."""
    days = history.newest.traffic.by_day
    if not days:
        return None
    figure, (axes,) = new_figure()
    places = place_times(datetime.fromisoformat(day.day) for day in days)
    axes.bar(places, [day.rows for day in days], color=SOFT, label=history.problem.noun)
    axes.bar(places, [day.actions for day in days], color=ACCENT, label="actions")
    show_thousands(axes)
    finish_days(axes, places)
    axes.set_ylabel("a day")
    draw_legend(figure)
    return render_svg(figure, f"Bars of the {history.problem.noun} and the actions of each day of the window.")


def draw_output(history: History) -> str | None:
    """Draw the mean output of each day of the window, as the task names and writes it."""
    days, report = history.newest.traffic.by_day, history.task.report
    if not days:
        return None
    figure, (axes,) = new_figure()
    places = place_times(datetime.fromisoformat(day.day) for day in days)
    axes.plot(places, [day.mean_output for day in days], color=ACCENT, marker="o", markersize=3)
    show_values(axes, report.format_mean)
    finish_days(axes, places)
    axes.set_ylabel(f"mean {report.output_word}")
    return render_svg(figure, f"Line of the mean {report.output_word} of each day of the window.")


def draw_drift(history: History) -> str | None:
    """Draw the greatest PSI that matters and that of the outputs, as multiples of their limits."""

    def read_prediction(result: MonitoringResult) -> float | None:
        drift = result.drift
        if drift.prediction_psi is None or not drift.prediction_psi_limit:
            return None
        return drift.prediction_psi / drift.prediction_psi_limit

    lines: Lines = {
        "important features": (lambda result: result.drift.greatest_relevant_psi, ACCENT),
        history.task.report.outputs_word: (read_prediction, COLOURS["champion"]),
    }
    return draw_trend(history, lines, "PSI / limit", "PSI over the windows as multiples of their limits.", 1.0)


def draw_weighted(history: History) -> str | None:
    """Draw the mean PSI, weighted by importance."""
    lines: Lines = {"": (lambda result: result.drift.weighted_psi, ACCENT)}
    return draw_trend(history, lines, "weighted PSI", "Mean PSI of the features over the windows.")


def draw_multiples(history: History) -> list[tuple[str, str]]:
    """Draw the PSI of each of the most important features over the windows: pairs of name and SVG."""
    drawn = []
    for feature in history.newest.features[:_MULTIPLES]:
        name, limit = feature.name, feature.psi_limit
        psis = [next((one.psi for one in window.features if one.name == name), None) for window in history.results]
        if not has_trend(psis):
            continue
        figure, (axes,) = new_figure(1.35, width=2.4)
        axes.plot(place_windows(history), to_numbers(psis), color=ACCENT, marker="o", markersize=3)
        if limit is not None:
            axes.axhline(limit, color=BAD, linewidth=1.0, linestyle=(0, (4, 3)))
        finish_windows(axes, history)
        axes.set_ylim(0, max([limit or 0, *(psi for psi in psis if psi is not None)]) * 1.12 or 1.0)
        moved = f"from {write_number(psis[0])} to {write_number(psis[-1])}, limit {write_number(limit)}"
        drawn.append((name, render_svg(figure, f"PSI of {name} over the windows, {moved}.")))
    return drawn


def draw_labels(history: History) -> str | None:
    """Draw, by the age of predictions, how many have their label."""
    ages = history.newest.labels.by_age
    if not ages:
        return None
    figure, (axes,) = new_figure()
    places = [age.age_days for age in ages]
    axes.bar(places, [age.rows for age in ages], color=SOFT, label=f"all {history.problem.noun}")
    axes.bar(places, [age.labelled for age in ages], color=ACCENT, label="with a label")
    show_thousands(axes)
    axes.set_xlabel("age in days")
    draw_legend(figure)
    return render_svg(figure, "Bars of the predictions of each age in days, and of those with a label.")


def draw_performance(history: History) -> str | None:
    """Draw the score that has a limit over the windows, with its interval, its limit and its level at release."""
    limits = history.problem.monitoring.performance
    estimates = [
        result.performance.scores.get(limits.metric) if result.performance else None for result in history.results
    ]
    newest = next((result.performance for result in reversed(history.results) if result.performance), None)
    if newest is None or not has_trend(estimates):
        return None
    figure, (axes,) = new_figure()
    draw_estimates(axes, history, estimates, ACCENT)
    if limits.metric in newest.at_release:
        draw_reference(axes, newest.at_release[limits.metric], "at release")
    draw_reference(axes, newest.limit, "limit", colour=BAD)
    finish_windows(axes, history)
    label = history.task.metrics[limits.metric].label
    axes.set_ylabel(label)
    return render_svg(figure, f"Line of {label} over the windows with its interval and limit.")


def draw_estimated(history: History) -> str | None:
    """Draw the score that the outputs promised beside the one that came true, on the same labelled rows."""
    metric = history.problem.monitoring.performance.metric

    def read_real(result: MonitoringResult) -> float | None:
        score = result.performance.scores.get(metric) if result.performance else None
        return score.estimate if score else None

    def read_promised(result: MonitoringResult) -> float | None:
        estimated = result.performance.estimated if result.performance else ()
        return next((one.on_labelled for one in estimated if one.metric == metric), None)

    if not has_trend(history.trend(read_promised)):
        return None
    lines: Lines = {"came true": (read_real, ACCENT), "was promised": (read_promised, COLOURS["champion"])}
    return draw_trend(
        history, lines, history.task.metrics[metric].label, "Promised and realised score over the windows."
    )


def draw_slices(history: History) -> str | None:
    """Draw the score of each group of rows with its interval."""
    performance = history.newest.performance
    slices = performance.slices[:_MOST_SLICES] if performance else ()
    if not slices:
        return None
    figure, (axes,) = new_figure(0.7 + 0.2 * len(slices))
    scores = [one.score for one in slices]
    bounds = [(bound_or_estimate(one, one.low), bound_or_estimate(one, one.high)) for one in scores]
    names = [f"{one.column} {one.value}" for one in slices]
    draw_dots(axes, names, [one.estimate for one in scores], *zip(*bounds, strict=True))
    released = [(one.at_release, place) for place, one in enumerate(reversed(slices)) if one.at_release is not None]
    if released:
        axes.plot(*zip(*released, strict=True), "|", color=COLOURS["champion"], markersize=11, markeredgewidth=2)
    axes.set_xlabel(f"{history.task.primary.label}; the upright line is the level at release")
    return render_svg(figure, "Dots of the score of each group with its interval, and its level at release.")


def draw_value(history: History) -> str | None:
    """Draw what each contender's decisions earned per 1,000 over the windows."""
    lines: Lines = {
        CONTENDER_NAMES[name]: (_read_earned(name), colour)
        for name, colour in CONTENDER_COLOURS.items()
        if has_trend(history.trend(_read_earned(name)))
    }
    label = f"{history.currency} per 1,000 {history.problem.noun}"
    return draw_trend(history, lines, label, "Lines of what each contender's decisions earned over the windows.")


def draw_gain(history: History) -> str | None:
    """Draw the gain over the current solution with its interval over the windows, and the smallest allowed."""
    gains = [
        result.value.contenders["current_solution"].gain_of_served_per_1000
        if result.value and "current_solution" in result.value.contenders
        else None
        for result in history.results
    ]
    if not has_trend(gains):
        return None
    figure, (axes,) = new_figure()
    draw_estimates(axes, history, gains, ACCENT)
    limit = history.problem.monitoring.minimum_value_gain_per_1000
    draw_reference(axes, limit, f"limit {write_count(limit)}", colour=BAD)
    finish_windows(axes, history)
    show_thousands(axes)
    axes.set_ylabel(f"{history.currency} per 1,000 {history.problem.noun}")
    return render_svg(figure, "Line of the gain over the current solution over the windows, with its interval.")


DAILY_PICTURES: dict[str, Callable[[History], str | None]] = {
    "traffic": draw_traffic,
    "output": draw_output,
    "drift": draw_drift,
    "weighted": draw_weighted,
    "labels": draw_labels,
    "performance": draw_performance,
    "estimated": draw_estimated,
    "slices": draw_slices,
    "value": draw_value,
    "gain": draw_gain,
}


@dataclass(frozen=True)
class Drawn:
    """The pictures of a report, as SVG."""

    pictures: Mapping[str, str] = field(default_factory=dict)
    """By name of `DAILY_PICTURES`; those that the history allows."""
    multiples: Sequence[tuple[str, str]] = ()
    """One for each of the most important features, with its name."""


def draw_daily(history: History) -> Drawn:
    """Draw every picture that the history allows."""
    drawn = {name: draw(history) for name, draw in DAILY_PICTURES.items()}
    return Drawn({name: svg for name, svg in drawn.items() if svg}, draw_multiples(history))


def _read_earned(contender: Contender) -> Read:
    def read(result: MonitoringResult) -> float | None:
        found = result.value.contenders.get(contender) if result.value else None
        return found.per_1000.estimate if found else None

    return read
