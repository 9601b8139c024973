"""Write an evaluation to its folder, and pick out what the Kubeflow UI shows of it. Called by the `evaluate` step."""

from pathlib import Path

import numpy as np

from components.base.documents import write
from components.base.tables import write_table
from components.base.task import Task
from components.models.baselines import save_current_solution
from components.models.evaluate import Judgement


def save_evaluation(task: Task, judgement: Judgement, folder: Path | str) -> None:
    """Write `predictions.parquet` and `baseline.json`, then `evaluation.json`."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    write_table(judgement.predictions, place / "predictions.parquet")
    save_current_solution(task, judgement.current_solution, place / "baseline.json")
    write(judgement.evaluation, place / "evaluation.json")


def list_metrics(judgement: Judgement) -> dict[str, float]:
    """Return the scores and the value of every contender, by `<contender>_<metric>`."""
    metrics: dict[str, float] = {}
    for role, contender in judgement.evaluation.contenders.items():
        intervals = {**contender.scores, "value_per_1000": contender.value_per_1000}
        metrics |= {
            f"{role}_{name}": found.estimate for name, found in intervals.items() if np.isfinite(found.estimate)
        }
    return metrics
