"""The Spark session of this process, and what runs in its workers.

In: data frames, and places of parquet files. Out: the same. Called by `spark.py` alone.

All cores of this machine are Spark, on loopback. What the functions that begin with `_run` return is sent to the
workers, Python processes with this package installed; they reach `s3://` with DuckDB and the driver's credentials.
"""

import importlib.util
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from components.base.adapters.duckdb import connect_duckdb, quote_name, quote_text
from components.base.adapters.spark_sql import SPARK_TYPES, WorkerFunction
from components.base.errors import PermanentError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Rows that one worker reads at once from a file on S3: enough that the start of a task does not count.
_TASK_ROWS = 500_000
_BATCH_ROWS = 20_000
_OPTIONS = {
    # Times are UTC everywhere, as in DuckDB's sessions.
    "spark.sql.session.timeZone": "UTC",
    # An overflow is an error, as it is for DuckDB, and no other number.
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(_BATCH_ROWS),
    # It plans anew after each shuffle, which on one machine costs more than it saves.
    "spark.sql.adaptive.enabled": "false",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    # Beyond it Spark spills to disk.
    "spark.driver.memory": "3g",
}


@cache
def open_session() -> "SparkSession":
    """Start Spark, or return the session of this process.

    Raises:
        PermanentError: pyspark or Java is missing.
    """
    _check_installation()
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

    # Workers must be the Python that has this package.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    scratch = tempfile.gettempdir()
    # Of few cores, more partitions than cores are only more tasks.
    options = _OPTIONS | {"spark.sql.shuffle.partitions": str(os.cpu_count()), "spark.local.dir": scratch}
    configuration = SparkConf().setMaster("local[*]").setAppName("tidemill").setAll(list(options.items()))
    configuration.set("spark.sql.warehouse.dir", f"{scratch}/spark-warehouse")
    session = SparkSession.builder.config(conf=configuration).getOrCreate()
    # Its errors come as exceptions; it would print each a second time, with the whole stack of Java.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    return session


def _check_installation() -> None:
    home = os.environ.get("JAVA_HOME")
    if importlib.util.find_spec("pyspark") is None or not (home or shutil.which("java")):
        raise PermanentError(
            "data.engine: pyspark and Java 17 or 21 must be on this machine for `spark`, but one is missing. "
            "Run `make spark` and `apt-get install openjdk-17-jre-headless`, or write `data: {engine: duckdb}`."
        )


def read_files(plans: duckdb.DuckDBPyConnection, paths: Sequence[str], call: str) -> "DataFrame":
    """Return the rows of parquet files in the columns that DuckDB gives them.

    Args:
        plans: Sees the same files.
        paths: Local, or `s3://`; a folder is a glob.
        call: DuckDB's `read_parquet(…)` of these files.
    """
    session = open_session()
    columns = [(str(row[0]), str(row[1])) for row in plans.execute(f"DESCRIBE FROM {call}").fetchall()]
    is_numbered = any(name == "file_row_number" for name, _ in columns)
    if not is_numbered and not any("://" in path for path in paths):
        rows = session.read.option("mergeSchema", "true" if len(paths) > 1 else "false").parquet(*paths)
        return rows.select(*(f"`{name}`" for name, _ in columns))
    tasks = [task for path in paths for task in _list_tasks(plans, path, columns)]
    schema = plans.execute(f"FROM {call} LIMIT 0").to_arrow_table().schema
    listed = session.sparkContext.parallelize([(task,) for task in tasks], max(len(tasks), 1))
    return session.createDataFrame(listed, "query STRING").mapInArrow(
        _run_queries(_aws_environment()), _spark_schema(schema)
    )


def _list_tasks(plans: duckdb.DuckDBPyConnection, pattern: str, columns: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield the queries that read the files of a pattern, each some of its rows."""
    for path, rows in plans.execute(
        f"SELECT file_name, num_rows FROM parquet_file_metadata({quote_text(pattern)})"  # noqa: S608
    ).fetchall():
        file = f"read_parquet({quote_text(path)}, file_row_number = true)"
        held = {str(row[0]) for row in plans.execute(f"DESCRIBE FROM {file}").fetchall()}
        chosen = [quote_name(name) if name in held else f"NULL::{kind} AS {quote_name(name)}" for name, kind in columns]
        for first in range(0, rows, _TASK_ROWS):
            limits = f"file_row_number BETWEEN {first} AND {first + _TASK_ROWS - 1}"
            yield f"SELECT {', '.join(chosen)} FROM {file} WHERE {limits}"  # noqa: S608


def write_parts(frame: "DataFrame", folder: Path) -> list[str]:
    """Write rows as parquet into a new folder; return its files in the order of the rows."""
    frame.write.parquet(str(folder), compression="zstd")
    return sorted(str(part) for part in folder.glob("part-*.parquet"))


def register_function(function: WorkerFunction) -> None:
    """Make a function callable in the SQL of this process's session."""
    from pyspark.sql.functions import arrow_udf

    kind = SPARK_TYPES[function.kind]
    open_session().udf.register(function.name, arrow_udf(_run_expression(function.sql), kind))


def _aws_environment() -> dict[str, str]:
    """Return how this process reaches S3: workers may have been started before it was set."""
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


def _spark_schema(schema: pa.Schema) -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


def _run_queries(environment: dict[str, str]) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        os.environ.update(environment)
        with connect_duckdb(threads=1) as connection:
            for batch in batches:
                for query in batch.column(0).to_pylist():
                    yield from connection.sql(query).to_arrow_reader(_BATCH_ROWS)

    return read


def _run_expression(sql: str) -> Callable[..., pa.Array]:
    def compute(*columns: pa.Array) -> pa.Array:
        connection = _worker_connection()
        rows = pa.table({f"a{place}": column for place, column in enumerate(columns)})
        connection.register("rows", rows)
        values = connection.sql(f"SELECT {sql} AS value FROM rows").to_arrow_table()["value"]  # noqa: S608
        return values.combine_chunks()

    return compute


@cache
def _worker_connection() -> duckdb.DuckDBPyConnection:
    """Open the DuckDB of a worker once: it computes batch after batch."""
    return connect_duckdb(threads=1)
