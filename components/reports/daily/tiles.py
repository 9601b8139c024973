"""The six numbers of the daily report: each with its limit, how it moved, and all its values so far.

In: a `History`. Out: one `StatusTile` each for traffic, drift, performance, value, labels and freshness. Called by
`status`. What is beyond a limit is judged by the monitor, against the contract.
"""

from dataclasses import dataclass
from typing import Literal

from components.base.text.wording import (
    MISSING,
    write_bounds,
    write_count,
    write_gain,
    write_number,
    write_percent,
    write_points,
    write_score,
    write_span,
)
from components.monitoring.results import Contender, Estimate, MonitoringResult, ViewAge
from components.reports.history import History

Tone = Literal["good", "hold", "bad", "note"]


@dataclass(frozen=True)
class StatusTile:
    """One number of the window, its limit, how it moved and all its values so far."""

    label: str
    number: str
    note: str
    change: str
    tone: Tone
    verdict: str
    """The tone in a word, for who sees no colours."""
    trend: tuple[float | None, ...]
    limit: float | None = None


def build_tiles(history: History) -> tuple[StatusTile, ...]:
    """Put the newest window into six numbers."""
    builders = (_build_traffic, _build_drift, _build_performance, _build_value, _build_labels, _build_freshness)
    return tuple(build(history) for build in builders)


def find_oldest_view(result: MonitoringResult) -> ViewAge | None:
    """Return the view of which most values were too old, beyond the share that training lacked too."""
    return max(result.views, key=lambda view: view.expired_rise, default=None)


def _build_traffic(history: History) -> StatusTile:
    def read(result: MonitoringResult) -> float:
        return result.traffic.rows

    newest, needed = history.newest, history.problem.monitoring.minimum_rows
    enough = newest.traffic.rows >= needed
    return StatusTile(
        label="Traffic",
        number=write_count(newest.traffic.rows),
        note=f"{history.problem.noun} predicted, {write_count(newest.traffic.actions)} actions; "
        f"{write_count(needed)} are needed to judge",
        change=history.format_change(read, lambda moved: f"{moved:+,.0f}"),
        tone="good" if enough else "hold",
        verdict="enough" if enough else "too few",
        trend=tuple(history.trend(read)),
    )


def _build_drift(history: History) -> StatusTile:
    def read(result: MonitoringResult) -> float | None:
        return result.drift.greatest_relevant_psi

    psi = read(history.newest)
    name = history.newest.drift.feature
    return StatusTile(
        label="Drift",
        number=MISSING if psi is None else f"{write_number(psi, 2)} × limit",
        note=f"greatest PSI of an important feature, {name}; {write_count(history.newest.model_rows)} rows"
        if name
        else f"no PSI is computed for {write_count(history.newest.model_rows)} rows",
        change=history.format_change(read, lambda moved: f"{moved:+.2f}"),
        tone=_tone(psi is not None, psi is not None and psi > 1),
        verdict=_verdict(psi is not None, psi is not None and psi > 1, "beyond limit"),
        trend=tuple(history.trend(read)),
        limit=1.0,
    )


def _build_performance(history: History) -> StatusTile:
    limits, performance = history.problem.monitoring.performance, history.newest.performance
    metric = history.task.metrics[limits.metric]
    limit = limits.minimum if limits.minimum is not None else limits.maximum

    def find(result: MonitoringResult) -> Estimate | None:
        return result.performance.scores.get(limits.metric) if result.performance else None

    def read(result: MonitoringResult) -> float | None:
        found = find(result)
        return found.estimate if found else None

    score = find(history.newest)
    side = "at least" if metric.higher_is_better else "at most"
    rows = f"{write_count(performance.rows if performance else 0)} labelled rows"
    bounds = write_bounds(score, write_score) if score else "not scored"
    is_beyond = bool(performance and performance.is_below_limit)
    return StatusTile(
        label="Performance",
        number=write_score(score.estimate if score else None),
        note=f"{metric.label}, {bounds}; {side} {write_number(limit)}; {rows}",
        change=history.format_change(read, lambda moved: f"{moved:+.3f}"),
        tone=_tone(score is not None, is_beyond),
        verdict=_verdict(score is not None, is_beyond, "beyond limit"),
        trend=tuple(history.trend(read)),
        limit=limit,
    )


def _build_value(history: History) -> StatusTile:
    def find(result: MonitoringResult, name: Contender = "current_solution") -> Estimate | None:
        return result.value.find_gain(name) if result.value else None

    def read(result: MonitoringResult) -> float | None:
        found = find(result)
        return found.estimate if found else None

    gain, value = find(history.newest), history.newest.value
    limit, is_below = history.problem.monitoring.minimum_value_gain_per_1000, bool(value and value.is_below_limit)
    bounds, nothing = write_bounds(gain, write_count) if gain else "not known", find(history.newest, "no_action")
    note = f"gain over the current solution per 1,000 {history.problem.noun}, {bounds}; at least {write_number(limit)}"
    loses = nothing is not None and nothing.estimate < 0 and not is_below
    return StatusTile(
        label="Value",
        number=write_gain(gain.estimate if gain else None, history.currency),
        note=f"{note}. Over doing nothing {write_gain(nothing.estimate, history.currency)}" if nothing else note,
        change=history.format_change(read, lambda moved: write_gain(moved, history.currency)),
        tone="hold" if loses else _tone(gain is not None, is_below),
        verdict="may lose money" if loses else _verdict(gain is not None, is_below, "below limit"),
        trend=tuple(history.trend(read)),
        limit=limit,
    )


def _build_labels(history: History) -> StatusTile:
    def read(result: MonitoringResult) -> float | None:
        return result.labels.coverage_ratio

    labels, limit = history.newest.labels, history.problem.monitoring.minimum_label_coverage
    is_below = labels.coverage_ratio is not None and labels.coverage_ratio < limit
    return StatusTile(
        label="Labels",
        number=write_percent(labels.coverage_ratio),
        note=f"of {write_count(labels.due)} that are due have come, {write_count(labels.overdue)} are overdue; "
        f"at least {write_percent(limit)}",
        change=history.format_change(read, write_points),
        tone=_tone(labels.coverage_ratio is not None, is_below),
        verdict=_verdict(labels.coverage_ratio is not None, is_below, "below limit"),
        trend=tuple(history.trend(read)),
        limit=limit,
    )


def _build_freshness(history: History) -> StatusTile:
    def read(result: MonitoringResult) -> float | None:
        view = find_oldest_view(result)
        return view.expired_rise if view else None

    view, limit = find_oldest_view(history.newest), history.problem.monitoring.quality.maximum_expired_rise
    ratio = view.expired_rise if view else None
    rows = write_count(history.newest.model_rows)
    old = f"{view.view} older than {write_span(view.ttl_seconds)}" if view and view.ttl_seconds else "a view"
    note = f"more of {rows} rows than in training had values of {old}; at most {write_percent(limit)}"
    return StatusTile(
        label="Freshness",
        number=write_percent(ratio),
        note=note if view else "no view is served",
        change=history.format_change(read, write_points),
        tone=_tone(ratio is not None, ratio is not None and ratio > limit),
        verdict=_verdict(ratio is not None, ratio is not None and ratio > limit, "beyond limit"),
        trend=tuple(history.trend(read)),
        limit=limit,
    )


def _tone(is_known: bool, is_beyond: bool) -> Tone:
    return "note" if not is_known else "bad" if is_beyond else "good"


def _verdict(is_known: bool, is_beyond: bool, words: str) -> str:
    return "not known" if not is_known else words if is_beyond else "within limit"
