"""Compute the request-time features of a contract: what the caller sends is enough to know them.

In: request columns, as a table (training) or as the dictionary of one request (serving). Out: the features that the
contract declares under `features.request`, equal in both forms. Called by `prepare` and by the predictor.

Numeric features are float64 with NaN, categorical ones str or None. A value that cannot be understood is missing,
never an error: the predictor refuses wrong types before it calls. A timestamp without a zone is UTC.
"""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from components.base.contract.problem import Problem, RequestFeature
from components.base.values import write_text

if TYPE_CHECKING:
    import pandas as pd

Value = float | str | None
Row = Mapping[str, Any]
_NUMERIC_TYPES = ("int", "float", "bool")


def request_row(problem: Problem, row: Row) -> dict[str, Value]:
    """Compute the request-time features of one request, in the contract's order."""
    types = problem.sources[problem.examples.source].columns
    features: dict[str, Value] = {}
    for name, feature in problem.features.request.items():
        column = feature.columns[0]
        if feature.transform == "hour_of_day":
            features[name] = _hour_of_day(row.get(column), feature.timezone)
        elif feature.transform == "day_of_week":
            features[name] = _day_of_week(row.get(column), feature.timezone)
        elif feature.transform == "join":
            texts = [write_text(row.get(part)) for part in feature.columns]
            known = [text for text in texts if text is not None]
            features[name] = feature.separator.join(known) if len(known) == len(texts) else None
        elif types[column].type in _NUMERIC_TYPES:
            features[name] = _number(row.get(column))
        else:
            features[name] = write_text(row.get(column))
    return features


def request_table(problem: Problem, requests: "pd.DataFrame") -> "pd.DataFrame":
    """Compute the request-time features of many requests.

    Returns:
        One column a feature in the contract's order, on the index of `requests`.
    """
    import pandas as pd

    columns = {
        name: _column(requests, feature, feature_kind(problem, name))
        for name, feature in problem.features.request.items()
    }
    return pd.DataFrame(columns, index=requests.index)


def feature_kind(problem: Problem, name: str) -> Literal["numeric", "categorical"]:
    """Return the kind of a request-time feature."""
    feature = problem.features.request[name]
    if feature.transform == "join":
        return "categorical"
    source = problem.sources[problem.examples.source].columns
    is_text = feature.transform == "identity" and source[feature.columns[0]].type not in _NUMERIC_TYPES
    return "categorical" if is_text else "numeric"


def parse_timestamp(value: object) -> datetime | None:
    """Read a datetime or a text of ISO 8601 as an instant; None when it is neither."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    # NaT is a datetime whose year is NaN.
    if not isinstance(value, datetime) or value.year != value.year:
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value


def _column(
    requests: "pd.DataFrame", feature: RequestFeature, kind: Literal["numeric", "categorical"]
) -> "pd.Series[Any]":
    import numpy as np
    import pandas as pd

    if feature.transform in ("hour_of_day", "day_of_week"):
        return _local_part(requests[feature.columns[0]], feature)
    if feature.transform == "join":
        parts = [_map(requests[column], write_text, object) for column in feature.columns]
        joined = parts[0]
        for part in parts[1:]:
            joined = joined + feature.separator + part
        return joined.astype(object).where(joined.notna(), None)
    values = requests[feature.columns[0]]
    if kind == "categorical":
        return _map(values, write_text, object)
    if not pd.api.types.is_numeric_dtype(values.dtype):
        return _map(values, _number, "float64")
    numbers = values.to_numpy(dtype="float64", na_value=np.nan)
    return pd.Series(np.where(np.isfinite(numbers), numbers, np.nan), index=values.index)


def _local_part(instants: "pd.Series[Any]", feature: RequestFeature) -> "pd.Series[Any]":
    """Compute the local hour or weekday: vectorised for timestamps, value by value for anything else."""
    import pandas as pd

    scalar = _hour_of_day if feature.transform == "hour_of_day" else _day_of_week
    if not isinstance(instants.dtype, pd.DatetimeTZDtype):
        return _map(instants, lambda value: scalar(value, feature.timezone), "float64")
    local = instants.dt.tz_convert(ZoneInfo(feature.timezone)).dt
    part = local.hour + local.minute / 60 if feature.transform == "hour_of_day" else local.dayofweek
    return pd.Series(part, dtype="float64")


def _map(values: "pd.Series[Any]", scalar: Callable[[object], Value], dtype: Any) -> "pd.Series[Any]":
    import pandas as pd

    return pd.Series([scalar(value) for value in values.array], index=values.index, dtype=dtype)


def _hour_of_day(value: object, zone: str) -> float:
    local = _local(value, zone)
    return math.nan if local is None else local.hour + local.minute / 60


def _day_of_week(value: object, zone: str) -> float:
    local = _local(value, zone)
    return math.nan if local is None else float(local.weekday())


def _local(value: object, zone: str) -> datetime | None:
    instant = parse_timestamp(value)
    try:
        return None if instant is None else instant.astimezone(ZoneInfo(zone))
    except OverflowError:  # a local time before year 1 or after 9999
        return None


def _number(value: object) -> float:
    """Return the number; a text is no number, and neither is infinity."""
    if not isinstance(value, Real):
        return math.nan
    try:
        number = float(value)
    except OverflowError:
        return math.nan
    return number if math.isfinite(number) else math.nan
