"""What a binary problem shows in the report of a release: right actions, thresholds, reliability, the confusion matrix.

In: the material of a report. Out: `REPORT`, which `BinaryTask.report` hands to the generic pages. Counts come from the
evaluation as `documents.BinaryContender` keeps them.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from components.base.contract.problem import Problem
from components.base.text.wording import write_capacity, write_count, write_money, write_percent
from components.reports.release.material import Material
from components.reports.release.task_report import TaskReport, Tile
from components.tasks.binary.documents import Confusion
from components.tasks.binary.policy import ThresholdPolicy
from components.tasks.binary.report_pictures import (
    draw_calibration,
    draw_capacity,
    draw_precision_recall,
    draw_roc,
    draw_thresholds,
    read_business,
    read_contenders,
)

if TYPE_CHECKING:
    from components.base.contract.binary import BinaryProblem

Cell = tuple[int, float]
"""Rows, and what they are worth together."""


def format_skill(material: Material) -> str:
    """Write how many actions are right and how many cases get one, beside the reference."""
    business, contenders = material.problem.business, read_contenders(material)
    capacity = business.capacity_per_day
    within = f" with at most {write_capacity(capacity, business.capacity_periods_per_day)}" if capacity else ""
    challenger = contenders["challenger"].confusion
    text = (
        f"Of 100 actions that it takes {_format_precision(challenger)} are right, and it acts on "
        f"{write_percent(challenger.recall)} of all {material.problem.noun} that are {material.problem.outcome}{within}"
    )
    role = material.reference
    if role is None or role not in contenders or not contenders[role].confusion.actions:
        return f"{text}."
    other, name = contenders[role].confusion, material.name_role(role).lower()
    right, found = _format_precision(other), write_percent(other.recall)
    return f"{text}; with the {name} {right} of 100 are right, and it acts on {found}."


def format_worth(problem: Problem) -> str:
    """Write what one right and one wrong action are worth."""
    business = cast("BinaryProblem", problem).business
    right = write_money(business.values.true_positive, business.currency)
    wrong = write_money(business.values.false_positive, business.currency)
    return f"A right action is worth {right}, a wrong one {wrong}."


def build_tile(material: Material) -> Tile:
    """Build the number of right actions of 100."""
    challenger = read_contenders(material)["challenger"].confusion
    note = f"{write_count(challenger.actions)} actions on {write_count(challenger.rows)} test rows"
    return Tile("Right actions", f"{_format_precision(challenger)} of 100", note)


def tabulate_decisions(material: Material) -> list[tuple[str, tuple[Cell, Cell]]]:
    """Return the confusion matrix at the threshold: by decision, the positive and the negative rows and their worth."""
    contenders, values = read_contenders(material), read_business(material).values
    if "challenger" not in contenders:
        return []
    rows = contenders["challenger"].confusion
    return [
        ("action", _weigh((rows.hits, values.true_positive), (rows.false_alarms, values.false_positive))),
        ("no action", _weigh((rows.misses, values.false_negative), (rows.correct_rejections, values.true_negative))),
    ]


def collect_values(material: Material) -> dict[str, Any]:
    """Return what the pieces of the templates need."""
    return {
        "format_output": lambda output: write_percent(output[0]),
        "format_policy": lambda policy: (
            f"acts from {write_percent(ThresholdPolicy.model_validate(policy).threshold)} on"
        ),
        "mean_label": f"Share {material.problem.outcome}",
        "rate_label": "true positive rate",
        "loss_label": "log loss",
        "counted": {role: one.confusion for role, one in read_contenders(material).items()},
        "decisions": tabulate_decisions(material),
    }


REPORT = TaskReport(
    templates=Path(__file__).parent / "templates",
    metric_words={
        "average_precision": "how clean the top of the ranking is; chance gives the share of cases, 1 is perfect",
        "roc_auc": "chance that a case is ranked above a row that is none; 0.5 is chance, 1 is perfect",
        "log_loss": "penalty for confident mistakes; lower is better",
        "brier": "mean squared error of the probabilities; lower is better",
        "calibration_error": "how far probabilities are from what then happens; 0 is perfect",
        "f1": "balance of precision and recall at the threshold; 1 is perfect",
    },
    pictures={
        "thresholds": draw_thresholds,
        "capacity": draw_capacity,
        "calibration": draw_calibration,
        "precision_recall": draw_precision_recall,
        "roc": draw_roc,
    },
    output_word="probability",
    outputs_word="probabilities",
    format_mean=write_percent,
    format_worth=format_worth,
    format_skill=format_skill,
    build_tile=build_tile,
    collect_values=collect_values,
)


def _format_precision(rows: Confusion) -> str:
    return "none" if rows.precision is None else f"{rows.precision * 100:.0f}"


def _weigh(*cells: tuple[int, float]) -> tuple[Cell, Cell]:
    (first, first_worth), (second, second_worth) = cells
    return (first, first * first_worth), (second, second * second_worth)
