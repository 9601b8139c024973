"""Prepare the rows that models learn from: examples, their features as of the prediction, and roles by time.

In: accepted sources, feature tables, `as_of`. Out: the two folders that `base/dataset.py` describes. Called by the
`prepare` step. Rows whose label is not known at `as_of` do not exist.

Notation
    n           examples: rows of the contract's source with `label_at <= as_of`
    gap         hours between roles; a row whose label was not known when the next role starts belongs to it as well

Roles are intervals of `predicted_at`, counted back from `as_of`, with a gap before validation, before and after test:

    train ......... | gap | validation | gap | test | gap | as_of

The last gap is there because a row of those hours exists only if its outcome came early: a test that held it would be
chosen by its outcome.
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from components.base.adapters.duckdb import connect_duckdb, explain_duckdb_errors, quote_name, quote_text
from components.base.contract.problem import Problem, Split
from components.base.dataset import ROLES, Feature, Prepared, Role, write_prepared
from components.base.errors import DataError, raise_faults
from components.base.statistics.folds import check_folds, split_train
from components.base.tables import make_frame, open_table_writer, write_table
from components.base.task import Task
from components.features.feast.feature_store import declared_views, join_features, open_scratch_store
from components.features.request import feature_kind, request_table

_logger = logging.getLogger(__name__)
_GAP = "gap"
# Rows that are joined at once: a hundred columns of them are 200 MB.
_PIECE_ROWS = 250_000
# Stands between the parts of a row's identity; no key of a delivered row holds a control character.
_UNIT_SEPARATOR = 31


def prepare_rows(task: Task, accepted: Path, features_uri: str, as_of: datetime, out: Path, test_out: Path) -> Prepared:
    """Write the prepared rows of one release.

    Args:
        task: The task of the contract.
        accepted: Folder with one parquet a source.
        features_uri: Folder or `s3://` prefix of the feature tables.
        as_of: UTC; nothing later is seen.
        out: Folder to be written, without any test row.
        test_out: Folder to be written with the test rows and the newest requests.

    Raises:
        DataError: keys are doubled, a target is unknown, a role has too few rows, or a role or a fold of train has
            outcomes that no model can learn from; all are named.
    """
    problem = task.problem
    examples = drop_old_examples(problem.split, read_examples(task, accepted, as_of), as_of)
    roles = assign_roles(problem.split, examples["predicted_at"], examples["label_at"], as_of)
    raise_faults(DataError, "prepare", _faults(task, examples, roles))
    train = examples[roles == "train"]
    # Before hours of training, not in the middle of them.
    check_folds(task, train, split_train(problem, train))
    places = {role: (test_out if role == "test" else out) / f"{role}.parquet" for role in ROLES}
    limits = {"train_start": examples["predicted_at"].min(), **split_limits(problem.split, as_of)}
    prepared = Prepared(
        folder=out,
        target=problem.target.name,
        features=model_features(problem),
        limits={name: limit.isoformat() for name, limit in limits.items()},
        rows={role: int((roles == role).sum()) for role in (*ROLES, _GAP)},
        fingerprint=_write_roles(roles, join_pieces(problem, examples, features_uri), places),
        test_folder=test_out,
    )
    ledger = [examples.loc[roles == role, ["row_hash"]].assign(role=role) for role in ROLES]
    write_table(pd.concat(ledger, ignore_index=True), out / "ledger.parquet")
    write_prepared(prepared)
    write_table(join_newest(problem, accepted, features_uri, as_of), prepared.newest_path)
    counted = ", ".join(f"{role} {count:,}" for role, count in prepared.rows.items())
    _logger.info("prepare: %s rows with %s features", counted, len(prepared.features))
    return prepared


def read_examples(task: Task, accepted: Path, as_of: datetime) -> pd.DataFrame:
    """Read the examples whose label is known at `as_of`, by time of prediction and key; rows without one are none.

    Returns:
        (n, columns): key and request columns, `predicted_at`, `label_at`, the target, and `row_hash`: the lower 64 bits
        of the MD5 over the key and the time of prediction (timestamps as microseconds since 1970), each as text with
        an ASCII unit separator between.
    """
    problem = task.problem
    spec = problem.examples
    types = problem.sources[spec.source].columns
    columns = [quote_name(name) for name in dict.fromkeys([*spec.key, *spec.request])]
    identity = [
        f"epoch_us({quote_name(name)})" if types[name].type == "timestamp" else quote_name(name)
        for name in [*spec.key, spec.predicted_at]
    ]
    predicted_at, label_at = quote_name(spec.predicted_at), quote_name(spec.label_at)
    query = f"""
        SELECT {", ".join(columns)}, {predicted_at} AS predicted_at, {label_at} AS label_at,
            {task.outcome_sql()} AS {quote_name(problem.target.name)},
            md5_number_lower(concat_ws(chr({_UNIT_SEPARATOR}), {", ".join(identity)})) AS row_hash
        FROM read_parquet({quote_text(str(accepted / f"{spec.source}.parquet"))})
        WHERE {label_at} <= $as_of AND {task.outcome_sql()} IS NOT NULL
        ORDER BY {", ".join([predicted_at, *map(quote_name, spec.key)])}
    """  # noqa: S608 - names and expression come from the checked contract
    with explain_duckdb_errors(f"prepare {spec.source}"):
        table = connect_duckdb().execute(query, {"as_of": as_of}).to_arrow_table()
    examples = make_frame(table)
    times = examples.select_dtypes("datetimetz").columns
    return examples.astype(dict.fromkeys(times, "datetime64[us, UTC]"))


def join_newest(problem: Problem, accepted: Path, features_uri: str, as_of: datetime) -> pd.DataFrame:
    """Read the requests whose prediction was due last, and join what is known of their entities at `as_of`.

    Returns:
        (n, columns): at most `serving.golden_rows` rows by time: request columns, the model's features, `predicted_at`.
    """
    spec = problem.examples
    columns = ", ".join(map(quote_name, spec.request))
    order = ", ".join(f"{quote_name(name)} DESC" for name in [spec.predicted_at, *spec.key])
    query = f"""
        SELECT {columns} FROM read_parquet({quote_text(str(accepted / f"{spec.source}.parquet"))})
        WHERE {quote_name(spec.predicted_at)} <= $as_of ORDER BY {order} LIMIT {problem.serving.golden_rows}
    """  # noqa: S608 - names come from the checked contract
    with explain_duckdb_errors(f"prepare {spec.source}"):
        newest = make_frame(connect_duckdb().execute(query, {"as_of": as_of}).to_arrow_table())
    times = dict.fromkeys(newest.select_dtypes("datetimetz").columns, "datetime64[us, UTC]")
    requests = newest.iloc[::-1].reset_index(drop=True).astype(times)
    at = pd.Series(as_of, index=requests.index, dtype="datetime64[us, UTC]")
    joined = add_features(problem, requests.assign(predicted_at=at), features_uri)
    names = [feature.name for feature in model_features(problem)]
    return joined[list(dict.fromkeys([*spec.request, *names, "predicted_at"]))]


def drop_old_examples(split: Split, examples: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    """Return the examples that train may look back to; all of them where the contract sets no `train_days`."""
    if split.train_days is None:
        return examples
    start = split_limits(split, as_of)["train_end"] - timedelta(days=split.train_days)
    return examples[examples["predicted_at"] >= start].reset_index(drop=True)


def split_limits(split: Split, as_of: datetime) -> dict[str, datetime]:
    """Return the ends of the roles in time of prediction; starts count in, ends do not. Train has no start."""
    gap = timedelta(hours=split.gap_hours)
    test_end = as_of - gap
    test_start = test_end - timedelta(days=split.test_days)
    validation_end = test_start - gap
    validation_start = validation_end - timedelta(days=split.validation_days)
    return {
        "train_end": validation_start - gap,
        "validation_start": validation_start,
        "validation_end": validation_end,
        "test_start": test_start,
        "test_end": test_end,
    }


def assign_roles(
    split: Split, predicted_at: "pd.Series[Any]", label_at: "pd.Series[Any]", as_of: datetime
) -> "pd.Series[str]":
    """Give each example its role, or `gap`.

    Returns:
        (n,): no label of `train` is known later than validation starts, none of `validation` later than test starts.
    """
    limits = split_limits(split, as_of)
    is_train = (predicted_at < limits["train_end"]) & (label_at <= limits["validation_start"])
    in_validation = (predicted_at >= limits["validation_start"]) & (predicted_at < limits["validation_end"])
    is_validation = in_validation & (label_at <= limits["test_start"])
    is_test = (predicted_at >= limits["test_start"]) & (predicted_at < limits["test_end"])
    chosen = np.select([is_train, is_validation, is_test], list(ROLES), default=_GAP)
    return pd.Series(chosen, index=predicted_at.index, name="role")


def model_features(problem: Problem) -> tuple[Feature, ...]:
    """Return the model's inputs in its order: request features as in the contract, then the views' by view and name."""
    requested = [
        Feature(name, feature_kind(problem, name), "request", feature.description, feature.unit)
        for name, feature in problem.features.request.items()
        if feature.used_by_model
    ]
    return (*requested, *[feature for view in declared_views(problem) for feature in view.features])


def add_features(problem: Problem, examples: pd.DataFrame, features_uri: str) -> pd.DataFrame:
    """Put the request features, and those of the views as known at `predicted_at`, beside the examples."""
    return make_frame(pa.concat_tables(join_pieces(problem, examples, features_uri)))


def join_pieces(problem: Problem, examples: pd.DataFrame, features_uri: str) -> Iterator[pa.Table]:
    """Yield the rows of `add_features` piece by piece: memory grows with the examples, not with their features.

    Yields:
        The next rows in order; a request feature named like a request column takes its place.
    """
    requested = request_table(problem, examples)
    known = examples.assign(**{str(name): requested[name] for name in requested})
    keys = dict.fromkeys(key for view in declared_views(problem) for key in view.keys)
    entities = known[list(keys)].assign(event_timestamp=known["predicted_at"])
    # Of the whole, so that a piece without any value of a column has the column's type.
    table = pa.Table.from_pandas(known, preserve_index=False)
    with open_scratch_store(problem, features_uri) as store:
        for start in range(0, max(len(known), 1), _PIECE_ROWS):
            piece = table.slice(start, _PIECE_ROWS)
            joined = join_features(store, problem, entities.iloc[start : start + _PIECE_ROWS])
            names = [*piece.column_names, *joined.column_names]
            yield pa.Table.from_arrays([*piece.columns, *joined.columns], names)


def _faults(task: Task, examples: pd.DataFrame, roles: "pd.Series[str]") -> Iterator[str]:
    problem = task.problem
    key = problem.examples.key
    doubled = examples.duplicated(key)
    if doubled.any():
        first = examples.loc[doubled, key].iloc[0].to_dict()
        yield f"({', '.join(key)}) must be unique, but got {doubled.sum():,} rows again, first {first}. Run `validate`."
    target = examples[problem.target.name]
    if target.isna().any():
        yield f"target `{problem.target.name}` must be known, but is NULL in {target.isna().sum():,} rows."
    for role in ROLES:
        found = target[roles == role]
        if len(found) < problem.split.minimum_rows:
            yield (
                f"{role} must have at least {problem.split.minimum_rows:,} rows, but got {len(found):,}. "
                "Choose a later as_of or shorter roles in `split`."
            )
        else:
            yield from (f"{role} {fault}" for fault in task.find_outcome_faults(found.to_numpy(dtype=np.float64)))


def _write_roles(roles: "pd.Series[str]", pieces: Iterable[pa.Table], places: Mapping[Role, Path]) -> str:
    """Write each role's rows and return their digest: pieces come in order of time, as roles do."""
    digest = hashlib.sha256()
    start = 0
    with ExitStack() as stack:
        writers = {role: stack.enter_context(open_table_writer(place)) for role, place in places.items()}
        for piece in pieces:
            own = roles.iloc[start : start + len(piece)]
            start += len(piece)
            for role, write_rows in writers.items():
                chosen = piece.filter(pa.array(own == role))
                if len(chosen):
                    digest.update(pd.util.hash_pandas_object(make_frame(chosen), index=False).to_numpy().tobytes())
                    write_rows(chosen.drop_columns("row_hash"))
    return digest.hexdigest()
