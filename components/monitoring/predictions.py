"""Fetch the predictions of one window from the prediction log, each once, and read columns of them.

In: the segments of the log in the object store. Out: `Predictions`, one parquet file on this machine. Called by the
monitor; the log's writer, `serving/prediction_log/schema.py`, defines the columns.

The window is copied as a stream, and columns are read from the copy when they are needed: a million rows are never in
memory at once. Of rows with equal (request_id, row) and equal request columns, a request that was sent again, the first
logged counts; rows whose key came before with other content all count, and how many there are is said. Both are found
within the window only. Segments of different model versions have different columns; a column that a version
does not have is null in its rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.base.adapters.duckdb import connect_duckdb, explain_duckdb_errors, quote_name, quote_text
from components.base.adapters.s3 import ObjectStore
from components.base.errors import DataError, raise_faults, suggest_name
from components.base.tables import make_frame, write_table
from components.base.task import Task
from components.monitoring.results import Window
from components.monitoring.segments import copy_segments
from components.serving.prediction_log.schema import (
    LOGGED_AT,
    MODEL_VERSION,
    REQUEST_ID,
    ROW,
    SegmentHeader,
    day_prefix,
    output_column,
)

# DuckDB's part of the monitor's memory; beyond it sorts and joins go through the disk.
MEMORY_LIMIT = "400MB"
# Rows a batch: 50 columns of numbers make 26 MB.
BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Predictions:
    """The predictions of one window, in the order of the log."""

    path: Path
    """Parquet; repeated requests are left out."""
    window: Window
    repeated_rows: int
    """Rows that were sent again under the same key with the same content."""
    reused_keys: int = 0
    """Keys of rows that came with more than one content: a fault of the caller."""

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(pq.read_schema(self.path).names)

    @cached_property
    def rows(self) -> int:
        """Number of predictions."""
        return int(pq.read_metadata(self.path).num_rows)

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        """Read the named columns of all rows.

        Raises:
            DataError: the log lacks columns; all are named.
        """
        self._require(columns)
        return make_frame(pq.read_table(self.path, columns=list(columns)).select(list(columns)))

    def iterate(self, columns: Sequence[str], version: str | None = None) -> Iterator[pa.RecordBatch]:
        """Read the named columns in batches, of all rows or those of one model version.

        Raises:
            DataError: the log lacks columns; all are named.
        """
        self._require(columns)
        names = list(dict.fromkeys([*columns, MODEL_VERSION]))
        # With a buffer the whole window would be in memory.
        with pq.ParquetFile(self.path, pre_buffer=False) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=names):
                chosen = batch if version is None else batch.filter(pc.equal(batch[MODEL_VERSION], version))
                if len(chosen):
                    yield chosen.select(list(columns))

    def _require(self, columns: Sequence[str]) -> None:
        missing = [name for name in columns if name not in self.columns]
        faults = [f"column `{name}` must be logged, but is not.{suggest_name(name, self.columns)}" for name in missing]
        raise_faults(DataError, "prediction log", faults)


def list_output_columns(task: Task) -> list[str]:
    """Return the columns of the log that hold the output of a model, in the order of `task.output_columns`."""
    return [output_column(name) for name in task.output_columns]


def fetch_predictions(task: Task, store: ObjectStore, window: Window, folder: Path) -> Predictions:
    """Copy the predictions of a window into a folder; a window without any is an empty table.

    Raises:
        DataError: a segment is damaged.
        StoreUnavailableError: the object store does not answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "predictions.parquet"
    first, last = window.start.date(), (window.end - timedelta(microseconds=1)).date()
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    logged = [found for day in days for found in store.list_objects(day_prefix(task.problem.name, day))]
    segments = [found for found in logged if found.key.endswith(".parquet")]
    copies = copy_segments(store, segments, window, folder)
    if not copies:
        write_table(SegmentHeader.of(task, [], [], "", {}).schema().empty_table(), path)
        return Predictions(path, window, 0)
    repeated, reused = _unite_copies(copies, path, task.problem.examples.request)
    return Predictions(path, window, repeated, reused)


def _unite_copies(copies: Sequence[Path], path: Path, request: Sequence[str]) -> tuple[int, int]:
    """Make one file of the copies, the first logged row of each key and content.

    Returns:
        How many rows are left out, and how many keys came with more than one content.
    """
    # A segment from before a change of the contract may lack a request column.
    logged = {name for copy in copies for name in pq.read_schema(copy).names}
    content = ", ".join(quote_name(name) for name in request if name in logged)
    key = f'{REQUEST_ID}, "{ROW}"'
    source = f"read_parquet([{', '.join(quote_text(str(copy)) for copy in copies)}], union_by_name = true"
    identity = f"PARTITION BY {key}, hash({content}) ORDER BY {LOGGED_AT}, filename, file_row_number"
    with explain_duckdb_errors("prediction log"), connect_duckdb(MEMORY_LIMIT) as connection:
        connection.execute(
            "CREATE TABLE replays AS SELECT filename, file_row_number "  # noqa: S608 - paths of our own
            f"FROM {source}, filename = true, file_row_number = true) QUALIFY row_number() OVER ({identity}) > 1"
        )
        repeated = int(connection.table("replays").shape[0])
        contents = f"SELECT 1 FROM {source}) GROUP BY {key} HAVING count(DISTINCT hash({content})) > 1"  # noqa: S608
        reused = int(connection.sql(contents).shape[0])
        if not repeated and len(copies) == 1:
            copies[0].replace(path)
            return 0, reused
        kept = (
            f"SELECT * EXCLUDE (filename, file_row_number) FROM {source}, filename = true, file_row_number = true) "  # noqa: S608
            "ANTI JOIN replays USING (filename, file_row_number)"
        )
        connection.execute(f"COPY ({kept}) TO {quote_text(str(path))} (FORMAT parquet)")
    for copy in copies:
        copy.unlink()
    return repeated, reused
