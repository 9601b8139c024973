"""Write, read and fingerprint tables on disk in the one form of the platform.

In: pandas or Arrow tables. Out: parquet with zstd, timestamps as UTC microseconds, no pandas index; the same table
gives the same bytes. Called by every phase. Files on S3 are DuckDB's and the object store adapter's.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from components.base.errors import DataError, suggest_name

_TIMESTAMP = pa.timestamp("us", tz="UTC")
_NULLABLE = {
    kind(): dtype()
    for kind, dtype in (
        (pa.int8, pd.Int8Dtype),
        (pa.int16, pd.Int16Dtype),
        (pa.int32, pd.Int32Dtype),
        (pa.int64, pd.Int64Dtype),
        (pa.uint8, pd.UInt8Dtype),
        (pa.uint16, pd.UInt16Dtype),
        (pa.uint32, pd.UInt32Dtype),
        (pa.uint64, pd.UInt64Dtype),
    )
}


def write_table(table: pd.DataFrame | pa.Table, path: Path | str) -> None:
    """Write a table as parquet; the file appears only when it is whole.

    Timestamps without a zone count as UTC; a DataFrame's index is not written.
    """
    with open_table_writer(path) as write:
        write(table if isinstance(table, pa.Table) else pa.Table.from_pandas(table, preserve_index=False))


@contextmanager
def open_table_writer(path: Path | str) -> Iterator[Callable[[pa.Table], None]]:
    """Yield what writes the next rows of a table, all of one schema; the file appears when the block has ended."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    with ExitStack() as stack:
        opened: list[pq.ParquetWriter] = []

        def write(rows: pa.Table) -> None:
            fields: list[Any] = [
                field.with_type(_TIMESTAMP) if pa.types.is_timestamp(field.type) else field for field in rows.schema
            ]
            in_utc = rows.cast(pa.schema(fields), safe=False).replace_schema_metadata(None)
            if not opened:
                opened.append(stack.enter_context(pq.ParquetWriter(partial, in_utc.schema, compression="zstd")))
            opened[0].write_table(in_utc)

        yield write
    partial.replace(target)


def read_table(path: Path | str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a parquet file, or the named columns of it in that order.

    Raises:
        DataError: the file is missing, damaged or lacks a column; all missing columns are named.
    """
    try:
        with pq.ParquetFile(path) as file:
            known = file.schema_arrow.names
            if missing := [name for name in columns or [] if name not in known]:
                hints = "".join(suggest_name(name, known) for name in missing)
                raise DataError(
                    f"{Path(path).name}: every wanted column must be there, but {', '.join(missing)} is not.{hints}"
                )
            table = file.read(columns=list(columns) if columns is not None else None)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"{Path(path).name}: the file must be whole parquet, but got {error}. Write it again."
        ) from error
    return make_frame(table.select(columns) if columns is not None else table)


def make_frame(table: pa.Table, **options: Any) -> pd.DataFrame:
    """Make a DataFrame of an Arrow table; whole numbers of which one is missing stay whole, as Int64.

    Pandas would make floats of them: 4 would have the text '4.0', and what is beyond 2^53 another value.

    Args:
        table: (n, columns).
        options: Of `pyarrow.Table.to_pandas`.
    """
    gaps = [
        place
        for place, column in enumerate(table.itercolumns())
        if pa.types.is_integer(column.type) and column.null_count
    ]
    whole = {place: table.column(place).to_pandas(types_mapper=_NULLABLE.get) for place in gaps}
    names = table.column_names
    frame: pd.DataFrame = table.select([name for name in range(len(names)) if name not in whole]).to_pandas(**options)
    for place, values in whole.items():
        frame.insert(place, names[place], values.array)
    return frame


def fingerprint_file(path: Path | str) -> str:
    """Return the SHA-256 over the content of a file, which is never whole in memory."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint_files(paths: Iterable[Path | str], texts: Mapping[str, str] | None = None) -> str:
    """Return the SHA-256 over the names and contents of files, whatever their order and folder.

    Args:
        paths: Files on disk.
        texts: By name: files that are not on disk.
    """
    contents = [(name, hashlib.sha256(text.encode()).digest()) for name, text in (texts or {}).items()]
    contents += [(path.name, bytes.fromhex(fingerprint_file(path))) for path in map(Path, paths)]
    digest = hashlib.sha256()
    for name, content in sorted(contents):
        digest.update(name.encode() + b"\0" + content)
    return digest.hexdigest()
