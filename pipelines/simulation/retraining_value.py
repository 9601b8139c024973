"""What the half year earned, with retraining and without: the first model, frozen, decides on the same requests.

In: the months as they were served, the prediction log, and the labels as known at the end. Out: `RetrainingValue`, in
the contract's currency. Called at the end of a simulation; the functions of the monitor measure everything.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from components.base.adapters.mlflow import ModelFiles, download_version
from components.base.adapters.s3 import open_store
from components.base.contract.problem import Problem
from components.base.settings import Settings
from components.base.text.wording import write_money
from components.monitoring.alternatives import Alternative, score_current_solution, score_previous
from components.monitoring.labels import read_labels
from components.monitoring.predictions import fetch_predictions
from components.monitoring.results import Contender, Window
from components.monitoring.served_rows import read_served_rows
from components.monitoring.value import measure_value
from components.tasks import open_task


@dataclass(frozen=True)
class ServedMonth:
    """One month and the version that served it."""

    start: datetime
    end: datetime
    version: str


@dataclass(frozen=True)
class MonthValue:
    """What the decisions of one month were worth, by who took them."""

    start: datetime
    rows: int
    served: float
    frozen: float | None
    """Of the first model, had it stayed the champion; None where it reads features that are no longer logged."""
    current_solution: float
    frozen_score: float | None
    """Of the first model, in the metric that the contract limits."""


@dataclass(frozen=True)
class RetrainingValue:
    """The whole simulation."""

    currency: str
    months: tuple[MonthValue, ...]

    @property
    def served(self) -> float:
        """Earned as it was."""
        return sum(month.served for month in self.months)

    @property
    def frozen(self) -> float:
        """Earned without any retraining."""
        return sum(month.frozen for month in self.months if month.frozen is not None)

    @property
    def current_solution(self) -> float:
        """Earned without a model."""
        return sum(month.current_solution for month in self.months)

    @property
    def words(self) -> str:
        """The answer in a sentence."""
        # Months in which the first model cannot be asked are not compared.
        gain = sum(month.served - month.frozen for month in self.months if month.frozen is not None)
        direction = "more" if gain >= 0 else "less"
        return (
            f"With retraining the decisions earned {write_money(self.served, self.currency)}, "
            f"{write_money(abs(gain), self.currency)} {direction} than the first model would have, which earned "
            f"{write_money(self.frozen, self.currency)} on the same requests; the rule of thumb "
            f"{write_money(self.current_solution, self.currency)}."
        )


def measure_retraining(problem: Problem, settings: Settings, months: Sequence[ServedMonth]) -> RetrainingValue:
    """Value each month's decisions, and those that the first model would have taken."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = {
            version: download_version(problem.name, version, folder / f"version-{version}", settings)
            for version in sorted({month.version for month in months})
        }
        first = files[months[0].version]
        earned = []
        for month in months:
            earned.append(_value_month(problem, settings, month, files[month.version], first, months[-1].end))
    return RetrainingValue(problem.business.currency, tuple(earned))


def _value_month(
    problem: Problem,
    settings: Settings,
    month: ServedMonth,
    served: ModelFiles,
    first: ModelFiles,
    known_at: datetime,
) -> MonthValue:
    store, task = open_store(settings), open_task(problem)
    with tempfile.TemporaryDirectory() as scratch:
        predictions = fetch_predictions(task, store, Window(start=month.start, end=month.end), Path(scratch))
        labels = read_labels(problem, store, known_at, month.start)
        rows = read_served_rows(task, predictions, labels, month.version, known_at)
        frozen = score_previous(task, predictions, first, served)
        alternatives: dict[Contender, Alternative] = {
            "current_solution": score_current_solution(task, predictions, served.model_folder)
        }
        if frozen:
            alternatives["previous"] = frozen
        value = measure_value(task, rows, alternatives, f"version {month.version}")
    frozen_score = None
    if frozen and rows.scored.any():
        metric, scored = task.metrics[problem.monitoring.performance.metric], rows.scored
        frozen_score = metric.score(rows.outcomes[scored], frozen.output[scored], frozen.decisions[scored])
    if value is None:
        return MonthValue(month.start, 0, 0.0, None, 0.0, frozen_score)
    totals = {name: contender.total for name, contender in value.contenders.items()}
    return MonthValue(
        month.start,
        value.contenders["served"].rows,
        totals["served"],
        totals.get("previous"),
        totals["current_solution"],
        frozen_score,
    )
