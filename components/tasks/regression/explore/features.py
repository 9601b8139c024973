"""Findings about single features: which tell most or too much, how the outcome follows them, where they are missing.

In: `TrainingRows`. Out: statements with their figures. Called by explore.
"""

import numpy as np

from components.base.statistics.clusters import GroupMean, difference_of_means, mean_by_group
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
    write_count,
    write_percent,
    write_quantity,
    write_score,
)
from components.features.explore.findings.finding import Statement, state
from components.features.explore.proposals import propose_missing
from components.features.explore.training_rows import Measured, TrainingRows
from components.tasks.regression.explore.outcome import read_unit

# A single input that explains so much is rarely honest: it usually holds the outcome, or was written after it.
LEAK_R2 = 0.7
_FEATURES_RANKED = 12
_CURVES = 6
# Below this share of the variance a curve is flat to the eye.
_LEAST_EXPLAINED = 0.002
# Fewer missing rows than this say nothing reliable about their outcome.
_FEWEST_MISSING = 100
_BARS = 12


def find_strongest(training: TrainingRows) -> list[Statement]:
    """State which features explain most of the outcome."""
    ranked = [one for one in training.measured.values() if one.association.strength > 0][:_FEATURES_RANKED]
    if not ranked:
        return []
    best, names = ranked[0], [say_plainly(one.feature.name) for one in ranked[1:3]]
    figure, (axes,) = new_figure(0.8 + 0.19 * len(ranked))
    shares = [one.association.strength for one in ranked]
    draw_bars(axes, [say_plainly(m.feature.name) for m in ranked], shares, [write_percent(s, 2) for s in shares])
    show_percent(axes, "x", 1)
    axes.set_xlabel("share of the variance that it explains")
    finding = {
        "id": "strongest_features", "kind": "feature", "severity": "insight", "feature": best.feature.name,
        "headline": f"{say_plainly(best.feature.name).capitalize()} tells most about the outcome: alone it explains "
        f"{write_percent(best.association.strength)} of its variance"
        f"{f', followed by {join_words(names)}' if names else ''}.",
        "detail": "Variance of the outcome between the bins of the feature as a share of all of it, less what chance "
        "gives. It sees any shape of relation, but each feature alone: the model combines them.",
        "alt": "Bars of the share of variance that each feature explains alone, the largest first.",
        "effect": 1.0,
    }  # fmt: skip
    return [state(finding, figure)]


def find_curves(training: TrainingRows) -> list[Statement]:
    """State for the strongest number of each feature view, and of the request, how the outcome follows it."""
    strongest: dict[str, Measured] = {}
    for one in training.measured.values():
        if one.feature.kind == "numeric" and one.association.strength >= _LEAST_EXPLAINED:
            strongest.setdefault(one.feature.origin, one)
    return [found for one in list(strongest.values())[:_CURVES] if (found := _follow(training, one))]


def find_leaks(training: TrainingRows) -> list[Statement]:
    """State which single features predict the outcome too well to be honest."""
    known = [one for one in training.measured.values() if not np.isnan(one.association.solo_score)]
    if not known:
        return []
    ranked = sorted(known, key=lambda one: -one.association.solo_score)
    suspects, best = [one for one in ranked if one.association.solo_score >= LEAK_R2], ranked[0]
    name, score = say_plainly(best.feature.name), write_score(best.association.solo_score)
    headline = (
        f"{len(suspects)} of {len(known)} features look like the answer itself: "
        f"{join_words([say_plainly(one.feature.name) for one in suspects])}; {name} alone reaches an R² of {score}."
        if suspects
        else f"No feature gives the answer away: the best alone, {name}, reaches an R² of {score}, below the limit of "
        f"{LEAK_R2}."
    )
    shown = ranked[:_FEATURES_RANKED]
    figure, (axes,) = new_figure(0.8 + 0.19 * len(shown))
    scores = [one.association.solo_score for one in shown]
    draw_bars(
        axes, [say_plainly(one.feature.name) for one in shown], np.maximum(scores, 0).tolist(),
        [write_score(one) for one in scores], color=[BAD if one >= LEAK_R2 else SOFT for one in scores],
    )  # fmt: skip
    draw_reference(axes, LEAK_R2, f"suspect from {LEAK_R2}", vertical=True, colour=BAD)
    axes.set_xlim(0, 1)
    axes.set_xlabel("R² alone")
    finding = {
        "id": "leak_suspects", "kind": "leak", "severity": "critical" if suspects else "note", "headline": headline,
        "detail": "R² of each feature alone (0 is nothing, 1 is certainty): its means are learnt on even days and "
        "predict odd days, and the other way round. A suspect must be shown to be known at prediction time, or be "
        "dropped.",
        "alt": "Bars of the R² of each feature alone, with the limit for suspects.", "feature": best.feature.name,
        "blamed": tuple(one.feature.name for one in suspects),
        "effect": float(min(1.0, max(0.0, best.association.solo_score))),
    }  # fmt: skip
    return [state(finding, figure)]


def find_speaking_gaps(training: TrainingRows) -> list[Statement]:
    """State where missing values themselves go with the outcome."""
    gaps = []
    for one in training.measured.values():
        missing = one.codes == one.missing_code
        if _FEWEST_MISSING <= missing.sum() < len(missing):
            difference, low, high = difference_of_means(missing, training.y, training.days)
            if low > 0 or high < 0:
                gaps.append((one.feature.name, int(missing.sum()), difference, low, high))
    if not gaps:
        return []
    gaps = sorted(gaps, key=lambda gap: -abs(gap[2]))[:_BARS]
    (name, rows, difference, low, high), unit = gaps[0], read_unit(training)
    figure, (axes,) = new_figure(0.8 + 0.19 * len(gaps))
    means = [gap[2] for gap in gaps]
    draw_bars(axes, [say_plainly(gap[0]) for gap in gaps], means, [write_quantity(mean, unit) for mean in means])
    axes.set_xlabel(f"mean where it is missing less mean elsewhere ({unit})")
    finding = {
        "id": "speaking_gaps", "kind": "missing", "severity": "warning", "feature": name,
        "headline": f"Where {say_plainly(name)} is missing ({write_count(rows)} {training.problem.noun}), the mean "
        f"{training.problem.outcome} differs by {write_quantity(difference, unit)} (95% interval "
        f"{write_quantity(low, None)} to {write_quantity(high, None)}).",
        "detail": f"The gap is a signal of its own; the models keep it as such. Features with at least "
        f"{_FEWEST_MISSING} missing values whose interval leaves out 0.",
        "alt": "Bars of how much the mean outcome differs where a feature is missing.",
        "effect": float(min(1.0, abs(difference) / max(float(training.y.std()), 1e-12))),
        "proposals": propose_missing(training, [gap[0] for gap in gaps]),
    }  # fmt: skip
    return [state(finding, figure)]


def _follow(training: TrainingRows, measured: Measured) -> Statement | None:
    name, unit = measured.feature.name, read_unit(training)
    values = training.rows[name].to_numpy(dtype=np.float64)
    means = mean_by_group(measured.codes, training.y, training.days, len(measured.labels))
    seen = [code for code in range(measured.missing_code) if means[code].rows > len(values) // 200]
    if len(seen) < 2:
        return None
    low, high = (pick(seen, key=lambda code: means[code].mean) for pick in (min, max))
    figure, (axes,) = new_figure(2.5)
    ends = np.nanquantile(values, [0.005, 0.995])
    behind = axes.twinx()
    behind.hist(values[(values >= ends[0]) & (values <= ends[1])], bins=40, color=GRID)
    behind.set_axis_off()
    axes.set_zorder(behind.get_zorder() + 1)
    middle = [float(np.median(values[measured.codes == code])) for code in seen]
    shown: list[GroupMean] = [means[code] for code in seen]
    draw_band(
        axes, middle, [m.mean for m in shown], [m.low for m in shown], [m.high for m in shown], marker="o", markersize=3
    )
    draw_reference(axes, float(training.y.mean()), "all")
    axes.set_xlabel(f"{say_plainly(name)}{f' ({measured.feature.unit})' if measured.feature.unit else ''}")
    axes.set_ylabel(f"mean {training.problem.outcome} ({unit})")
    finding = {
        "id": f"curve_{name}", "kind": "feature", "severity": "insight", "feature": name,
        "headline": f"With {say_plainly(name)} {_span(values, measured, high)} the mean {training.problem.outcome} was "
        f"{write_quantity(means[high].mean, unit)}; {_span(values, measured, low)} it was "
        f"{write_quantity(means[low].mean, unit)}.",
        "detail": f"{measured.feature.description}. Line: mean by bin of about equal size, with its 95% interval (a "
        "day is one observation). Grey: where the rows are.",
        "alt": f"Mean {training.problem.outcome} as it follows {say_plainly(name)}, over a histogram of the values.",
        "effect": measured.association.strength**0.5,
    }  # fmt: skip
    return state(finding, figure)


def _span(values: np.ndarray, measured: Measured, code: int) -> str:
    """Say which values a bin holds, by its smallest and largest one."""
    inside, unit = values[measured.codes == code], measured.feature.unit
    smallest, largest = float(inside.min()), float(inside.max())
    if smallest == largest:
        return f"at {write_quantity(smallest, unit)}"
    return f"between {write_quantity(smallest, unit)} and {write_quantity(largest, unit)}"
