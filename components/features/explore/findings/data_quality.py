"""Findings about what is missing, far off, or moving: missing values, outliers, features whose distribution moves.

In: `TrainingRows`. Out: statements with their figures. Called by explore.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.base.text.figures import (
    ACCENT,
    SOFT,
    draw_bars,
    draw_reference,
    new_figure,
    show_percent,
)
from components.base.text.wording import (
    say_plainly,
    write_percent,
    write_quantity,
)
from components.features.explore.findings.finding import Statement, state
from components.features.explore.proposals import propose_missing, propose_ranges
from components.features.explore.training_rows import TrainingRows

_BARS = 12
# Tukey's outer fences: 3 interquartile ranges beyond the quartiles hold all but 2 in a million of normal values.
_FENCE = 3.0
_FEWEST_OUTLIERS = 0.0005
# Usual limits of the population stability index: moderate and large (Siddiqi 2006).
_MODERATE_SHIFT, _LARGE_SHIFT = 0.1, 0.25


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
            f"{write_percent(worst.missing_ratio)} of {training.problem.noun}."
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
        "proposals": propose_missing(training, [one.feature.name for one in ranked]),
    }  # fmt: skip
    return [state(finding, figure)]


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
        "proposals": propose_ranges(training, [one.name for one in ranked]),
    }  # fmt: skip
    return [state(finding, figure)]


def find_shifts(training: TrainingRows) -> list[Statement]:
    """State which features moved between the first and the last third of the training time."""
    ranked = sorted(training.measured.values(), key=lambda one: -one.psi)[:_BARS]
    if not ranked or ranked[0].psi <= 0:
        return []
    moved, first = [one for one in ranked if one.psi >= _LARGE_SHIFT], ranked[0]
    name = say_plainly(first.feature.name)
    headline = (
        f"{len(moved)} of {len(training.measured)} features moved a lot within the training time, {name} most "
        f"(stability index {first.psi:.2f})."
        if moved
        else f"No feature moved much within the training time; {name} moved most (stability index {first.psi:.2f})."
    )
    figure, (axes,) = new_figure(0.8 + 0.19 * len(ranked))
    shifts = [one.psi for one in ranked]
    colours = [ACCENT if shift >= _LARGE_SHIFT else SOFT for shift in shifts]
    lengths = [min(shift, 2 * _LARGE_SHIFT) for shift in shifts]
    draw_bars(axes, [say_plainly(m.feature.name) for m in ranked], lengths, [f"{s:.2f}" for s in shifts], color=colours)
    draw_reference(axes, _LARGE_SHIFT, "large", vertical=True)
    axes.set_xlabel(f"population stability index (bars end at {2 * _LARGE_SHIFT:g})")
    finding = {
        "id": "shifts", "kind": "shift", "severity": "warning" if moved else "note", "headline": headline,
        "detail": f"The index compares two histograms: 0 is no change, from {_MODERATE_SHIFT} it is moderate, from "
        f"{_LARGE_SHIFT} large. What moves within training (seasons, say) will move in service too: this is why folds "
        f"follow time. {_describe_windows(training)}",
        "alt": "Bars of the shift of each feature within the training time, the largest first.",
        "feature": first.feature.name, "effect": min(1.0, first.psi / 2),
    }  # fmt: skip
    return [state(finding, figure)]


def _describe_windows(training: TrainingRows) -> str:
    """Describe from which windows the limits of drift in service come."""
    wanted, days, limits = training.problem.monitoring.window_days, training.shift_days, training.problem.monitoring
    if not training.shifts:
        return (
            f"No window within training has {limits.minimum_rows:,} rows, so how much windows move is unknown: in "
            f"service, whatever moves beyond {limits.drift.maximum_psi:g} is drift."
        )
    farthest = max(training.shifts, key=lambda name: training.shifts[name])
    judged = int(np.isfinite(training.window_psi).all(axis=1).sum())
    words = (
        f"In service a feature drifts beyond what it reached in the {judged} windows of {days} days within training, "
        f"in 95 % of which none drifts: {say_plainly(farthest)}, most of all, beyond {training.shifts[farthest]:.2f}."
    )
    if days == wanted:
        return words
    return (
        f"{words} Monitoring judges {wanted} days together, of which training has fewer than two: shorter windows were "
        "measured instead, which move more, so that less drift is found. Train on a longer time, or judge fewer days."
    )


def _measure_far(name: str, values: pd.Series) -> _Far:
    """Measure the values beyond the fences; none without a spread."""
    if values.empty:
        return _Far(name, 0.0, 0.0, 0.0, 0.0, 0.0)
    first, third = values.quantile(0.25), values.quantile(0.75)
    low, high = first - _FENCE * (third - first), third + _FENCE * (third - first)
    ratio = float(((values < low) | (values > high)).mean()) if third > first else 0.0
    return _Far(name, ratio, float(low), float(high), float(values.min()), float(values.max()))
