"""Pictures of the release of a regression: worth by reserve; means, errors and coverage by the size of the prediction.

In: the material of a report. Out: SVG, or nothing where the material lacks what a picture needs. Called by the report
through `report.REPORT`. Contenders keep their colours from picture to picture.
"""

from collections.abc import Callable
from typing import cast

from matplotlib.axes import Axes
from pydantic import TypeAdapter

from components.base.contract.regression import RegressionProblem
from components.base.text.figures import (
    ACCENT,
    BAD,
    COLOURS,
    CONTENDER_COLOURS,
    MUTED,
    draw_legend,
    draw_reference,
    new_figure,
    render_svg,
    show_percent,
    show_thousands,
)
from components.models.documents import Contender
from components.reports.release.material import Material
from components.tasks.regression.documents import RegressionContender, SizeBin
from components.tasks.regression.policy import PositionPoint, PositionSearch

_POINTS = TypeAdapter(tuple[PositionPoint, ...])


def read_contenders(material: Material) -> dict[Contender, RegressionContender]:
    """Return what is told of each contender, in the order of the report."""
    return {
        role: RegressionContender.model_validate(scored.details)
        for role, scored in material.contenders.items()
        if scored.details
    }


def read_unit(material: Material) -> str:
    """Return the unit of the outcome; a material that reaches these pages is of a regression."""
    return cast("RegressionProblem", material.problem).target.unit


def draw_positions(material: Material) -> str | None:
    """Draw what each reserve is worth on the rows that chose it, and on the test rows."""
    details = material.model.details if material.model else None
    if details is None or not details.policy:
        return None
    search = PositionSearch.model_validate(details.policy)
    tested = _POINTS.validate_python(material.evaluation.policy_curve if material.evaluation else ())
    figure, (axes,) = new_figure()
    for points, colour, label in (
        (search.curve, ACCENT, "validation (chose it)"),
        (tested, COLOURS["champion"], "test (shown only)"),
    ):
        if points:
            axes.plot([p.position for p in points], [p.value_per_1000 for p in points], color=colour, label=label)
    draw_reference(axes, search.chosen.position, "in force", vertical=True, colour=BAD)
    show_thousands(axes)
    axes.set_xlabel("planned point: -1 low end, 0 prediction, 1 high end")
    axes.set_ylabel(f"{material.problem.business.currency} per 1,000")
    draw_legend(figure)
    return render_svg(figure, "Curve of the value of the plans by the point of the interval that is planned.")


def draw_reliability(material: Material) -> str | None:
    """Draw mean outcomes against mean predictions."""
    shown = _without_dummy(material)
    if not shown:
        return None
    figure, (axes,) = new_figure(3.1)
    ends = [value for bins in shown.values() for one in bins for value in (one.mean_prediction, one.mean_outcome)]
    axes.plot([min(ends), max(ends)], [min(ends), max(ends)], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    _plot(axes, material, shown, lambda one: one.mean_outcome)
    axes.set_ylabel(f"mean {material.problem.outcome} ({read_unit(material)})")
    draw_legend(figure)
    return render_svg(figure, "Mean outcome against mean prediction, in ten groups by the size of the prediction.")


def draw_errors(material: Material) -> str | None:
    """Draw the mean absolute error by the size of the prediction."""
    shown = _without_dummy(material)
    if not shown:
        return None
    figure, (axes,) = new_figure(3.1)
    _plot(axes, material, shown, lambda one: one.mean_absolute_error)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"mean absolute error ({read_unit(material)})")
    draw_legend(figure)
    return render_svg(figure, "Mean absolute error in ten groups by the size of the prediction.")


def draw_coverage(material: Material) -> str | None:
    """Draw the share of outcomes in their interval by the size of the prediction."""
    shown = _without_dummy(material)
    if not shown:
        return None
    figure, (axes,) = new_figure(3.1)
    _plot(axes, material, shown, lambda one: one.coverage)
    draw_reference(axes, cast("RegressionProblem", material.problem).interval.coverage, "wanted")
    show_percent(axes)
    axes.set_ylim(0, 1)
    axes.set_ylabel("outcomes inside their interval")
    draw_legend(figure)
    return render_svg(figure, "Share of the outcomes inside their interval by the size of the prediction.")


def _without_dummy(material: Material) -> dict[Contender, tuple[SizeBin, ...]]:
    return {role: one.bins for role, one in read_contenders(material).items() if role != "dummy" and one.bins}


def _plot(
    axes: Axes, material: Material, shown: dict[Contender, tuple[SizeBin, ...]], read: Callable[[SizeBin], float]
) -> None:
    for role, bins in shown.items():
        x, y = [one.mean_prediction for one in bins], [read(one) for one in bins]
        colour, label = CONTENDER_COLOURS[role], material.name_role(role)
        axes.plot(x, y, color=colour, marker="o", markersize=4, label=label)
    axes.set_xlabel(f"prediction ({read_unit(material)})")
