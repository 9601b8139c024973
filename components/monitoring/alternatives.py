"""Find who else could have decided on the rows of a window, and what they would have said.

In: the predictions of a window and the files of models. Out: `Rival`s with a probability for every row, and columns of
the log by the names that the contract uses. Called by the monitor; nothing is decided or valued here.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from components.base.adapters.mlflow_records import ModelFiles
from components.base.contract.problem import Problem
from components.base.dataset import Feature
from components.base.errors import ModelRefusedError
from components.features.request import request_table
from components.models.artifact import load_model, read_features
from components.models.baselines import load_current_solution
from components.models.parallel import quiet_fits, use_one_thread
from components.monitoring.predictions import BATCH_ROWS, Predictions
from components.monitoring.served_rows import Array
from components.monitoring.value import Rival
from components.serving.prediction_log.schema import feature_column

log = logging.getLogger(__name__)


def read_columns(problem: Problem, predictions: Predictions, names: Iterable[str]) -> dict[str, "pd.Series[Any]"]:
    """Return columns of all rows by the names of prepared rows, as slices and baselines use them.

    A request-time feature is computed from the request, since a model need not have it; else the name is that of a
    request column, or of a feature as it was served.
    """
    wanted = list(dict.fromkeys(names))
    declared = {name: problem.features.request[name] for name in wanted if name in problem.features.request}
    others = {name: name if name in problem.examples.request else feature_column(name) for name in wanted}
    sent = [column for feature in declared.values() for column in feature.columns]
    read = predictions.read(list(dict.fromkeys([*sent, *(others[name] for name in wanted if name not in declared)])))
    limited = problem.features.model_copy(update={"request": declared})
    computed = request_table(problem.model_copy(update={"features": limited}), read)
    return {name: computed[name] if name in declared else read[others[name]] for name in wanted}


def ask_current_solution(problem: Problem, predictions: Predictions, model_folder: Path) -> Rival:
    """Let the current solution, as fitted for the release, predict all rows.

    Raises:
        ModelRefusedError: `baseline.json` is missing or damaged.
    """
    baseline = load_current_solution(model_folder / "baseline.json")
    table = pd.DataFrame(read_columns(problem, predictions, problem.baseline.group_by))
    # A name is made for each row: not for a million at once.
    parts = [baseline.predict(table[start : start + BATCH_ROWS]) for start in range(0, len(table), BATCH_ROWS)]
    return Rival(baseline.label, _join_parts(parts), baseline.threshold)


def ask_previous(predictions: Predictions, previous: ModelFiles, in_charge: ModelFiles) -> Rival | None:
    """Let the champion before predict all rows from the features as they were served.

    None when it cannot be read, or needs a feature that the version in charge does not log.
    """
    try:
        model = load_model(previous.model_folder)
    except ModelRefusedError as error:
        log.warning("monitor: version %s is not compared with: %s", previous.version, error)
        return None
    logged = {(feature.name, feature.kind) for feature in read_features(in_charge.model_folder)}
    missing = [feature.name for feature in model.features if (feature.name, feature.kind) not in logged]
    if missing:
        log.warning(
            "monitor: version %s is not compared with: %s are not logged any more", previous.version, ", ".join(missing)
        )
        return None
    columns = [feature_column(name) for name in model.feature_names]
    with quiet_fits():
        use_one_thread()
        parts = [model.predict(_features_of(batch, model.features)) for batch in predictions.iterate(columns)]
    return Rival(f"version {previous.version}", _join_parts(parts), model.threshold)


def _join_parts(parts: Sequence[Array]) -> Array:
    return np.concatenate(parts) if parts else np.array([], dtype=np.float64)


def _features_of(batch: pa.RecordBatch, features: Iterable[Feature]) -> pd.DataFrame:
    """Return model inputs as the model learnt them: float64 with NaN, or str with None."""
    table = batch.to_pandas()
    columns = {
        feature.name: table[feature_column(feature.name)].astype("float64" if feature.kind == "numeric" else object)
        for feature in features
    }
    return pd.DataFrame(columns)
