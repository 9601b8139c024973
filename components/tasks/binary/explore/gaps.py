"""Findings about missing values that go with the outcome.

In: `TrainingRows`. Out: statements with their figures. Called by explore through the binary task.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from components.base.statistics.clusters import difference_of_means
from components.base.text.figures import (
    BAD,
    MUTED,
    SOFT,
    clip_label,
    draw_legend,
    new_figure,
    show_percent,
)
from components.base.text.wording import (
    join_words,
    say_plainly,
    write_count,
    write_percent,
    write_points,
)
from components.features.explore.findings.finding import Statement, state
from components.features.explore.proposals import propose_missing
from components.features.explore.training_rows import TrainingRows

_BARS = 12
# Fewer missing rows than this say nothing reliable about their outcome.
_FEWEST_MISSING = 100


# A difference smaller than two points hardly changes a decision.
_LEAST_DIFFERENCE = 0.02


# Missing values that (nearly) always come with one outcome were probably erased by it.
_GIVEN_AWAY = 0.95


@dataclass(frozen=True)
class _Gap:
    """Columns that are missing in the very same rows, and the outcome there."""

    columns: list[str]
    rows: int
    rate: float
    rate_elsewhere: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        return self.rate - self.rate_elsewhere

    @property
    def speaks(self) -> bool:
        return abs(self.difference) >= _LEAST_DIFFERENCE and (self.low > 0 or self.high < 0)

    @property
    def gives_away(self) -> bool:
        return self.rate >= _GIVEN_AWAY or self.rate <= 1 - _GIVEN_AWAY

    @property
    def name(self) -> str:
        first = say_plainly(self.columns[0])
        return first if len(self.columns) == 1 else f"{first} and {len(self.columns) - 1} more"


def find_speaking_gaps(training: TrainingRows) -> list[Statement]:
    """State where missing values themselves go with the outcome, or give it away."""
    gaps = sorted((gap for gap in _collect_gaps(training) if gap.speaks), key=lambda gap: -abs(gap.difference))
    if not gaps:
        return []
    worst, given_away = gaps[0], [gap for gap in gaps if gap.gives_away]
    headline = (
        f"Where {worst.name} is missing ({write_count(worst.rows)} {training.problem.noun}), "
        f"{write_percent(worst.rate)} were {training.problem.outcome}, against "
        f"{write_percent(worst.rate_elsewhere)} elsewhere: {write_points(worst.difference)} "
        f"(95% interval {write_points(worst.low)} to {write_points(worst.high)})."
    )
    advice = (
        f"Nearly one outcome only: {join_words([gap.name for gap in given_away])} may be erased or written after the "
        f"outcome. "
        "Make sure that serving sees the same gaps before trusting it."
        if given_away
        else "The gap is a signal of its own; the models keep it as such."
    )
    listed = "; ".join(
        f"{join_words([say_plainly(name) for name in gap.columns[:4]])} ({write_points(gap.difference)})"
        for gap in gaps[:4]
    )
    finding = {
        "id": "speaking_gaps", "kind": "leak" if given_away else "missing", "severity": "warning", "headline": headline,
        "detail": f"{advice} Request columns and features with at least {_FEWEST_MISSING} missing values; columns "
        f"that are missing together are one: {listed}.",
        "alt": "For each gap the share of the outcome where values are missing and where they are present.",
        "feature": worst.columns[0], "effect": min(1.0, abs(worst.difference)),
        "proposals": propose_missing(training, [name for gap in gaps for name in gap.columns]),
    }  # fmt: skip
    return [state(finding, _plot_gaps(training, gaps[:_BARS]))]


def _collect_gaps(training: TrainingRows) -> list[_Gap]:
    """Return one gap for each pattern of missing rows, over request columns and features."""
    names = [*training.problem.examples.request, *(feature.name for feature in training.features)]
    masks: dict[bytes, tuple[NDArray[np.bool_], list[str]]] = {}
    for name in dict.fromkeys(name for name in names if name in training.rows):
        mask = training.rows[name].isna().to_numpy()
        if _FEWEST_MISSING <= mask.sum() < len(mask):
            masks.setdefault(np.packbits(mask).tobytes(), (mask, []))[1].append(name)
    gaps = []
    for mask, columns in masks.values():
        difference, low, high = difference_of_means(mask, training.y, training.days)
        rate = float(training.y[mask].mean())
        gaps.append(_Gap(columns, int(mask.sum()), rate, rate - difference, low, high))
    return gaps


def _plot_gaps(training: TrainingRows, gaps: list[_Gap]) -> Figure:
    figure, (axes,) = new_figure(1.1 + 0.24 * len(gaps))
    places = np.arange(len(gaps))[::-1]
    axes.hlines(places, [g.rate_elsewhere for g in gaps], [g.rate for g in gaps], color=SOFT, linewidth=3)
    axes.plot([g.rate_elsewhere for g in gaps], places, "o", color=MUTED, markersize=5, label="present")
    axes.plot([g.rate for g in gaps], places, "o", color=BAD, markersize=6, label="missing")
    axes.set_yticks(places, [clip_label(gap.name) for gap in gaps])
    axes.set_ylim(-0.6, len(gaps) - 0.4)
    axes.set_xlim(left=0)
    axes.grid(axis="y", visible=False)
    show_percent(axes, "x")
    axes.set_xlabel(f"share {training.problem.outcome}")
    draw_legend(figure)
    return figure
