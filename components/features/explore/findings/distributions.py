"""Findings about how single features are spread, whatever the outcome.

In: `TrainingRows`. Out: statements with their figures. Called by explore.
"""

import numpy as np
from matplotlib.figure import Figure

from components.base.text.figures import (
    SOFT,
    clip_label,
    new_figure,
    show_thousands,
)
from components.base.text.wording import (
    join_words,
    name_first,
    say_plainly,
    write_count,
    write_percent,
)
from components.features.explore.findings.finding import Statement, state
from components.features.explore.proposals import propose_ranges
from components.features.explore.training_rows import Measured, TrainingRows

# A skewness beyond 2 is that of an exponential distribution: most of the range is nearly empty.
_SKEWED = 2.0


_NEARLY_CONSTANT = 0.99


_SMALL_MULTIPLES = 12


def find_distributions(training: TrainingRows) -> list[Statement]:
    """State how the numbers are spread: lopsided ones and nearly constant ones."""
    numeric = [one for one in training.measured.values() if one.feature.kind == "numeric"]
    if not numeric:
        return []
    columns = training.sample[[one.feature.name for one in numeric]]
    skewness = columns.skew().abs().fillna(0)
    commonest = columns.apply(lambda values: values.value_counts(normalize=True).max()).fillna(1)
    skewed = [say_plainly(name) for name in skewness[skewness > _SKEWED].sort_values(ascending=False).index]
    constant = [say_plainly(name) for name in commonest[commonest > _NEARLY_CONSTANT].index]
    lopsided = f"{len(skewed)} lean far to one side ({join_words(skewed[:3])}{' first' if len(skewed) > 3 else ''})"
    finding = {
        "id": "distributions", "kind": "distribution", "severity": "note",
        "headline": f"Of {len(numeric)} numeric features {lopsided if skewed else 'none leans far to one side'}; "
        f"{f'{name_first(constant)} hardly vary' if constant else 'none is nearly constant'}.",
        "detail": f"{write_count(len(columns))} sampled rows. Lopsided: skewness beyond {_SKEWED:g}, as of an "
        f"exponential distribution. Nearly constant: one "
        f"value in more "
        f"than {write_percent(_NEARLY_CONSTANT, 0)} of the rows. The pictures show the middle 98% of each feature.",
        "alt": f"Small histograms of the {min(len(numeric), _SMALL_MULTIPLES)} most informative numeric features.",
        "effect": len(skewed) / len(numeric),
        "proposals": propose_ranges(training, [one.feature.name for one in numeric]),
    }  # fmt: skip
    return [state(finding, _plot_distributions(training, numeric[:_SMALL_MULTIPLES]))]


def _plot_distributions(training: TrainingRows, numeric: list[Measured]) -> Figure:
    rows = -(-len(numeric) // 3)
    figure, panels = new_figure(0.95 * rows + 0.2, columns=3, rows=rows)
    for axes, measured in zip(panels, numeric, strict=False):
        values = training.rows[measured.feature.name].dropna().to_numpy(dtype=np.float64)
        low, high = np.quantile(values, [0.01, 0.99]) if len(values) else (0.0, 1.0)
        axes.hist(values[(values >= low) & (values <= high)], bins=30, color=SOFT)
        axes.set_title(clip_label(say_plainly(measured.feature.name)), fontsize=8, loc="left")
        axes.set_yticks([])
        axes.tick_params(labelsize=7.5)
        axes.grid(visible=False)
        show_thousands(axes, "x") if high - low > 20 else None
    for axes in panels[len(numeric) :]:
        axes.set_axis_off()
    return figure
