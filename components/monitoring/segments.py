"""Copy segments of the prediction log to this machine: many small objects become one file a schema.

In: objects of the store and a window. Out: local parquet files. Called by `predictions`. Objects are fetched whole and
in parallel: a segment holds minutes of traffic in fifty columns, and reading parts of it costs more than the whole.
Memory is that of a few segments and one batch of rows a schema.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.base.adapters.s3 import ObjectStore, StoredObject
from components.base.errors import DataError
from components.monitoring.results import Window
from components.serving.prediction_log.schema import EVENT_TIME, upgrade_table

# Rows of one row group: fifty columns of numbers make 26 MB.
GROUP_ROWS = 65_536
# Most of the time is spent waiting for the store; more threads would wait for the interpreter.
_READERS = 8
# Limits of what is fetched at once: segments, and their bytes, which are about eight times as many in memory.
_HELD = 32
_HELD_BYTES = 8 * 2**20


def copy_segments(store: ObjectStore, segments: Sequence[StoredObject], window: Window, folder: Path) -> list[Path]:
    """Copy the rows of the window, in the order of the segments, into one file for each schema; return the files.

    Raises:
        DataError: a segment is no whole parquet file.
        StoreUnavailableError: the object store does not answer.
    """
    copies: dict[str, _Copy] = {}
    read = partial(_read_segment, store, window)
    with ExitStack() as stack, ThreadPoolExecutor(_READERS) as pool:
        for table in (table for keys in _group(segments) for table in pool.map(read, keys)):
            name = str(table.schema)
            if name not in copies:
                path = folder / f"logged-{len(copies)}.parquet"
                copies[name] = _Copy(stack.enter_context(pq.ParquetWriter(path, table.schema)), path)
            copies[name].add(table)
        for copy in copies.values():
            copy.flush()
    return [copy.path for copy in copies.values()]


class _Copy:
    """One file that is written, in row groups of a good size."""

    def __init__(self, writer: pq.ParquetWriter, path: Path) -> None:
        self.path = path
        self._writer = writer
        self._held: list[pa.Table] = []

    def add(self, table: pa.Table) -> None:
        self._held.append(table)
        if sum(map(len, self._held)) >= GROUP_ROWS:
            self.flush()

    def flush(self) -> None:
        if self._held:
            self._writer.write_table(pa.concat_tables(self._held), row_group_size=GROUP_ROWS)
        self._held = []


def _group(segments: Sequence[StoredObject]) -> Iterator[list[str]]:
    """Group the keys so that each group fits in memory; a larger segment is a group of its own."""
    keys: list[str] = []
    size = 0
    for segment in segments:
        if keys and (len(keys) == _HELD or size + segment.size_bytes > _HELD_BYTES):
            yield keys
            keys, size = [], 0
        keys.append(segment.key)
        size += segment.size_bytes
    if keys:
        yield keys


def _read_segment(store: ObjectStore, window: Window, key: str) -> pa.Table:
    """Read one segment's rows of the window."""
    content = store.get_bytes(key)
    try:
        table = pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False).replace_schema_metadata(None)
        times = table[EVENT_TIME]
        end = pa.scalar(window.end, times.type)
        inside = pc.and_(pc.greater_equal(times, pa.scalar(window.start, times.type)), pc.less(times, end))
        return upgrade_table(table.filter(inside))
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        raise DataError(
            f"prediction log {key}: the segment must be whole parquet with `{EVENT_TIME}`, but got {error}. Remove it."
        ) from error
