"""What runs the SQL of the data steps: DuckDB in this process, or Spark.

In: the name of an engine, from the contract. Out: an `Engine`, which takes DuckDB's dialect whatever runs it, so that
every statement is written once. Called by ingest, validate, build and the point-in-time join. Both engines give the
same rows; `docs/decisions.md` says when which is worth it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import pyarrow as pa

EngineName = Literal["duckdb", "spark"]


class Engine(Protocol):
    """Tables by name, and SQL over them. Statements are CREATE, INSERT, COPY, DESCRIBE, SET and queries."""

    name: EngineName

    def execute(self, statement: str) -> "Engine":
        """Run one statement; `fetchall` and `fetchone` return its rows.

        Raises:
            DataError: the statement or the tables are at fault.
        """
        ...

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows of the last statement: numbers, texts, aware times in UTC."""
        ...

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the first row of the last statement."""
        ...

    def add_table(self, name: str, table: pa.Table) -> None:
        """Make a table of this process readable under a name."""
        ...

    def stream(self, query: str, batch_rows: int) -> pa.RecordBatchReader:
        """Run a query and read its rows in batches of this size, the last one smaller."""
        ...

    def close(self) -> None:
        """Drop all tables."""
        ...


def open_engine(name: EngineName, memory_limit: str | None = None, threads: int | None = None) -> Engine:
    """Open an engine without tables.

    Args:
        name: Of the engine.
        memory_limit: DuckDB's, such as "2GB"; Spark's is set where Spark is started.
        threads: DuckDB's; None means one a core.

    Raises:
        PermanentError: Spark is required and not installed.
    """
    if name == "spark":
        from components.base.adapters.spark import SparkEngine

        return SparkEngine()
    from components.base.adapters.duckdb import DuckDBEngine

    return DuckDBEngine(memory_limit, threads)


@contextmanager
def using_engine(name: EngineName, memory_limit: str | None = None) -> Iterator[Engine]:
    """Open an engine for the length of a block."""
    engine = open_engine(name, memory_limit)
    try:
        yield engine
    finally:
        engine.close()


def order_of(engine: Engine, columns: Sequence[str]) -> str:
    """Return what keeps rows in an order that they have when they are read: nothing for DuckDB, a sort for Spark.

    Args:
        engine: Runs the query.
        columns: SQL that sorts the rows as they lie in their files.
    """
    return f" ORDER BY {', '.join(columns)}" if engine.name == "spark" else ""
