"""Write predicted rows as lines of a segment, and read a segment as the parquet files of the prediction log.

In: request rows with their predictions, or a segment's file. Out: lines, or one parquet file for each day of
`event_time`. Lines are made in the request and must be fast; reading leaves the interpreter to the requests, as Arrow
does it. Called by `log` and `upload`.

A line is a JSON array of the values in the order of `_line_columns`, between two zeros. Unless a text in it needed an
escape it is CSV as well (with a bracket at both ends, hence the zeros), which Arrow reads in half the time of JSON
objects, and it takes a third of their room.

A killed process may leave half a last line, a crashed machine lines of zeros: lines that cannot be read are left out
and counted, the rest is kept.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from operator import itemgetter
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from components.serving.prediction_log.schema import (
    COLUMN_TYPES,
    DECISION,
    EVENT_TIME,
    KIND_TYPES,
    LABEL_DUE_AT,
    LOGGED_AT,
    MODEL_VERSION,
    REQUEST_ID,
    ROW,
    SAMPLING_RATIO,
    TIMESTAMP,
    SegmentHeader,
    age_column,
    feature_column,
    output_column,
)
from components.serving.predictor.model import Prediction
from components.serving.predictor.requests import INSTANCE_ID, Row

logger = logging.getLogger(__name__)
# A block must hold a whole line; a line has some kilobytes.
_BLOCK_BYTES = 4 * 2**20
_SECOND = 1_000_000
_ESCAPE = re.compile(rb"\\")
# The zeros at both ends of a line.
_BEGIN, _END = "begin", "end"
# Timestamps end in Z, which Arrow reads; NaN becomes null.
_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z


@dataclass(frozen=True)
class Segment:
    """The rows of one segment."""

    header: SegmentHeader
    rows: pa.Table
    """With the schema of the header."""
    damaged: int
    """Lines that could not be read."""


class LineWriter:
    """Writes the rows of one served model as lines."""

    def __init__(self, header: SegmentHeader) -> None:
        """Take the order of the values from the header."""
        self._of_request = _getter(header.request)
        self._of_features = _getter(header.features)
        self._of_ages = _getter(header.views)

    def write(
        self, request_id: str, rows: Sequence[Row], predictions: Sequence[Prediction], logged_at: float
    ) -> list[bytes]:
        """Return one line a row; `logged_at` is in seconds since 1970 UTC."""
        logged = int(logged_at * _SECOND)
        return [
            orjson.dumps(
                (
                    0,
                    row.get(INSTANCE_ID) or request_id,
                    0 if row.get(INSTANCE_ID) else i,
                    round(prediction.looked_up.read_at * _SECOND),
                    logged,
                    *prediction.output,
                    prediction.decision,
                    *self._of_request(row),
                    *self._of_features(prediction.features),
                    *self._of_ages(prediction.looked_up.ages),
                    0,
                ),
                option=_OPTIONS,
            )
            for i, (row, prediction) in enumerate(zip(rows, predictions, strict=True))
        ]


def read_segment(path: Path) -> Segment | None:
    """Read a segment's file; None when it holds no row.

    Raises:
        DataError: rows are there, but the header cannot be read.
    """
    content = path.read_bytes()
    first, last = content.find(b"\n") + 1, content.rfind(b"\n") + 1
    if first == last:
        return None
    header = SegmentHeader.read(content[:first], str(path))
    tables, damaged = _read_lines(memoryview(content)[first:last], _line_columns(header))
    if not tables:
        return None
    table, schema = pa.concat_tables(tables), header.schema()
    times = table[EVENT_TIME]
    columns = {name: table[name] for name in table.column_names} | {
        EVENT_TIME: times.cast(TIMESTAMP),
        LOGGED_AT: table[LOGGED_AT].cast(TIMESTAMP),
        LABEL_DUE_AT: pc.add(times, round(header.label_delay_hours * 3600 * _SECOND)).cast(TIMESTAMP),
        MODEL_VERSION: pa.repeat(header.model_version, len(table)),
        SAMPLING_RATIO: pa.repeat(header.sampling_ratio, len(table)),
    }
    rows = pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)
    # What follows the last end of a line was never acknowledged.
    return Segment(header, rows, damaged + (last < len(content)))


def write_days(segment: Segment) -> Iterator[tuple[date, bytes]]:
    """Yield the parquet file of each day of UTC on which a row has its `event_time`; equal rows give equal bytes."""
    days = segment.rows[EVENT_TIME].cast(pa.date32())
    for day in sorted(pc.unique(days).to_pylist()):
        sink = pa.BufferOutputStream()
        pq.write_table(segment.rows.filter(pc.equal(days, day)), sink, compression="zstd")
        yield day, sink.getvalue().to_pybytes()


def _getter(names: Iterable[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """Return the function that gives the values of these names, in order."""
    known = tuple(names)
    # Of one name itemgetter gives the value, and of none there is no itemgetter.
    return itemgetter(*known) if len(known) > 1 else lambda values: tuple(values[name] for name in known)


def _line_columns(header: SegmentHeader) -> dict[str, pa.DataType]:
    """Return the types of the values of a line, in order; times are microseconds since 1970 UTC."""
    return {
        _BEGIN: pa.string(),
        REQUEST_ID: pa.string(),
        ROW: pa.int32(),
        EVENT_TIME: pa.int64(),
        LOGGED_AT: pa.int64(),
        **{output_column(name): pa.float64() for name in header.outputs},
        DECISION: COLUMN_TYPES[header.decision_type],
        **{name: COLUMN_TYPES[kind] for name, kind in header.request.items()},
        **{feature_column(name): KIND_TYPES[kind] for name, kind in header.features.items()},
        **{age_column(view): pa.float64() for view in header.views},
        _END: pa.string(),
    }


def _read_lines(lines: memoryview, columns: Mapping[str, pa.DataType]) -> tuple[list[pa.Table], int]:
    """Read lines, and count those that cannot be read."""
    if _ESCAPE.search(lines) is None:
        return _read_plain(pa.py_buffer(lines), columns)
    by_kind: dict[bool, list[bytes]] = {False: [], True: []}
    for line in bytes(lines).split(b"\n")[:-1]:
        by_kind[b"\\" in line].append(line + b"\n")
    plain, damaged = _read_plain(pa.py_buffer(b"".join(by_kind[False])), columns)
    escaped, damaged_escaped = _read_escaped(by_kind[True], columns)
    return plain + escaped, damaged + damaged_escaped


def _read_plain(lines: pa.Buffer, columns: Mapping[str, pa.DataType]) -> tuple[list[pa.Table], int]:
    """Read lines without escapes; where some cannot be read, halve until they are alone, and count them."""
    if not len(lines):
        return [], 0
    try:
        table = csv.read_csv(
            pa.BufferReader(lines),
            # One thread: the other core is the requests'.
            csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES, column_names=list(columns)),
            convert_options=csv.ConvertOptions(
                column_types=dict(columns),
                include_columns=[name for name in columns if name not in (_BEGIN, _END)],
                null_values=["null"],
                strings_can_be_null=True,
                # The text "null" is a text.
                quoted_strings_can_be_null=False,
            ),
        )
        return [table], 0
    except pa.ArrowInvalid as error:
        content = lines.to_pybytes()
        middle = content.find(b"\n", len(content) // 2 - 1) + 1
        if middle in (0, len(content)):
            middle = content.rfind(b"\n", 0, len(content) - 1) + 1
        if not middle:
            return [], _log_damage(content, error)
    before, damaged_before = _read_plain(lines.slice(0, middle), columns)
    after, damaged_after = _read_plain(lines.slice(middle), columns)
    return before + after, damaged_before + damaged_after


def _read_escaped(lines: list[bytes], columns: Mapping[str, pa.DataType]) -> tuple[list[pa.Table], int]:
    """Read lines as JSON, together or else one by one; count those that cannot be read."""
    if not lines:
        return [], 0
    names = [name for name in columns if name not in (_BEGIN, _END)]
    # Arrow reads a text as a time only in a cast.
    loose = {name: pa.string() if pa.types.is_timestamp(columns[name]) else columns[name] for name in names}
    try:
        rows = [dict(zip(columns, orjson.loads(line), strict=True)) for line in lines]
        arrays = [pa.array([row[name] for row in rows], loose[name]).cast(columns[name]) for name in names]
        return [pa.table(arrays, names=names)], 0
    except (ValueError, TypeError, pa.ArrowException) as error:
        if len(lines) == 1:
            return [], _log_damage(lines[0], error)
    read = [_read_escaped([line], columns) for line in lines]
    return [table for tables, _ in read for table in tables], sum(damaged for _, damaged in read)


def _log_damage(line: bytes, error: Exception) -> int:
    """Log that a line is left out; return 1, the number of such lines."""
    logger.warning("prediction log: a line cannot be read and is left out: %r (%s)", line[:100], error)
    return 1
