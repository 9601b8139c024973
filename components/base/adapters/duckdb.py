"""Open DuckDB connections that read and write parquet, locally and on S3, without touching the internet.

In: limits, and the standard AWS variables of the environment. Out: an in-memory database in UTC whose
`s3://` paths work. Called by ingest (data phase) and by the offline store (features phase). It lists and
deletes nothing: that is the object store adapter's.

Environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_ENDPOINT_URL_S3 (else
AWS_ENDPOINT_URL), AWS_DEFAULT_REGION (else AWS_REGION). No endpoint means AWS itself.
"""

import importlib.util
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa

from components.base.contract.types import ColumnType
from components.base.engine import EngineName
from components.base.errors import (
    DataError,
    ObjectMissingError,
    PermanentError,
    SettingsError,
    StoreAccessError,
    StoreUnavailableError,
    TidemillError,
)

_OFFSET = r"( ?(Z|UTC|[+-]\d{2}(:?\d{2}(:?\d{2})?)?))?"
_TIME = rf"^\s*\d{{4}}[-/]\d{{1,2}}[-/]\d{{1,2}}([T ]+\d{{1,2}}:\d{{2}}(:\d{{2}}(\.\d+)?)?{_OFFSET})?\s*$"


SQL_TYPES: dict[ColumnType, str] = {
    "string": "VARCHAR",
    "int": "BIGINT",
    "float": "DOUBLE",
    "bool": "BOOLEAN",
    "timestamp": "TIMESTAMPTZ",
}
"""The types of a contract's columns."""


def connect_duckdb(memory_limit: str | None = None, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """Open an in-memory database that reads `s3://` with the credentials of the environment.

    Args:
        memory_limit: such as "2GB"; beyond it DuckDB spills to the temporary folder. None means DuckDB's own
            limit, 80 % of the memory.
        threads: None means one a core.

    Raises:
        PermanentError: the httpfs extension for the installed DuckDB is missing.
        SettingsError: the S3 endpoint is no http(s) URL.
    """
    settings = {
        # Both would download from the internet at the first s3:// path.
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        # DuckDB's default is `.tmp` in the working directory, and two databases must not share one.
        "temp_directory": str(Path(tempfile.gettempdir()) / f"duckdb-{uuid.uuid4().hex}"),
    }
    if memory_limit is not None:
        settings["memory_limit"] = memory_limit
    if threads is not None:
        settings["threads"] = str(threads)
    connection = duckdb.connect(config=settings)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    connection.execute(f"LOAD {quote_text(str(_find_httpfs()))}")
    connection.execute(_secret_statement())
    return connection


def connect_empty() -> duckdb.DuckDBPyConnection:
    """Open an in-memory database in UTC that reads no file: for statements that are only bound."""
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


class DuckDBEngine:
    """Tables and statements of one step in this process."""

    name: EngineName = "duckdb"

    def __init__(self, memory_limit: str | None = None, threads: int | None = None) -> None:
        """Open an engine without tables; the limits are those of `connect_duckdb`."""
        self.connection = connect_duckdb(memory_limit, threads)
        # Where DuckDB guesses that a side of an ASOF join is small, it loops over all pairs. When the guess is wrong,
        # that takes 20 s instead of 0.3 s for 18,000 flights.
        self.connection.execute("SET asof_loop_join_threshold = 0")

    def execute(self, statement: str) -> "DuckDBEngine":
        """Run one statement; the errors are DuckDB's."""
        self.connection.execute(statement)
        return self

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows of the last statement."""
        rows: list[tuple[Any, ...]] = self.connection.fetchall()
        return rows

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the first row of the last statement."""
        row: tuple[Any, ...] | None = self.connection.fetchone()
        return row

    def add_table(self, name: str, table: pa.Table) -> None:
        """Copy a table of this process: DuckDB plans for one row when it scans Arrow, and then loops over all pairs."""
        self.connection.register("arrow_rows", table)
        self.connection.execute(f"CREATE TABLE {quote_name(name)} AS FROM arrow_rows")
        self.connection.unregister("arrow_rows")

    def stream(self, query: str, batch_rows: int) -> pa.RecordBatchReader:
        """Run a query and read its rows in batches of this size."""
        return self.connection.cursor().sql(query).to_arrow_reader(batch_rows)

    def close(self) -> None:
        """Drop all tables."""
        self.connection.close()


def quote_text(text: str) -> str:
    """Write a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """Write the name of a column or a table as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def only_times(text: str) -> str:
    """Return SQL of a text that is a time in the form of ISO 8601, with an offset, Z, or without both; else of NULL.

    DuckDB also reads the name of a zone, and keeps it for the texts without one that follow: one "... EST" moves two
    thousand rows by five hours. It must not see such a text.
    """
    return f"CASE WHEN regexp_matches({text}, {quote_text(_TIME)}) THEN {text} END"


@contextmanager
def explain_duckdb_errors(where: str) -> Iterator[None]:
    """Turn DuckDB's errors into ours, which are permanent or transient.

    Raises:
        StoreUnavailableError: the object store does not answer, or answers with 5xx.
        StoreAccessError: it refuses the credentials.
        ObjectMissingError: no file is at the path.
        DataError: anything else, such as a missing column or a damaged file.
    """
    try:
        yield
    except duckdb.Error as error:
        raise _error_kind(error)(
            f"{where}: DuckDB must be able to read and join the tables, but got {error}"
        ) from error


def _error_kind(error: duckdb.Error) -> type[TidemillError]:
    status = getattr(error, "status_code", None)
    if status in {401, 403}:
        return StoreAccessError
    if status == 404 or "No files found" in str(error):
        return ObjectMissingError
    if (status is not None and status >= 500) or "Could not connect" in str(error):
        return StoreUnavailableError
    return DataError


def _find_httpfs() -> Path:
    """Locate the extension file; the wheel `duckdb-extension-httpfs` holds it for one DuckDB version."""
    version = f"v{duckdb.__version__}"
    spec = importlib.util.find_spec("duckdb_extension_httpfs")
    folders = [] if spec is None else [Path(folder) for folder in spec.submodule_search_locations or []]
    for folder in folders:
        extension = folder / "extensions" / version / "httpfs.duckdb_extension"
        if extension.is_file():
            return extension
    raise PermanentError(
        f"duckdb: the package duckdb-extension-httpfs must hold the extension for {version}, "
        f"but got folders={[str(folder) for folder in folders]}. "
        f"Install duckdb-extension-httpfs=={duckdb.__version__}."
    )


def _secret_statement() -> str:
    options = {
        "KEY_ID": os.environ.get("AWS_ACCESS_KEY_ID"),
        "SECRET": os.environ.get("AWS_SECRET_ACCESS_KEY"),
        "SESSION_TOKEN": os.environ.get("AWS_SESSION_TOKEN"),
        "REGION": os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION"),
    }
    url = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if url:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise SettingsError(
                f"duckdb: the S3 endpoint must be an http(s) URL, but got AWS_ENDPOINT_URL_S3={url!r}. "
                "Write it with its scheme, such as http://127.0.0.1:8333."
            )
        use_ssl = "true" if parts.scheme == "https" else "false"
        # Endpoints other than AWS rarely have a DNS name for each bucket.
        options |= {"ENDPOINT": parts.netloc, "USE_SSL": use_ssl, "URL_STYLE": "path"}
    given = [f"{name} {quote_text(value)}" for name, value in options.items() if value]
    return f"CREATE SECRET object_store ({', '.join(['TYPE s3', *given])})"
