"""Findings about single features: which tell most or too much, and how the outcome follows them.

In: `TrainingRows`. Out: statements with their figures. Called by explore.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from components.base.text.figures import (
    BAD,
    GRID,
    SOFT,
    draw_band,
    draw_bars,
    draw_reference,
    new_figure,
    show_percent,
)
from components.base.text.wording import (
    join_words,
    say_plainly,
    write_percent,
    write_quantity,
    write_score,
)
from components.features.explore.findings.finding import Statement, state
from components.features.explore.training_rows import Measured, TrainingRows
from components.tasks.binary.explore.association import Array, Rate, count_outcomes, cramers_v, rate_by_bin

# A single input that ranks this well is rarely honest: it usually holds the outcome, or was written after it.
LEAK_AUC = 0.85
_FEATURES_RANKED = 12
_CURVES = 6
# Below this share of the outcome's entropy a curve is flat to the eye.
_LEAST_INFORMATION = 0.002


def find_strongest(training: TrainingRows) -> list[Statement]:
    """State which features tell most about the outcome."""
    ranked = [one for one in training.measured.values() if one.association.strength > 0][:_FEATURES_RANKED]
    if not ranked:
        return []
    best, names = ranked[0], [say_plainly(one.feature.name) for one in ranked[1:3]]
    after = f", followed by {join_words(names)}" if names else ""
    finding = {
        "id": "strongest_features", "kind": "feature", "severity": "insight", "feature": best.feature.name,
        "headline": f"{say_plainly(best.feature.name).capitalize()} tells most about the outcome: alone it removes "
        f"{write_percent(best.association.strength)} of the uncertainty{after}.",
        "detail": "Mutual information with the outcome as a share of the outcome's entropy, over all training rows, "
        "less what "
        "chance gives. It sees any shape of relation, but each feature alone: the model combines them.",
        "alt": "Bars of the information that each feature alone holds about the outcome, the largest first.",
        "effect": 1.0,
    }  # fmt: skip
    figure, (axes,) = new_figure(0.8 + 0.19 * len(ranked))
    ratios = [one.association.strength for one in ranked]
    draw_bars(axes, [say_plainly(m.feature.name) for m in ranked], ratios, [write_percent(r, 2) for r in ratios])
    show_percent(axes, "x", 1)
    axes.set_xlabel("uncertainty about the outcome that it removes")
    return [state(finding, figure)]


def find_curves(training: TrainingRows) -> list[Statement]:
    """State for the strongest number of each feature view, and of the request, how the outcome follows it."""
    strongest: dict[str, Measured] = {}
    for one in training.measured.values():
        if one.feature.kind == "numeric" and one.association.strength >= _LEAST_INFORMATION:
            strongest.setdefault(one.feature.origin, one)
    chosen = list(strongest.values())[:_CURVES]
    return [statement for one in chosen if (statement := _follow(training, one))]


def find_leaks(training: TrainingRows) -> list[Statement]:
    """State which single features predict the outcome too well to be honest."""
    known = [one for one in training.measured.values() if not np.isnan(one.association.solo_score)]
    if not known:
        return []
    ranked = sorted(known, key=lambda one: -one.association.solo_score)
    suspects, best = [one for one in ranked if one.association.solo_score >= LEAK_AUC], ranked[0]
    name = say_plainly(best.feature.name)
    if suspects:
        names = join_words([say_plainly(one.feature.name) for one in suspects])
        headline = (
            f"{len(suspects)} of {len(known)} features look like the answer itself: {names}; {name} alone reaches a "
            f"ROC AUC "
            f"of {write_score(best.association.solo_score)}."
        )
    else:
        headline = (
            f"No feature gives the answer away: the best alone, {name}, reaches a ROC AUC of "
            f"{write_score(best.association.solo_score)}, "
            f"below "
            f"the limit of {LEAK_AUC}."
        )
    finding = {
        "id": "leak_suspects", "kind": "leak", "severity": "critical" if suspects else "note", "headline": headline,
        "detail": "ROC AUC of each feature alone (0.5 is chance, 1 is certainty): its rates are learnt on even days "
        "and scored "
        "on odd days, and the other way round. A suspect must be shown to be known at prediction time, or be dropped.",
        "alt": "Bars of the ROC AUC of each feature alone, with the limit for suspects.",
        "feature": best.feature.name, "blamed": tuple(one.feature.name for one in suspects),
        "effect": float(min(1.0, max(0.0, 2 * best.association.solo_score - 1))),
    }  # fmt: skip
    return [state(finding, _plot_aucs(ranked[:_FEATURES_RANKED]))]


def _follow(training: TrainingRows, measured: Measured) -> Statement | None:
    name, values = measured.feature.name, training.rows[measured.feature.name].to_numpy(dtype=np.float64)
    rates = rate_by_bin(measured.codes, training.y, training.days, len(measured.labels))
    fewest = len(values) // 200
    seen = [code for code in range(measured.missing_code) if rates[code].rows > fewest]
    if len(seen) < 2:
        return None
    low, high = (pick(seen, key=lambda code: rates[code].rate) for pick in (min, max))
    problem = training.problem
    headline = (
        f"With {say_plainly(name)} {_span(values, measured, high)}, {write_percent(rates[high].rate)} of "
        f"{problem.noun} were {problem.outcome}; {_span(values, measured, low)} it was "
        f"{write_percent(rates[low].rate)}."
    )
    finding = {
        "id": f"curve_{name}", "kind": "feature", "severity": "insight", "headline": headline, "feature": name,
        "detail": f"{measured.feature.description}. Line: share by bin of about equal size, with its 95% interval (a "
        f"day is one "
        "observation). Grey: where the rows are.",
        "alt": f"Share of {problem.outcome} as it follows {say_plainly(name)}, over a histogram of the values.",
        "effect": cramers_v(count_outcomes(measured.codes, training.y, len(measured.labels))),
    }  # fmt: skip
    return state(finding, _plot_curve(training, measured, [(code, rates[code]) for code in seen]))


def _span(values: Array, measured: Measured, code: int) -> str:
    """Say which values a bin holds, by its smallest and largest one."""
    inside, unit = values[measured.codes == code], measured.feature.unit
    smallest, largest = float(inside.min()), float(inside.max())
    if smallest == largest:
        return f"at {write_quantity(smallest, unit)}"
    if code == measured.missing_code - 1:
        return f"at {write_quantity(smallest, unit)} or more"
    return f"between {write_quantity(smallest, unit)} and {write_quantity(largest, unit)}"


def _plot_curve(training: TrainingRows, measured: Measured, bins: list[tuple[int, Rate]]) -> Figure:
    values = training.rows[measured.feature.name].to_numpy(dtype=np.float64)
    figure, (axes,) = new_figure(2.5)
    low, high = np.nanquantile(values, [0.005, 0.995])
    behind: Axes = axes.twinx()
    behind.hist(values[(values >= low) & (values <= high)], bins=40, color=GRID)
    behind.set_axis_off()
    axes.set_zorder(behind.get_zorder() + 1)
    middle = [float(np.median(values[measured.codes == code])) for code, _ in bins]
    rates = [rate for _, rate in bins]
    draw_band(
        axes, middle, [r.rate for r in rates], [r.low for r in rates], [r.high for r in rates], marker="o", markersize=3
    )
    draw_reference(axes, float(training.y.mean()), "all")
    show_percent(axes)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(
        f"{say_plainly(measured.feature.name)}{f' ({measured.feature.unit})' if measured.feature.unit else ''}"
    )
    axes.set_ylabel(f"share {training.problem.outcome}")
    return figure


def _plot_aucs(ranked: list[Measured]) -> Figure:
    figure, (axes,) = new_figure(0.8 + 0.19 * len(ranked))
    colours = [BAD if one.association.solo_score >= LEAK_AUC else SOFT for one in ranked]
    above_chance = [max(0.0, one.association.solo_score - 0.5) for one in ranked]
    draw_bars(
        axes,
        [say_plainly(m.feature.name) for m in ranked],
        above_chance,
        [write_score(m.association.solo_score) for m in ranked],
        color=colours,
    )
    draw_reference(axes, LEAK_AUC - 0.5, f"suspect from {LEAK_AUC}", vertical=True, colour=BAD)
    axes.set_xlim(0, 0.5)
    axes.set_xticks([0, 0.1, 0.2, 0.3, 0.4, 0.5], ["0.5", "0.6", "0.7", "0.8", "0.9", "1"])
    axes.set_xlabel("ROC AUC alone")
    return figure
