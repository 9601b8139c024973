"""Score the rows of a window with other models: what the current solution and the previous champion would have done.

In: the predictions of a window and the files of models. Out: `Alternative`s with an output and a decision for every
row, and columns of the log by the names that the contract uses. Called by the monitor; nothing is valued here.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.base.adapters.mlflow_records import ModelFiles
from components.base.contract.problem import Problem
from components.base.errors import ModelRefusedError
from components.base.task import Decisions, Output, Task
from components.features.request import request_table
from components.models.artifact import load_model, read_description
from components.models.baselines import load_current_solution
from components.models.parallel import quiet_fits, use_one_thread
from components.monitoring.predictions import BATCH_ROWS, Predictions
from components.monitoring.served_rows import ServedRows
from components.serving.prediction_log.schema import feature_column

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Alternative:
    """A model that could have served the same rows."""

    label: str
    output: Output
    """For all rows of the window, shape (n, k)."""
    decisions: Decisions
    """By its own policy, before any capacity, shape (n,)."""


def read_columns(problem: Problem, predictions: Predictions, names: Iterable[str]) -> dict[str, "pd.Series[Any]"]:
    """Return columns of all rows by the names of prepared rows, as slices and baselines use them.

    A request-time feature is computed from the request, since a model need not have it; any other name is a request
    column or a served feature.
    """
    wanted = list(dict.fromkeys(names))
    declared = {name: problem.features.request[name] for name in wanted if name in problem.features.request}
    others = {name: name if name in problem.examples.request else feature_column(name) for name in wanted}
    sent = [column for feature in declared.values() for column in feature.columns]
    read = predictions.read(list(dict.fromkeys([*sent, *(others[name] for name in wanted if name not in declared)])))
    limited = problem.features.model_copy(update={"request": declared})
    computed = request_table(problem.model_copy(update={"features": limited}), read)
    return {name: computed[name] if name in declared else read[others[name]] for name in wanted}


def score_current_solution(task: Task, predictions: Predictions, model_folder: Path) -> Alternative:
    """Score all rows with the current solution as it was fitted for the release.

    Raises:
        ModelRefusedError: `baseline.json` is missing or damaged.
    """
    baseline = load_current_solution(task, model_folder / "baseline.json")
    table = pd.DataFrame(read_columns(task.problem, predictions, task.problem.baseline.group_by))
    # The rule makes a text for each row: in batches, or a million texts are in memory at once.
    starts = range(0, len(table), BATCH_ROWS)
    output = _concatenate(
        task, [task.predict(baseline.estimator, table[start : start + BATCH_ROWS]) for start in starts]
    )
    return Alternative(baseline.label, output, baseline.policy.apply(output))


def do_nothing(task: Task, rows: ServedRows) -> Alternative:
    """Decide to do nothing on all rows: a rule that loses money is no measure of what decisions are worth."""
    name, decisions = next(iter(task.constant_decisions(len(rows.output)).items()))
    return Alternative(name, np.zeros_like(rows.output), decisions)


def score_previous(
    task: Task, predictions: Predictions, previous: ModelFiles, champion: ModelFiles
) -> Alternative | None:
    """Score all rows with the previous champion, from the features as they were served.

    None when it cannot be read, or needs a feature that the champion does not log.
    """
    try:
        model = load_model(task, previous.model_folder)
    except ModelRefusedError as error:
        log.warning("monitor: version %s is not compared with: %s", previous.version, error)
        return None
    logged = {(feature.name, feature.kind) for feature in read_description(champion.model_folder).features}
    missing = [feature.name for feature in model.features if (feature.name, feature.kind) not in logged]
    if missing:
        log.warning(
            "monitor: version %s is not compared with: %s are not logged any more", previous.version, ", ".join(missing)
        )
        return None
    columns = [feature_column(name) for name in model.feature_names]
    with quiet_fits():
        use_one_thread()
        outputs = []
        for batch in predictions.iterate(columns):
            logged = batch.to_pandas()
            # As in training: float64 with NaN, or str with None.
            inputs = {
                one.name: logged[feature_column(one.name)].astype("float64" if one.kind == "numeric" else object)
                for one in model.features
            }
            outputs.append(model.predict(pd.DataFrame(inputs)))
    output = _concatenate(task, outputs)
    return Alternative(f"version {previous.version}", output, model.policy.apply(output))


def _concatenate(task: Task, outputs: Sequence[Output]) -> Output:
    return np.concatenate(outputs) if outputs else np.empty((0, len(task.output_columns)))
