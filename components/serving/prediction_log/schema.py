"""Name the columns and the objects of the prediction log, and describe a segment of it.

In: the task, the model's features and policy, and the views that are looked up. Out: names, keys, the schema of the
parquet files, and a `SegmentHeader`, with which a segment can be read by a later process that serves another model.
Called by the predictor's log and by the monitor.

One row a predicted row, in `<problem>/predictions/day=<day of event_time>/<segment>.parquet`. A request that was sent
twice under one key is there twice: of equal (`request_id`, `row`) and equal request columns the first `logged_at`
counts. The model's policy is in the metadata of the file.

Format 1 knew binary problems only: its output was the column `probability`, and its policy the column `threshold` of
every row. `upgrade_table` and `SegmentHeader.read` read it as format 2; a line of a segment is the same in both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal, Self

import orjson
import pyarrow as pa

from components.base.contract.types import ColumnType
from components.base.dataset import Feature
from components.base.errors import DataError
from components.base.task import Task

REQUEST_ID = "request_id"
"""The request's `idempotency-key`, given or made, or the row's own `instance_id`."""
ROW = "row"
"""Place of the row in its request, from 0; 0 for a row with an `instance_id`."""
EVENT_TIME = "event_time"
"""The time at which the online features were read: in production the wall clock."""
LOGGED_AT = "logged_at"
"""The wall clock when the prediction was made."""
LABEL_DUE_AT = "label_due_at"
"""`event_time` plus the contract's `monitoring.label_delay_hours`."""
MODEL_VERSION = "model_version"
DECISION = "decision"
"""The policy's decision, of the task's type; a capacity is applied later, by the system that acts."""
SAMPLING_RATIO = "sampling_ratio"
"""Share of requests that are logged: each row represents 1 / ratio rows."""

TIMESTAMP = pa.timestamp("us", tz="UTC")
_HEAD = {REQUEST_ID: pa.string(), ROW: pa.int32()}
_TAIL = {
    EVENT_TIME: TIMESTAMP,
    LOGGED_AT: TIMESTAMP,
    LABEL_DUE_AT: TIMESTAMP,
    MODEL_VERSION: pa.string(),
}
COLUMN_TYPES: dict[ColumnType, pa.DataType] = {
    "string": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": TIMESTAMP,
}
KIND_TYPES = {"numeric": pa.float64(), "categorical": pa.string()}
# Stored with every file, so that a later reader can distinguish them.
_FORMAT = 2
# The two columns that format 1 had and format 2 has not.
_PROBABILITY_1, _THRESHOLD_1 = "probability", "threshold"


def feature_column(name: str) -> str:
    """Return the column that holds a model input as it was served."""
    return f"feature__{name}"


def output_column(name: str) -> str:
    """Return the column that holds one column of the model's output."""
    return f"output__{name}"


def age_column(view: str) -> str:
    """Return the column that holds the age in seconds of a view's values; null for an unknown entity."""
    return f"age_seconds__{view}"


def predictions_prefix(problem: str) -> str:
    """Return the prefix of a problem's whole log."""
    return f"{problem}/predictions/"


def day_prefix(problem: str, day: date) -> str:
    """Return the prefix of the rows whose `event_time` is on that day of UTC."""
    return f"{predictions_prefix(problem)}day={day.isoformat()}/"


def object_key(problem: str, day: date, segment: str) -> str:
    """Return the key of one segment's rows of one day: uploaded twice, it is still one object."""
    return f"{day_prefix(problem, day)}{segment}.parquet"


@dataclass(frozen=True)
class SegmentHeader:
    """What is equal for all rows of a segment: its first line."""

    problem: str
    model_version: str
    policy: dict[str, Any]
    """Of the model, as `Task.read_policy` reads it."""
    outputs: tuple[str, ...]
    """Columns of the model's output."""
    decision_type: ColumnType
    sampling_ratio: float
    label_delay_hours: float
    request: dict[str, ColumnType]
    """Request columns with the types of the contract."""
    features: dict[str, Literal["numeric", "categorical"]]
    """Model inputs with their kind."""
    views: tuple[str, ...]
    """Feature views whose ages are logged."""

    @classmethod
    def of(
        cls, task: Task, features: Iterable[Feature], views: Sequence[str], version: str, policy: dict[str, Any]
    ) -> Self:
        """Derive the header of a served model."""
        problem = task.problem
        types = problem.sources[problem.examples.source].columns
        return cls(
            problem=problem.name,
            model_version=version,
            policy=policy,
            outputs=task.output_columns,
            decision_type=task.decision_type,
            sampling_ratio=problem.monitoring.log.sampling_ratio,
            label_delay_hours=problem.monitoring.label_delay_hours,
            request={name: types[name].type for name in problem.examples.request},
            features={feature.name: feature.kind for feature in features},
            views=tuple(views),
        )

    def schema(self) -> pa.Schema:
        """Return the schema of the parquet files, with format and policy as metadata."""
        request = [(name, COLUMN_TYPES[kind]) for name, kind in self.request.items()]
        answer = {
            **{output_column(name): pa.float64() for name in self.outputs},
            DECISION: COLUMN_TYPES[self.decision_type],
            SAMPLING_RATIO: pa.float64(),
            **{feature_column(name): KIND_TYPES[kind] for name, kind in self.features.items()},
            **{age_column(view): pa.float64() for view in self.views},
        }
        metadata = {"format": str(_FORMAT), "policy": orjson.dumps(self.policy)}
        return pa.schema([*_HEAD.items(), *request, *_TAIL.items(), *answer.items()], metadata)

    def write(self) -> bytes:
        """Return the header as the line that begins a segment."""
        return orjson.dumps({"format": _FORMAT, **asdict(self)}, option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def read(cls, line: bytes, where: str) -> Self:
        """Read the line that begins a segment, in this format or in format 1.

        Raises:
            DataError: it is no such line, or one of another format.
        """
        try:
            described: dict[str, Any] = orjson.loads(line)
            written = described.pop("format")
            if written == 1:
                described |= {
                    "policy": {"kind": "threshold", "threshold": described.pop(_THRESHOLD_1)},
                    "outputs": (_PROBABILITY_1,),
                    "decision_type": "bool",
                }
            elif written != _FORMAT:
                raise ValueError("another format")
            lists = {name: tuple(described[name]) for name in ("outputs", "views")}
            return cls(**{**described, **lists})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(
                f"{where}: the first line must be the header of a segment (format {_FORMAT}), "
                f"but got {line[:80]!r} ({error}). Move the file away."
            ) from error


def upgrade_table(table: pa.Table) -> pa.Table:
    """Return rows of a parquet object of any format as rows of this one."""
    if any(name.startswith(output_column("")) for name in table.column_names):
        return table
    kept = [name for name in table.column_names if name != _THRESHOLD_1]
    renamed = [output_column(name) if name == _PROBABILITY_1 else name for name in kept]
    return table.select(kept).rename_columns(renamed)
