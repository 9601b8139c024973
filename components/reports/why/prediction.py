"""Tell what lies behind one logged answer: its inputs with their ages, model, policy and label, and what moved it most.

In: a request id, the prediction log, the files of the version that answered, the ledger of labels. Out: one `Link` a
stage, in words. Called by `tidemill why`.

How much a feature moved the answer: the answer minus the mean answer with that feature's values of the golden rows in
its place, all else unchanged (Štrumbelj and Kononenko 2010 for one feature at a time). Features that move it only
together are not seen by it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.base.adapters import mlflow as tracking
from components.base.adapters.duckdb import connect_duckdb, explain_duckdb_errors, quote_text
from components.base.adapters.s3 import ObjectStore, open_store
from components.base.clock import read_clock
from components.base.dataset import Feature
from components.base.errors import DataError, ObjectMissingError
from components.base.settings import Settings
from components.base.tables import read_table
from components.base.task import Output, Task
from components.base.text.wording import format_time, write_number, write_quantity, write_span
from components.features.feast.feature_store import declared_views
from components.models.artifact import Model, load_model
from components.monitoring.labels import read_labels
from components.reports.why.link import Link
from components.serving.prediction_log.schema import (
    DECISION,
    EVENT_TIME,
    LOGGED_AT,
    MODEL_VERSION,
    REQUEST_ID,
    ROW,
    age_column,
    feature_column,
    output_column,
    predictions_prefix,
    upgrade_table,
)

# What most moved one answer fits one screen.
_SHOWN = 8


def explain_prediction(task: Task, request_id: str, row: int, folder: Path, settings: Settings) -> list[Link]:
    """Tell what lies behind the answer to one row of a request.

    Args:
        task: The task of the contract.
        request_id: The answer's `idempotency-key`, or the row's `instance_id`.
        row: Place of the row in its request, from 0.
        folder: Gets the files of the version that answered.
        settings: Name registry and object store.

    Raises:
        DataError: the log has no such row.
        TransientError: registry or object store does not answer.
    """
    store = open_store(settings)
    logged = find_logged(task.problem.name, store, request_id, row)
    version = str(logged[MODEL_VERSION])
    files = tracking.download_version(task.problem.name, version, folder / version, settings)
    model = load_model(task, files.model_folder)
    golden = read_table(files.model_folder / "golden.parquet")
    return [
        _tell_answer(task, model, logged, version, files.storage_uri),
        _tell_features(task, model, logged),
        _tell_label(task, logged, store, settings),
        _tell_moves(model, logged, golden),
    ]


def find_logged(problem: str, store: ObjectStore, request_id: str, row: int) -> dict[str, Any]:
    """Return the logged columns of one row of a request; of one that was sent again, the first that was logged.

    Raises:
        DataError: the log has no such row, or has it not yet.
    """
    logs = quote_text(store.uri(f"{predictions_prefix(problem)}*/*.parquet"))
    query = f"""
        SELECT * FROM read_parquet({logs}, union_by_name = true, hive_partitioning = false)
        WHERE {REQUEST_ID} = $request_id AND "{ROW}" = $row ORDER BY {LOGGED_AT} LIMIT 1
    """  # noqa: S608 - names of the log's own columns
    try:
        with explain_duckdb_errors("prediction log"), connect_duckdb() as connection:
            found = connection.execute(query, {"request_id": request_id, "row": row}).to_arrow_table()
    except ObjectMissingError:
        found = None
    if found is None or not found.num_rows:
        raise DataError(
            f"{problem}: row {row} of request {request_id!r} must be in the prediction log, but is not. It gets there "
            "some minutes after the answer, and only a sampled share of requests where the contract says so."
        )
    return dict(upgrade_table(found).to_pylist()[0])


def _tell_answer(task: Task, model: Model, logged: dict[str, Any], version: str, place: str) -> Link:
    output = ", ".join(f"{name} {write_number(logged[output_column(name)], 4)}" for name in task.output_columns)
    policy = ", ".join(f"{name} {value}" for name, value in model.policy.model_dump().items() if name != "kind")
    return Link(
        "answer",
        (
            f"On {format_time(logged[EVENT_TIME])} version {version} ({model.family}) answered {output}.",
            f"Decision {str(logged[DECISION]).lower()}, by its policy: {policy}.",
        ),
        place,
    )


def _tell_features(task: Task, model: Model, logged: dict[str, Any]) -> Link:
    views = {view.name for view in declared_views(task.problem)}
    words = []
    for feature in model.features:
        age = logged.get(age_column(feature.origin))
        known = f"{write_span(age)} old" if age is not None else "unknown entity"
        source = f"from {feature.origin}, {known}" if feature.origin in views else "from the request"
        words.append(f"{feature.name}: {_show(feature, logged[feature_column(feature.name)])} ({source})")
    return Link("features", tuple(words))


def _tell_label(task: Task, logged: dict[str, Any], store: ObjectStore, settings: Settings) -> Link:
    problem = task.problem
    labels = read_labels(problem, store, read_clock(settings)).to_pandas()
    for key in problem.examples.key:
        labels = labels[labels[key] == logged[key]]
    if labels.empty:
        return Link("label", ("It has not come, or no monitoring run has recorded it yet.",), f"{problem.name}/labels/")
    label = labels.iloc[0]
    words = f"{problem.target.name} {label['label']}, known since {format_time(label['label_at'].to_pydatetime())}."
    return Link("label", (words,), f"{problem.name}/labels/")


def _tell_moves(model: Model, logged: dict[str, Any], golden: pd.DataFrame) -> Link:
    served = pd.DataFrame({f.name: pd.Series([logged[feature_column(f.name)]], dtype=_type(f)) for f in model.features})
    moves = measure_moves(model, served, golden)
    largest = sorted(moves, key=lambda name: -float(np.abs(moves[name]).max()))[:_SHOWN]
    features = {feature.name: feature for feature in model.features}
    words = []
    for name in largest:
        column = int(np.abs(moves[name]).argmax())
        value = _show(features[name], logged[feature_column(name)])
        words.append(f"{model.task.output_columns[column]} {moves[name][column]:+.4f} by {name} = {value}")
    return Link("what moved it", tuple(words))


def measure_moves(model: Model, row: pd.DataFrame, background: pd.DataFrame) -> dict[str, Output]:
    """Return by how much each feature of one row moves the output against its values in other rows.

    Args:
        model: The model.
        row: (1, features).
        background: (n, features), typical rows.

    Returns:
        Shape (k,) by feature: the output minus the mean output with the feature's values of the background.
    """
    names = model.feature_names
    output = model.predict(row)[0]
    moves = {}
    for name in names:
        changed = pd.concat([row[names]] * len(background), ignore_index=True)
        changed[name] = background[name].to_numpy()
        moves[name] = output - model.predict(changed).mean(axis=0)
    return moves


def _type(feature: Feature) -> str:
    return "float64" if feature.kind == "numeric" else "object"


def _show(feature: Feature, value: Any) -> str:
    if value is None:
        return "missing"
    return write_quantity(value, feature.unit) if feature.kind == "numeric" else str(value)
