"""Findings about what is missing, far off, or moving: missing values that speak, outliers, features that shift.

In: `TrainingRows`. Out: statements with their figures. Called by explore.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from components.base.text.figures import (
    ACCENT,
    BAD,
    MUTED,
    SOFT,
    clip_label,
    draw_bars,
    draw_legend,
    draw_reference,
    new_figure,
    show_percent,
)
from components.base.text.wording import (
    join_words,
    say_plainly,
    write_count,
    write_percent,
    write_points,
    write_quantity,
)
from components.features.explore.association import difference_of_rates
from components.features.explore.findings.finding import Statement, state
from components.features.explore.training_rows import TrainingRows

_BARS = 12
# Fewer missing rows than this say nothing reliable about their outcome.
_FEWEST_MISSING = 100
# A difference smaller than two points hardly changes a decision.
_LEAST_DIFFERENCE = 0.02
# Missing values that (nearly) always come with one outcome were probably erased by it.
_GIVEN_AWAY = 0.95
# Tukey's outer fences: 3 interquartile ranges beyond the quartiles hold all but 2 in a million of normal values.
_FENCE = 3.0
_FEWEST_OUTLIERS = 0.0005
# Usual limits of the population stability index: moderate and large (Siddiqi 2006).
_MODERATE_SHIFT, _LARGE_SHIFT = 0.1, 0.25


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


@dataclass(frozen=True)
class _Far:
    """Values of one feature beyond the outer fences."""

    name: str
    ratio: float
    low: float
    high: float
    smallest: float
    largest: float

    def describe(self, unit: str | None) -> str:
        below = f"below {write_quantity(self.low, unit)}, down to {write_quantity(self.smallest, unit)}"
        above = f"above {write_quantity(self.high, unit)}, up to {write_quantity(self.largest, unit)}"
        sides = [text for text, used in ((below, self.smallest < self.low), (above, self.largest > self.high)) if used]
        return f"{write_percent(self.ratio)} lie {' or '.join(sides)}"


def find_missing(training: TrainingRows) -> list[Statement]:
    """State which features lack values."""
    ranked = sorted(training.measured.values(), key=lambda one: -one.missing_ratio)
    lacking = [one for one in ranked if one.missing_ratio > 0]
    if lacking:
        worst = lacking[0]
        headline = (
            f"{len(lacking)} of {len(ranked)} features lack values; the worst is {say_plainly(worst.feature.name)} "
            f"with "
            f"{write_percent(worst.missing_ratio)} of {training.noun}."
        )
    else:
        headline = f"No value is missing in {len(ranked)} features."
    shown = (lacking or ranked)[:_BARS]
    figure, (axes,) = new_figure(0.8 + 0.19 * len(shown))
    ratios = [one.missing_ratio for one in shown]
    draw_bars(
        axes, [say_plainly(m.feature.name) for m in shown], ratios, [write_percent(r) for r in ratios], color=SOFT
    )
    show_percent(axes, "x")
    axes.set_xlabel("missing, share of training rows")
    finding = {
        "id": "missing_values", "kind": "missing", "severity": "note", "headline": headline,
        "detail": "Models fill or code missing values inside their own pipeline, so that serving does the same.",
        "alt": "Bars of the share of missing values by feature, the largest first.",
        "effect": ratios[0] if ratios else 0.0,
    }  # fmt: skip
    return [state(finding, figure)]


def find_speaking_gaps(training: TrainingRows) -> list[Statement]:
    """State where missing values themselves go with the outcome, or give it away."""
    gaps = sorted((gap for gap in _collect_gaps(training) if gap.speaks), key=lambda gap: -abs(gap.difference))
    if not gaps:
        return []
    worst, given_away = gaps[0], [gap for gap in gaps if gap.gives_away]
    headline = (
        f"Where {worst.name} is missing ({write_count(worst.rows)} {training.noun}), {write_percent(worst.rate)} were "
        f"{training.outcome}, against {write_percent(worst.rate_elsewhere)} elsewhere: "
        f"{write_points(worst.difference)} "
        f"(95% interval {write_points(worst.low)} to {write_points(worst.high)})."
    )
    advice = (
        f"Nearly one outcome only: {join_words([gap.name for gap in given_away])} may be erased or written after the "
        f"outcome. "
        "Make sure that serving sees the same gaps before trusting it."
        if given_away
        else "The gap is a signal of its own; the models keep it as such."
    )
    finding = {
        "id": "speaking_gaps", "kind": "leak" if given_away else "missing", "severity": "warning", "headline": headline,
        "detail": f"{advice} Request columns and features with at least {_FEWEST_MISSING} missing values; columns "
        f"that are "
        f"missing together are one: {'; '.join(_list_gap(gap) for gap in gaps[:4])}.",
        "alt": "For each gap the share of the outcome where values are missing and where they are present.",
        "feature": worst.columns[0], "effect": min(1.0, abs(worst.difference)),
    }  # fmt: skip
    return [state(finding, _plot_gaps(training, gaps[:_BARS]))]


def find_outliers(training: TrainingRows) -> list[Statement]:
    """State which numbers have values far from the bulk."""
    names = [feature.name for feature in training.features if feature.kind == "numeric"]
    far = [_measure_far(name, training.rows[name].dropna()) for name in names]
    ranked = sorted((one for one in far if one.ratio >= _FEWEST_OUTLIERS), key=lambda one: -one.ratio)
    if not ranked:
        return []
    worst, shown = ranked[0], ranked[:_BARS]
    figure, (axes,) = new_figure(0.8 + 0.19 * len(shown))
    ratios = [one.ratio for one in shown]
    draw_bars(axes, [say_plainly(o.name) for o in shown], ratios, [write_percent(r, 2) for r in ratios], color=SOFT)
    show_percent(axes, "x", 1)
    axes.set_xlabel("values beyond the outer fences")
    finding = {
        "id": "outliers", "kind": "outlier", "severity": "note", "feature": worst.name, "effect": worst.ratio,
        "headline": f"Far values in {len(ranked)} of {len(names)} numeric features, most of all in "
        f"{say_plainly(worst.name)}: {worst.describe(training.measured[worst.name].feature.unit)}.",
        "detail": f"Tukey's outer fences, {_FENCE:g} interquartile ranges beyond the quartiles, robust against the "
        "outliers themselves; features whose middle half is one single value have no fences. Far values are kept: "
        "trees ignore the distance, and the linear pipelines scale robustly and clip.",
        "alt": "Bars of the share of far values by feature, the largest first.",
    }  # fmt: skip
    return [state(finding, figure)]


def find_shifts(training: TrainingRows) -> list[Statement]:
    """State which features moved between the first and the last third of the training time."""
    ranked = sorted(training.measured.values(), key=lambda one: -one.shift)[:_BARS]
    if not ranked or ranked[0].shift <= 0:
        return []
    moved, first = [one for one in ranked if one.shift >= _LARGE_SHIFT], ranked[0]
    name = say_plainly(first.feature.name)
    headline = (
        f"{len(moved)} of {len(training.measured)} features moved a lot within the training time, {name} most "
        f"(stability index {first.shift:.2f})."
        if moved
        else f"No feature moved much within the training time; {name} moved most (stability index {first.shift:.2f})."
    )
    figure, (axes,) = new_figure(0.8 + 0.19 * len(ranked))
    shifts = [one.shift for one in ranked]
    colours = [ACCENT if shift >= _LARGE_SHIFT else SOFT for shift in shifts]
    lengths = [min(shift, 2 * _LARGE_SHIFT) for shift in shifts]
    draw_bars(axes, [say_plainly(m.feature.name) for m in ranked], lengths, [f"{s:.2f}" for s in shifts], color=colours)
    draw_reference(axes, _LARGE_SHIFT, "large", vertical=True)
    axes.set_xlabel(f"population stability index (bars end at {2 * _LARGE_SHIFT:g})")
    finding = {
        "id": "shifts", "kind": "shift", "severity": "warning" if moved else "note", "headline": headline,
        "detail": f"The index compares two histograms: 0 is no change, from {_MODERATE_SHIFT} it is moderate, from "
        f"{_LARGE_SHIFT} large. What moves within training (seasons, say) will move in service too: this is why folds "
        f"follow time.",
        "alt": "Bars of the shift of each feature within the training time, the largest first.",
        "feature": first.feature.name, "effect": min(1.0, first.shift / 2),
    }  # fmt: skip
    return [state(finding, figure)]


def _collect_gaps(training: TrainingRows) -> list[_Gap]:
    """Return one gap for each pattern of missing rows, over request columns and features."""
    names = [*training.problem.examples.request, *(feature.name for feature in training.features)]
    masks: dict[bytes, tuple[NDArray[np.bool_], list[str]]] = {}
    for name in dict.fromkeys(name for name in names if name in training.rows):
        mask = training.rows[name].isna().to_numpy()
        if _FEWEST_MISSING <= mask.sum() < len(mask):
            masks.setdefault(np.packbits(mask).tobytes(), (mask, []))[1].append(name)
    return [_measure_gap(training, mask, columns) for mask, columns in masks.values()]


def _measure_gap(training: TrainingRows, mask: NDArray[np.bool_], columns: list[str]) -> _Gap:
    difference, low, high = difference_of_rates(mask, training.y, training.days)
    rate = float(training.y[mask].mean())
    return _Gap(columns, int(mask.sum()), rate, rate - difference, low, high)


def _list_gap(gap: _Gap) -> str:
    return f"{join_words([say_plainly(name) for name in gap.columns[:4]])} ({write_points(gap.difference)})"


def _measure_far(name: str, values: pd.Series) -> _Far:
    """Measure the values beyond the fences; none without a spread."""
    if values.empty:
        return _Far(name, 0.0, 0.0, 0.0, 0.0, 0.0)
    first, third = values.quantile(0.25), values.quantile(0.75)
    low, high = first - _FENCE * (third - first), third + _FENCE * (third - first)
    ratio = float(((values < low) | (values > high)).mean()) if third > first else 0.0
    return _Far(name, ratio, float(low), float(high), float(values.min()), float(values.max()))


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
    axes.set_xlabel(f"share {training.outcome}")
    draw_legend(figure)
    return figure
