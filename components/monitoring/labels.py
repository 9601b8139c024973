"""Keep the ledger of delayed labels, and join the newest known ones to predictions.

In: accepted sources as of a time, the predictions of windows. Out: the ledger in the object store,
`<problem>/labels/<as_of>.parquet`, and labels beside predictions. Called by the monitor.

The ledger is append-only: each run adds the labels that are new or have changed at its `as_of`, if they belong to a
prediction of its windows. Earlier files never change, so that any window can be scored again with what was known then.
A file depends on earlier ones alone: written again, or late, it holds the same bytes.

Notation
    key        columns of the contract's `examples.key`
    version    1 for the first label of a key, one more for each change
    known      label_at <= as_of in the sources, recorded_at <= as_of in the ledger
"""

import logging
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from components.base.adapters.duckdb import connect_duckdb, explain_duckdb_errors, quote_name, quote_text
from components.base.adapters.s3 import ObjectStore
from components.base.contract.problem import Problem
from components.base.errors import DataError, raise_faults
from components.base.tables import write_table
from components.base.task import Task
from components.monitoring.predictions import MEMORY_LIMIT, Predictions
from components.serving.prediction_log.schema import COLUMN_TYPES, TIMESTAMP

log = logging.getLogger(__name__)
# Type of the label where there is none; else it is that of the task's SQL.
_EMPTY_LABEL = pa.int8()
_FILE_TIME = "%Y-%m-%dT%H%M%SZ"
_RECORDED = {"label_at": TIMESTAMP, "recorded_at": TIMESTAMP, "version": pa.int32()}


def update_labels(
    task: Task, accepted: Path, predictions: Sequence[Predictions], as_of: datetime, store: ObjectStore
) -> int:
    """Append the labels of the predictions that are new or changed at `as_of`; return their number.

    Args:
        task: The task; its contract has the key, its SQL the label.
        accepted: Folder with one parquet a source.
        predictions: The windows whose labels are recorded.
        as_of: UTC.
        store: Holds the ledger.

    Raises:
        DataError: a key column is no request column, so that labels cannot find their prediction.
    """
    problem = task.problem
    raise_faults(DataError, f"labels {problem.name}", _find_key_faults(problem))
    before = read_labels(problem, store, as_of, min(one.window.start for one in predictions), has_own=False)
    windows = ", ".join(quote_text(str(one.path)) for one in predictions)
    keys = _names(problem.examples.key)
    query = f"""
        WITH predicted AS (SELECT DISTINCT {keys} FROM read_parquet([{windows}], union_by_name = true)),
        known AS ({_select_examples(task, accepted)})
        SELECT {keys}, known.label, known.label_at, $as_of AS recorded_at,
            CAST(coalesce(before.version, 0) + 1 AS INTEGER) AS version
        FROM known SEMI JOIN predicted USING ({keys}) LEFT JOIN before USING ({keys})
        WHERE known.label IS NOT NULL AND known.label IS DISTINCT FROM before.label
        ORDER BY {keys}
    """  # noqa: S608 - names and expressions come from the checked contract
    with explain_duckdb_errors(f"labels {problem.examples.source}"), connect_duckdb(MEMORY_LIMIT) as connection:
        connection.register("before", before)
        found = connection.execute(query, {"as_of": as_of}).to_arrow_table()
    found = found.cast(_schema(problem, found.schema.field("label").type))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.parquet"
        write_table(found, path)
        store.put_file(f"{_prefix(problem)}{as_of.astimezone(UTC):{_FILE_TIME}}.parquet", path)
    log.info("labels: %s new or changed as of %s", f"{found.num_rows:,}", as_of.isoformat())
    return int(found.num_rows)


def read_labels(
    problem: Problem, store: ObjectStore, as_of: datetime, since: datetime | None = None, has_own: bool = True
) -> pa.Table:
    """Read the newest label of each key that was known at a time.

    Args:
        problem: The contract.
        store: Holds the ledger.
        as_of: UTC; labels that were recorded later are left out.
        since: Leaves out labels that were recorded earlier: no label comes before its prediction.
        has_own: Whether the labels that were recorded at `as_of` itself are read.

    Returns:
        (n, columns): key, `label`, `label_at`, `recorded_at`, `version`, and `is_changed`: whether the key has had
        another label before.
    """
    # Files are named by whole seconds.
    last = as_of.replace(microsecond=0)
    keys = [found.key for found in store.list_objects(_prefix(problem)) if found.key.endswith(".parquet")]
    times = [datetime.strptime(Path(key).stem, _FILE_TIME).replace(tzinfo=UTC) for key in keys]
    uris = [
        store.uri(key)
        for key, recorded_at in zip(keys, times, strict=True)
        if (recorded_at < last or (has_own and recorded_at == last)) and (since is None or recorded_at >= since)
    ]
    if not uris:
        return _schema(problem).append(pa.field("is_changed", pa.bool_())).empty_table()
    key = _names(problem.examples.key)
    query = f"""
        SELECT *, count(DISTINCT label) OVER (PARTITION BY {key}) > 1 AS is_changed
        FROM read_parquet([{", ".join(map(quote_text, uris))}], hive_partitioning = false)
        QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY recorded_at DESC) = 1
    """  # noqa: S608 - names come from the checked contract, URIs from the store
    with explain_duckdb_errors(f"labels {problem.name}"), connect_duckdb(MEMORY_LIMIT) as connection:
        found: pa.Table = connection.execute(query).to_arrow_table()
    return found


def join_labels(problem: Problem, predictions: Predictions, labels: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Return columns of all predictions, in order, with `label`, `label_at` (null where unknown), `is_changed`."""
    keys = problem.examples.key
    equal = " AND ".join(f"p.{quote_name(key)} = l.{quote_name(key)}" for key in keys)
    query = f"""
        SELECT {", ".join(f"p.{quote_name(name)}" for name in columns)},
            l.label, l.label_at, coalesce(l.is_changed, false) AS is_changed
        FROM read_parquet({quote_text(str(predictions.path))}, file_row_number = true) AS p
        LEFT JOIN labels AS l ON {equal} ORDER BY p.file_row_number
    """  # noqa: S608 - names come from the log and the checked contract
    with explain_duckdb_errors(f"labels {problem.name}"), connect_duckdb(MEMORY_LIMIT) as connection:
        connection.register("labels", labels)
        joined: pa.Table = connection.execute(query).to_arrow_table()
    return joined


def count_labels(task: Task, accepted: Path, since: datetime, as_of: datetime) -> int:
    """Count the examples, predicted or not, whose label came after `since` and by `as_of`."""
    query = f"SELECT count(*) FROM ({_select_examples(task, accepted)}) WHERE label_at > $since"  # noqa: S608
    source = task.problem.examples.source
    with explain_duckdb_errors(f"labels {source}"), connect_duckdb(MEMORY_LIMIT) as connection:
        (count,) = connection.execute(query, {"as_of": as_of, "since": since}).fetchone() or (0,)
        return int(count)


def _find_key_faults(problem: Problem) -> list[str]:
    return [
        f"key column `{name}` must be one of `examples.request`, but is not. Let the caller send it."
        for name in problem.examples.key
        if name not in problem.examples.request
    ]


def _select_examples(task: Task, accepted: Path) -> str:
    """Build the query of key, label and time of the label of the examples that are known at `$as_of`."""
    spec = task.problem.examples
    return f"""
        SELECT {_names(spec.key)}, {task.outcome_sql()} AS label, {quote_name(spec.label_at)} AS label_at
        FROM read_parquet({quote_text(str(accepted / f"{spec.source}.parquet"))})
        WHERE {quote_name(spec.label_at)} <= $as_of AND {task.outcome_sql()} IS NOT NULL
    """  # noqa: S608 - names and expression come from the checked contract


def _prefix(problem: Problem) -> str:
    return f"{problem.name}/labels/"


def _names(columns: Sequence[str]) -> str:
    return ", ".join(map(quote_name, columns))


def _schema(problem: Problem, label: pa.DataType = _EMPTY_LABEL) -> pa.Schema:
    types = problem.sources[problem.examples.source].columns
    keys = [(name, COLUMN_TYPES[types[name].type]) for name in problem.examples.key]
    return pa.schema([*keys, ("label", label), *_RECORDED.items()])
