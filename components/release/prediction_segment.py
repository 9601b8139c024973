"""Write predicted rows as lines of a segment, and read a segment as the parquet files of the prediction log.

In: request rows with their predictions, or a segment's file. Out: JSON lines, or one parquet file for each day of
`event_time`. Lines are made in the request, as fast as can be; reading leaves the interpreter to the requests, as Arrow
does it. Called by `prediction_log` and `prediction_upload`.

A killed process may leave half a last line, a crashed machine lines of nothing: what cannot be read is left out and
counted, the rest is kept.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pyarrow.parquet as pq

from components.base.errors import DataError
from components.release.prediction_schema import (
    COLUMN_TYPES,
    DECISION,
    EVENT_TIME,
    KIND_TYPES,
    LABEL_DUE_AT,
    LOGGED_AT,
    MODEL_VERSION,
    PROBABILITY,
    REQUEST_ID,
    ROW,
    SAMPLING_RATIO,
    THRESHOLD,
    TIMESTAMP,
    SegmentHeader,
)
from components.release.requests import Row
from components.release.served import Prediction

logger = logging.getLogger(__name__)
# A block must hold a whole line; a line has some kilobytes.
_BLOCK_BYTES = 4 * 2**20
_SECOND = 1_000_000
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


def write_lines(
    request_id: str, rows: Sequence[Row], predictions: Sequence[Prediction], logged_at: float
) -> list[bytes]:
    """Return one line a row; `logged_at` is in seconds since 1970 UTC."""
    logged = int(logged_at * _SECOND)
    return [
        orjson.dumps(
            {
                REQUEST_ID: request_id,
                ROW: i,
                "request": row,
                EVENT_TIME: round(prediction.looked_up.read_at * _SECOND),
                LOGGED_AT: logged,
                PROBABILITY: prediction.probability,
                DECISION: prediction.decision,
                "features": prediction.features,
                "ages": prediction.looked_up.ages,
            },
            option=_OPTIONS,
        )
        for i, (row, prediction) in enumerate(zip(rows, predictions, strict=True))
    ]


def read_segment(path: Path) -> Segment | None:
    """Read a segment's file; None when it holds no row.

    Raises:
        DataError: rows are there, but the header cannot be read or is not theirs.
    """
    content = path.read_bytes()
    first, last = content.find(b"\n") + 1, content.rfind(b"\n") + 1
    if first == last:
        return None
    header = SegmentHeader.read(content[:first], str(path))
    lines = pa.py_buffer(content).slice(first, last - first)
    tables, damaged = _parse(lines, _line_schema(header))
    if not tables:
        return None
    try:
        rows = _widen(pa.concat_tables(tables), header)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}: its lines must fit its header, but got {error}.") from error
    # What follows the last end of a line was never acknowledged.
    return Segment(header, rows, damaged + (last < len(content)))


def write_days(segment: Segment) -> Iterator[tuple[date, bytes]]:
    """Yield the parquet file of each day of UTC on which a row has its `event_time`; equal rows give equal bytes."""
    days = segment.rows[EVENT_TIME].cast(pa.date32())
    for day in sorted(pc.unique(days).to_pylist()):
        sink = pa.BufferOutputStream()
        pq.write_table(segment.rows.filter(pc.equal(days, day)), sink, compression="zstd")
        yield day, sink.getvalue().to_pybytes()


def _line_schema(header: SegmentHeader) -> pa.Schema:
    return pa.schema(
        [
            (REQUEST_ID, pa.string()),
            (ROW, pa.int32()),
            ("request", pa.struct([(name, COLUMN_TYPES[kind]) for name, kind in header.request.items()])),
            (EVENT_TIME, pa.int64()),
            (LOGGED_AT, pa.int64()),
            (PROBABILITY, pa.float64()),
            (DECISION, pa.bool_()),
            ("features", pa.struct([(name, KIND_TYPES[kind]) for name, kind in header.features.items()])),
            ("ages", pa.struct([(view, pa.float64()) for view in header.views])),
        ]
    )


def _parse(lines: pa.Buffer, schema: pa.Schema) -> tuple[list[pa.Table], int]:
    """Read lines; where some cannot be read, halve until they are alone, and count them."""
    try:
        table = pj.read_json(
            pa.BufferReader(lines),
            # One thread: the other core is the requests'.
            read_options=pj.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
            parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
        )
        return [table], 0
    except pa.ArrowInvalid as error:
        content = lines.to_pybytes()
        middle = content.find(b"\n", len(content) // 2 - 1) + 1
        if middle in (0, len(content)):
            middle = content.rfind(b"\n", 0, len(content) - 1) + 1
        if not middle:
            logger.warning("prediction log: a line cannot be read and is left out: %r (%s)", content[:100], error)
            return [], 1
    before, damaged_before = _parse(lines.slice(0, middle), schema)
    after, damaged_after = _parse(lines.slice(middle), schema)
    return before + after, damaged_before + damaged_after


def _widen(table: pa.Table, header: SegmentHeader) -> pa.Table:
    """Give each row all columns of the log."""
    moments = table[EVENT_TIME]
    due = pc.add(moments, round(header.label_delay_hours * 3600 * _SECOND))

    def repeat(value: Any) -> pa.Array:
        return pa.repeat(value, len(table))

    tail = {
        EVENT_TIME: moments.cast(TIMESTAMP),
        LOGGED_AT: table[LOGGED_AT].cast(TIMESTAMP),
        LABEL_DUE_AT: due.cast(TIMESTAMP),
        MODEL_VERSION: repeat(header.model_version),
        PROBABILITY: table[PROBABILITY],
        THRESHOLD: repeat(header.threshold),
        DECISION: table[DECISION],
        SAMPLING_RATIO: repeat(header.sampling_ratio),
    }
    head = [table[REQUEST_ID], table[ROW], *table["request"].flatten()]
    nested = [*table["features"].flatten(), *table["ages"].flatten()]
    return pa.Table.from_arrays([*head, *tail.values(), *nested], schema=header.schema())
