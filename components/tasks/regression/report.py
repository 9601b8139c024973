"""What a regression shows in the report of a release: errors by size, what the intervals hold, what plans are worth.

In: the material of a report. Out: `REPORT`, which `RegressionTask.report` hands to the generic pages.
"""

from pathlib import Path
from typing import Any, cast

from components.base.contract.problem import Problem
from components.base.contract.regression import RegressionProblem
from components.base.text.wording import write_money, write_number, write_percent, write_quantity
from components.reports.release.material import Material
from components.reports.release.task_report import TaskReport, Tile
from components.tasks.regression.policy import PositionPolicy
from components.tasks.regression.report_pictures import (
    draw_coverage,
    draw_errors,
    draw_positions,
    draw_reliability,
    read_contenders,
    read_unit,
)


def format_skill(material: Material) -> str:
    """Write how far predictions are off, and what the intervals hold."""
    contenders, unit = read_contenders(material), read_unit(material)
    wanted = write_percent(cast("RegressionProblem", material.problem).interval.coverage, 0)
    error = material.contenders["challenger"].scores["mean_absolute_error"].estimate
    text = (
        f"Its predictions are off by {write_quantity(error, unit)} on average, and its intervals hold "
        f"{write_percent(contenders['challenger'].coverage)} of the outcomes where {wanted} are wanted"
    )
    role = material.reference
    if role is None or role not in contenders:
        return f"{text}."
    other = material.contenders[role].scores["mean_absolute_error"].estimate
    return f"{text}; the {material.name_role(role).lower()} is off by {write_quantity(other, unit)}."


def format_worth(problem: Problem) -> str:
    """Write what a wrong plan costs."""
    regression = cast("RegressionProblem", problem)
    costs, currency, unit = regression.business.values, regression.business.currency, regression.target.unit
    return (
        f"Of {unit} planned too little each costs {write_money(costs.short, currency)}, of those planned too much each "
        f"{write_money(costs.surplus, currency)}."
    )


def build_tile(material: Material) -> Tile:
    """Build the share of outcomes in their interval."""
    contender = read_contenders(material)["challenger"]
    wanted = cast("RegressionProblem", material.problem).interval.coverage
    note = f"{write_percent(wanted, 0)} are wanted; {write_quantity(contender.mean_width, read_unit(material))} wide"
    return Tile("Outcomes inside their interval", write_percent(contender.coverage), note)


def collect_values(material: Material) -> dict[str, Any]:
    """Return what the pieces of the templates need."""
    unit = read_unit(material)
    return {
        "format_output": lambda output: (
            f"{write_number(output[0])} ({write_number(output[1])} to {write_number(output[2])})"
        ),
        "format_policy": lambda policy: _format_policy(PositionPolicy.model_validate(policy)),
        "mean_label": f"Mean {material.problem.outcome}",
        "rate_label": "share planned for",
        "loss_label": f"absolute error ({unit})",
        "unit": unit,
        "described": read_contenders(material),
    }


def _format_policy(policy: PositionPolicy) -> str:
    if not policy.position:
        return "plans the prediction"
    end = "high" if policy.position > 0 else "low"
    return f"plans {abs(policy.position):g} of the way from the prediction to the {end} end of its interval"


REPORT = TaskReport(
    templates=Path(__file__).parent / "templates",
    metric_words={
        "mean_absolute_error": "how far a prediction is off on average; lower is better",
        "root_mean_squared_error": "the same, with large errors counted more; lower is better",
        "interval_score": "width of the intervals, plus a penalty for each outcome outside; lower is better",
        "coverage_gap": "how far the share of outcomes inside their interval is from what was promised; 0 is perfect",
    },
    pictures={
        "positions": draw_positions,
        "reliability": draw_reliability,
        "errors": draw_errors,
        "coverage": draw_coverage,
    },
    output_word="prediction",
    outputs_word="predictions",
    format_mean=write_number,
    format_worth=format_worth,
    format_skill=format_skill,
    build_tile=build_tile,
    collect_values=collect_values,
)
