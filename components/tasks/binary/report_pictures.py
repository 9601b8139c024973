"""Pictures of a binary release: value by threshold and by capacity, reliability, precision and recall, ROC.

In: the material of a report. Out: SVG, or nothing where the material lacks what a picture needs. Called by the report
through `report.REPORT`. Contenders keep their colours from picture to picture.
"""

from typing import cast

import numpy as np
from pydantic import TypeAdapter

from components.base.contract.binary import BinaryBusiness, BinaryProblem
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
from components.tasks.binary.documents import BinaryContender, Curve, ThresholdSearch
from components.tasks.binary.policy import ThresholdPoint, ThresholdPolicy, value_per_1000

# Steps of the what-if over the capacity, as shares of the contract's own.
_CAPACITY_STEPS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)
_POINTS = TypeAdapter(tuple[ThresholdPoint, ...])


def read_contenders(material: Material) -> dict[Contender, BinaryContender]:
    """Return counts and curves of each contender that has them, in the order of the report."""
    return {
        role: BinaryContender.model_validate(scored.details)
        for role, scored in material.contenders.items()
        if scored.details
    }


def read_business(material: Material) -> BinaryBusiness:
    """Return what decisions are worth; a material that reaches these pages is of a binary contract."""
    return cast("BinaryProblem", material.problem).business


def draw_thresholds(material: Material) -> str | None:
    """Draw the value of each threshold on the rows that chose it, and on the test rows."""
    details = material.model.details if material.model else None
    if details is None or not details.policy:
        return None
    search = ThresholdSearch.model_validate(details.policy)
    tested = _POINTS.validate_python(material.evaluation.policy_curve if material.evaluation else ())
    figure, (axes,) = new_figure()
    for points, colour, label in (
        (search.curve, ACCENT, "validation (chose it)"),
        (tested, COLOURS["champion"], "test (shown only)"),
    ):
        if points:
            x, y = [point.threshold for point in points], [point.value_per_1000 for point in points]
            axes.plot(x, y, color=colour, label=label)
    draw_reference(axes, search.chosen.threshold, "in force", vertical=True, colour=BAD)
    axes.axhline(0, color=MUTED, linewidth=0.8)
    show_thousands(axes)
    show_percent(axes, "x")
    axes.set_xlabel("act from this probability on")
    axes.set_ylabel(f"{material.problem.business.currency} per 1,000")
    draw_legend(figure)
    return render_svg(figure, "Curve of the value of the decisions by threshold, with the threshold in force.")


def draw_capacity(material: Material) -> str | None:
    """Draw what the same thresholds would earn with more or fewer actions a day."""
    business, predictions = read_business(material), material.predictions
    if predictions is None or business.capacity_per_day is None:
        return None
    periods = business.capacity_periods_per_day
    steps = sorted({periods * max(1, round(business.capacity_per_day * step / periods)) for step in _CAPACITY_STEPS})
    plans = [business.model_copy(update={"capacity_per_day": step}) for step in steps]
    outcomes = predictions[material.problem.target.name].to_numpy(dtype=np.float64)
    times = predictions["predicted_at"]
    figure, (axes,) = new_figure()
    for role, scored in material.contenders.items():
        if f"{role}__probability" in predictions and role != "dummy":
            threshold = ThresholdPolicy.model_validate(scored.policy).threshold
            probabilities = predictions[f"{role}__probability"].to_numpy(dtype=np.float64)
            values = [value_per_1000(outcomes, probabilities, threshold, times, plan) for plan in plans]
            colour, label = CONTENDER_COLOURS[role], material.name_role(role)
            axes.plot(steps, values, color=colour, marker="o", markersize=3, label=label)
    draw_reference(axes, business.capacity_per_day, "today", vertical=True)
    show_thousands(axes)
    axes.set_xlabel("actions possible a day")
    axes.set_ylabel(f"{business.currency} per 1,000")
    draw_legend(figure)
    return render_svg(figure, "Lines of the value of the decisions by the number of actions that are possible a day.")


def draw_calibration(material: Material) -> str | None:
    """Draw observed rates against predicted probabilities."""
    curves = {role: one.calibration for role, one in read_contenders(material).items() if role != "dummy"}
    if not any(curves.values()):
        return None
    figure, (axes,) = new_figure(3.1)
    top = max(max(point.mean_probability, point.observed_rate) for points in curves.values() for point in points)
    axes.plot([0, top], [0, top], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="honest")
    for role, points in curves.items():
        x, y = [point.mean_probability for point in points], [point.observed_rate for point in points]
        axes.plot(x, y, color=CONTENDER_COLOURS[role], marker="o", markersize=4, label=material.name_role(role))
    show_percent(axes)
    show_percent(axes, "x")
    axes.set_xlabel("predicted probability")
    axes.set_ylabel(f"observed share {material.problem.outcome}")
    draw_legend(figure)
    return render_svg(figure, "Observed share of the outcome against the predicted probability, in ten bins.")


def draw_precision_recall(material: Material) -> str | None:
    """Draw precision against recall."""
    curves = {role: one.precision_recall for role, one in read_contenders(material).items()}
    return _draw_curves(material, curves, "recall: share of cases found", "precision: share right")


def draw_roc(material: Material) -> str | None:
    """Draw true against false positive rates, with the line of chance."""
    curves = {role: one.roc for role, one in read_contenders(material).items()}
    return _draw_curves(material, curves, "false positive rate", "true positive rate", chance=True)


def _draw_curves(
    material: Material, curves: dict[Contender, Curve], x_label: str, y_label: str, *, chance: bool = False
) -> str | None:
    shown = {role: curve for role, curve in curves.items() if role != "dummy"}
    if not shown:
        return None
    figure, (axes,) = new_figure(3.1)
    for role, curve in shown.items():
        x, y = zip(*curve, strict=True)
        axes.plot(x, y, color=CONTENDER_COLOURS[role], label=material.name_role(role))
    if chance:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="chance")
    show_percent(axes)
    show_percent(axes, "x")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    draw_legend(figure)
    return render_svg(figure, f"Curve of {y_label} against {x_label} for each contender.")
