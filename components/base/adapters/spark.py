"""Run DuckDB's SQL on Spark: the same statements over the same tables give the same rows.

In: statements in DuckDB's dialect. Out: their rows, or parquet files as DuckDB writes them. Called through
`base/engine.py`; only this module imports pyspark, which is the extra `spark` and needs Java 17 or 21.

Every statement is planned by DuckDB first, over empty tables: it finds the faults in the same words for both engines
and says the type of each column. Spark computes the rows (`spark_sql.py` translates). What leaves Spark goes through
parts in a scratch folder, which DuckDB joins into one file. DuckDB also reads `s3://`, in Spark's workers.
"""

# ruff: noqa: S608 - names come from parsed statements and are quoted

import hashlib
import tempfile
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlglot
from sqlglot import exp

from components.base.adapters.duckdb import connect_duckdb, quote_name, quote_text
from components.base.adapters.spark_session import open_session, read_files, register_function, write_parts
from components.base.adapters.spark_sql import SPARK_TYPES, translate
from components.base.engine import EngineName
from components.base.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = "TIMESTAMP WITH TIME ZONE"


class SparkEngine:
    """Tables and statements of one step on the Spark session of this process."""

    name: EngineName = "spark"

    def __init__(self) -> None:
        """Open an engine without tables."""
        self._session = open_session()
        # Finds faults and types, and joins parts; one thread keeps the order of rows.
        self._plans = connect_duckdb(threads=1)
        self._folder = tempfile.TemporaryDirectory(prefix="spark-")
        self._tables: dict[str, DataFrame] = {}
        self._kept: list[DataFrame] = []
        self._rows: list[tuple[Any, ...]] = []

    def execute(self, statement: str) -> "SparkEngine":
        """Run one statement in DuckDB's dialect; DuckDB's own errors name what is wrong with it."""
        self._rows = []
        tree = sqlglot.parse_one(statement, read="duckdb")
        self._name_files(tree)
        if isinstance(tree, exp.Create):
            self._create(tree)
        elif isinstance(tree, exp.Insert):
            self._insert(tree)
        elif isinstance(tree, exp.Copy):
            self._copy(tree)
        elif isinstance(tree, exp.Query):
            self._rows = self._collect(tree)
        elif isinstance(tree, exp.Describe):
            self._rows = self._plans.execute(statement).fetchall()
        elif not isinstance(tree, exp.Set):
            raise DataError(
                f"spark: a statement must be a query, CREATE, INSERT, COPY or DESCRIBE, but got {statement}."
            )
        return self

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows of the last statement."""
        return self._rows

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the first row of the last statement."""
        return self._rows[0] if self._rows else None

    def add_table(self, name: str, table: pa.Table) -> None:
        """Make a table of this process readable under a name."""
        rows = table.slice(0, 0)  # noqa: F841 - DuckDB reads it by its name
        self._plans.execute(f"CREATE OR REPLACE TEMP TABLE {quote_name(name)} AS FROM rows")
        self._keep(name, self._session.createDataFrame(table))

    def stream(self, query: str, batch_rows: int) -> pa.RecordBatchReader:
        """Run a query and read its rows in batches of this size."""
        tree = sqlglot.parse_one(query, read="duckdb")
        self._name_files(tree)
        return self._plans.cursor().sql(self._write(tree)).to_arrow_reader(batch_rows)

    def close(self) -> None:
        """Drop all tables; the session stays for the next engine of this process."""
        for kept in self._kept:
            kept.unpersist()
        for name in self._tables:
            self._session.catalog.dropTempView(name)
        self._plans.close()
        self._folder.cleanup()

    def _name_files(self, tree: exp.Expr) -> None:
        """Put a table of empty rows for DuckDB, and one of all rows for Spark, in the place of each `read_parquet`."""
        for table in list(tree.find_all(exp.Table)):
            if not isinstance(table.this, exp.ReadParquet):
                continue
            call = table.this.sql(dialect="duckdb")
            paths = [path.name for path in table.this.expressions[0].find_all(exp.Literal)]
            name = f"_files_{hashlib.sha256(call.encode()).hexdigest()[:16]}"
            if name not in self._tables:
                self._plans.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM {call} LIMIT 0")
                self._keep(name, read_files(self._plans, paths, call))
            table.set("this", exp.to_identifier(name))

    def _create(self, tree: exp.Create) -> None:
        query, name = tree.expression, tree.this.name
        frame = self._plan(query)
        self._plans.execute(f"CREATE OR REPLACE TEMP TABLE {quote_name(name)} AS {query.sql(dialect='duckdb')}")
        self._keep(name, frame, is_table=tree.kind == "TABLE")

    def _insert(self, tree: exp.Insert) -> None:
        name = tree.this.name
        self._plans.execute(tree.sql(dialect="duckdb"))
        self._keep(name, self._tables[name].union(self._plan(tree.expression)), is_table=True)

    def _copy(self, tree: exp.Copy) -> None:
        query = tree.this.this if isinstance(tree.this, exp.Subquery) else exp.select("*").from_(tree.this)
        place = quote_text(tree.args["files"][0].name)
        gathered = self._write(query)
        # A table of DuckDB is written the same way whatever the rows came in.
        self._plans.execute(f"CREATE OR REPLACE TEMP TABLE _gathered AS {gathered}")
        copied = self._plans.execute(f"COPY _gathered TO {place} (FORMAT parquet, COMPRESSION zstd)")
        self._rows = copied.fetchall()
        self._plans.execute("DROP TABLE _gathered")

    def _keep(self, name: str, frame: "DataFrame", is_table: bool = False) -> None:
        if is_table:
            frame = frame.persist()
            self._kept.append(frame)
        frame.createOrReplaceTempView(name)
        self._tables[name] = frame

    def _types(self, query: exp.Expr) -> list[tuple[str, str]]:
        """Return name and type of each column, as DuckDB plans the query."""
        described = self._plans.execute(f"DESCRIBE {query.sql(dialect='duckdb')}").fetchall()
        return [(str(row[0]), str(row[1])) for row in described]

    def _plan(self, query: exp.Expr) -> "DataFrame":
        """Return the rows that Spark will compute, in the types that DuckDB gives them."""
        types = self._types(query)
        text, functions = translate(query)
        for function in functions:
            register_function(function)
        frame = self._run(text)
        # By place: two columns of a query may have one name.
        numbered = frame.toDF(*(f"_{place}" for place in range(len(types))))
        return numbered.selectExpr(
            *(
                f"CAST(_{place} AS {SPARK_TYPES[kind]}) AS `{name}`" if kind in SPARK_TYPES else f"_{place} AS `{name}`"
                for place, (name, kind) in enumerate(types)
            )
        )

    def _run(self, text: str) -> "DataFrame":
        from pyspark.errors import PySparkException

        try:
            return self._session.sql(text)
        except PySparkException as error:
            raise DataError(f"spark: the SQL must have a meaning for Spark, but got {error}") from error

    def _collect(self, query: exp.Expr) -> list[tuple[Any, ...]]:
        kinds = [kind for _, kind in self._types(query)]
        numbered = self._plan(query).toDF(*(f"_{place}" for place in range(len(kinds))))
        values = numbered.selectExpr(
            *(f"unix_micros(_{place})" if kind == _TIME else f"_{place}" for place, kind in enumerate(kinds))
        )
        return [
            tuple(
                _EPOCH + timedelta(microseconds=value) if kind == _TIME and value is not None else value
                for kind, value in zip(kinds, row, strict=True)
            )
            for row in values.collect()
        ]

    def _write(self, query: exp.Expr) -> str:
        """Let Spark write the rows of a query in parts, in order, and return the query that reads them back."""
        types = self._types(query)
        place = Path(self._folder.name) / uuid.uuid4().hex
        numbered = self._plan(query).toDF(*(f"_{number}" for number in range(len(types))))
        parts = write_parts(numbered, place)
        columns = ", ".join(
            f"CAST(_{number} AS {kind}) AS {quote_name(name)}" for number, (name, kind) in enumerate(types)
        )
        return f"SELECT {columns} FROM read_parquet([{', '.join(map(quote_text, parts))}])"
