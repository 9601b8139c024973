"""Read the bodies of prediction requests into typed rows, or say what to send instead.

In: the JSON body of a V1 request (`tensors` does the same for V2). Out: rows of the contract's request columns: str,
int, float, bool, datetime in UTC, or None. Called by `routes` for each request, and by `deploy` to write requests.

Types, nulls, finiteness and ranges are enforced. Lists of allowed values and patterns are not: an airport or carrier
that was never seen is served with its features missing, as the contract's `features.fallback` says.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import orjson

from components.base.contract.problem import Column, Problem
from components.base.contract.types import ColumnType
from components.base.errors import PermanentError, suggest_name
from components.base.values import is_missing, is_whole

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
VERSION_HEADER = "x-model-version"
"""Names the version that answers whether it is ready."""
LOG_HEADER = "x-prediction-log"
"""`off`: nobody acts on the answer; it is neither logged nor counted."""
INSTANCE_ID = "instance_id"
"""Names a row, if its caller wants to: in the prediction log rows of one name and one content are one."""
# Enough to correct a client; a body of a thousand wrong rows does not become an answer of a thousand lines.
_MAXIMUM_FAULTS = 5
MAXIMUM_TEXT = 200
"""Characters of a text in a request."""
_EXAMPLE_TIMESTAMP = "2013-07-01T12:00:00Z"


class RequestError(PermanentError):
    """A request that cannot be answered; the text says what to send."""

    def __init__(self, message: str, status: int = 400) -> None:
        """Hold the words for the caller and the HTTP status."""
        super().__init__(message)
        self.status = status


class WrongValueError(ValueError):
    """A value of the wrong type or range; the text is what must hold."""


@dataclass(frozen=True)
class RequestField:
    """One column that a request carries."""

    name: str
    type: ColumnType
    is_nullable: bool
    minimum: float | None
    maximum: float | None
    example: Any
    is_required: bool = True

    def read(self, value: Any) -> Any:
        """Return the typed value.

        Raises:
            WrongValueError: when it is of another type, null or out of range.
        """
        if value is None:
            if self.is_nullable:
                return None
            raise WrongValueError(f"must be {_TYPE_WORDS[self.type]}, but got null")
        typed = _READERS[self.type](value)
        if self.minimum is not None and typed < self.minimum:
            raise WrongValueError(f"must be at least {self.minimum:g}, but got {shorten(value)}")
        if self.maximum is not None and typed > self.maximum:
            raise WrongValueError(f"must be at most {self.maximum:g}, but got {shorten(value)}")
        return typed


@dataclass(frozen=True)
class RequestSchema:
    """What a request of one problem looks like."""

    fields: tuple[RequestField, ...]
    """The columns of the contract, which every row has."""
    maximum_rows: int

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """Derive the schema from the contract's `examples.request` and the types of its source."""
        columns = problem.sources[problem.examples.source].columns
        fields = tuple(
            RequestField(
                name=name,
                type=columns[name].type,
                is_nullable=columns[name].nullable,
                minimum=columns[name].minimum,
                maximum=columns[name].maximum,
                example=_example(columns[name]),
            )
            for name in problem.examples.request
        )
        return cls(fields=fields, maximum_rows=problem.serving.maximum_rows)

    @property
    def names(self) -> list[str]:
        """Names of the request columns, in the contract's order."""
        return [field.name for field in self.fields]

    @property
    def taken_fields(self) -> tuple[RequestField, ...]:
        """The fields that a row may have: the contract's, and a name of the row."""
        return self.fields if INSTANCE_ID in self.names else (*self.fields, _INSTANCE_ID)

    @property
    def taken_names(self) -> list[str]:
        """Names of the fields that a row may have."""
        return [field.name for field in self.taken_fields]

    def example(self) -> Row:
        """Return one row as a caller would write it."""
        return {field.name: field.example for field in self.fields}

    def parse_v1(self, body: bytes) -> list[Row]:
        """Read `{"instances": [{column: value}]}`.

        Raises:
            RequestError: with the first faults and the way to fix them.
        """
        with showing(self.example_v1):
            request = decode_object(body)
            refuse_unknown(request, ["instances"], "the request")
            instances = request.get("instances")
            if not isinstance(instances, list) or not instances:
                got = "nothing" if "instances" not in request else shorten(instances)
                raise RequestError(f"`instances` must be a list of at least one row, but got {got}.")
            self.check_rows(len(instances))
            faults: list[str] = []
            fields = self.taken_fields
            rows = [self._read_row(row, fields, f"instances[{i}]", faults) for i, row in enumerate(instances)]
            raise_request_faults(faults)
            return rows

    def example_v1(self) -> str:
        """Return the smallest right body of a V1 request."""
        return orjson.dumps({"instances": [self.example()]}).decode()

    def check_rows(self, rows: int) -> None:
        """Raise a RequestError (413) when there are more rows than the contract allows."""
        if rows > self.maximum_rows:
            raise RequestError(
                f"a request must hold at most {self.maximum_rows} rows, but got {rows}. Send several requests.", 413
            )

    def _read_row(self, row: Any, fields: Sequence[RequestField], where: str, faults: list[str]) -> Row:
        if not isinstance(row, dict):
            faults.append(f"{where} must be an object with {', '.join(self.names)}, but got {shorten(row)}.")
            return {}
        typed: Row = {}
        for field in fields:
            if field.name not in row:
                if field.is_required:
                    faults.append(f"{where} must have `{field.name}`, but it is missing.")
                continue
            try:
                typed[field.name] = field.read(row[field.name])
            except WrongValueError as fault:
                faults.append(f"{where}.{field.name} {fault}.")
        if len(row) > len(typed):
            faults.extend(_unknown(row, self.taken_names, where))
        return typed


_INSTANCE_ID = RequestField(INSTANCE_ID, "string", True, None, None, "loan-17", is_required=False)


def write_v1(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the V1 request of typed rows, as an object that JSON can hold."""
    return {"instances": [{name: plain_value(value) for name, value in row.items()} for row in rows]}


def plain_value(value: Any) -> Any:
    """Return a typed value, pandas' included, as JSON can hold it: timestamps as ISO 8601, missing as None."""
    if value is None or isinstance(value, str | bool):
        return value
    if is_missing(value):
        return None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    return value.item() if hasattr(value, "item") else value


@contextmanager
def showing(example: Callable[[], str]) -> Iterator[None]:
    """End the words of a RequestError (400) with a right body."""
    try:
        yield
    except RequestError as error:
        if error.status != 400:
            raise
        raise RequestError(f"{error} Send {example()}") from error


def decode_object(body: bytes) -> dict[str, Any]:
    """Decode a JSON object.

    Raises:
        RequestError: when it is no JSON (NaN and Infinity are none) or no object.
    """
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        words = f"the body must be JSON, but it does not parse: {error}."
        hint = " Write a missing number as null." if b"NaN" in body or b"Infinity" in body else ""
        raise RequestError(words + hint) from error
    if not isinstance(request, dict):
        raise RequestError(f"the body must be a JSON object, but got {shorten(request)}.")
    return request


def refuse_unknown(given: Iterable[str], known: Sequence[str], where: str) -> None:
    """Raise a RequestError that names every unknown key with the nearest known one."""
    raise_request_faults(_unknown(given, known, where))


def raise_request_faults(faults: Sequence[str]) -> None:
    """Raise the first faults as one RequestError; return when there are none."""
    if faults:
        more = len(faults) - _MAXIMUM_FAULTS
        raise RequestError(" ".join(faults[:_MAXIMUM_FAULTS]) + (f" And {more} more faults." if more > 0 else ""))


def shorten(value: Any) -> str:
    """Return a value of the caller in words that are short and of one line."""
    if isinstance(value, list | dict):
        kind = "a list" if isinstance(value, list) else "an object"
        return f"{kind} of {len(value)}" if value else f"an empty {kind.split()[1]}"
    text = orjson.dumps(value).decode() if isinstance(value, str | bool | float) or value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _unknown(given: Iterable[str], known: Sequence[str], where: str) -> list[str]:
    return [
        f"{where} must not have {shorten(name)}; it takes {', '.join(known)}.{suggest_name(name, known)}"
        for name in given
        if name not in known
    ]


def _example(column: Column) -> Any:
    if column.type == "timestamp":
        return _EXAMPLE_TIMESTAMP
    if column.type == "string":
        return column.allowed[0] if column.allowed else "ABC"
    if column.type == "bool":
        return True
    number = 1.0 if column.minimum is None else column.minimum
    return int(number) if column.type == "int" else number


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise WrongValueError(f"must be text, but got {shorten(value)}")
    if len(value) > MAXIMUM_TEXT:
        raise WrongValueError(f"must have at most {MAXIMUM_TEXT} characters, but has {len(value)}")
    return value


def _read_int(value: Any) -> int:
    if is_whole(value):
        return int(value)
    is_too_large = not isinstance(value, bool) and isinstance(value, int | float) and not value % 1
    limits = " of 64 bits, and beyond 2^53 without point or exponent" if is_too_large else ""
    raise WrongValueError(f"must be a whole number{limits}, but got {shorten(value)}")


def _read_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise WrongValueError(f"must be a finite number, but got {shorten(value)}")
    return float(value)


def _read_bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongValueError(f"must be true or false, but got {shorten(value)}")
    return value


def _read_timestamp(value: Any) -> datetime:
    """Read ISO 8601 with date and time; without an offset it is UTC."""
    try:
        instant = datetime.fromisoformat(value) if ":" in value else None
        if instant is not None:
            return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        pass
    raise WrongValueError(f'must be a time like "{_EXAMPLE_TIMESTAMP}", but got {shorten(value)}')


_READERS: dict[ColumnType, Callable[[Any], Any]] = {
    "string": _read_text,
    "int": _read_int,
    "float": _read_float,
    "bool": _read_bool,
    "timestamp": _read_timestamp,
}
_TYPE_WORDS: dict[ColumnType, str] = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "timestamp": "a time",
}


def request_rows(schema: RequestSchema, golden: "pd.DataFrame") -> list[Row]:
    """Return the rows as the endpoint reads them, typed by the contract."""
    columns = {field.name: [field.read(plain_value(value)) for value in golden[field.name]] for field in schema.fields}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
