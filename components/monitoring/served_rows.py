"""The rows of a window as monitoring needs them: outputs, decisions and the outcomes known at `as_of`.

In: the predictions of a window and the labels known at `as_of`. Out: `ServedRows`, and the traffic and labels of a
result. Called by the monitor; performance, estimates and value are measured on `ServedRows` alone.

Notation
    n          rows of the window, of all model versions
    k          columns of an output, see `base.task`
    due        rows whose label should be known at `as_of`
    scored     rows of the champion that are due and labelled

A label that was known before its row was predicted does not count: a model that is scored on it is scored on the past.
Clocks differ then, or a caller asks for what has happened. A row with a label that is not due yet is not scored: early
labels differ from the rest (a flight that is on time lands sooner than one that is late).
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from components.base.statistics.capacity import number_days
from components.base.task import Decisions, Output, Task
from components.monitoring.labels import join_labels
from components.monitoring.predictions import Predictions, list_output_columns
from components.monitoring.results import AgeCoverage, DayTraffic, Labels, Traffic
from components.serving.prediction_log.schema import DECISION, EVENT_TIME, LABEL_DUE_AT, MODEL_VERSION, SAMPLING_RATIO

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
_HOUR = pd.Timedelta(hours=1)
_DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class ServedRows:
    """All rows of a window, in the order of the log; a field has the shape (n,) unless it says otherwise."""

    as_of: datetime
    event_time: "pd.Series[pd.Timestamp]"
    versions: "pd.Series[str]"
    output: Output
    """Of the version that served the row, shape (n, k)."""
    decisions: Decisions
    """Of that version's policy, before any capacity."""
    weights: Array
    """Rows that each logged one stands for: 1 / sampling ratio."""
    of_champion: Flags
    """Whether the champion served the row."""
    due: Flags
    outcomes: Array
    """Not a number where no label is known."""
    label_at: "pd.Series[pd.Timestamp]"
    changed: Flags
    """Whether the label has had another value before."""
    answered: Flags
    """Whether the label was known before the prediction; then it does not count."""

    @property
    def labelled(self) -> Flags:
        """Rows whose label is known."""
        return ~np.isnan(self.outcomes)

    @property
    def scored(self) -> Flags:
        """Rows that the champion is scored on."""
        return self.of_champion & self.due & self.labelled

    @property
    def logged_ratio(self) -> float:
        """Share of all requests that the logged rows are."""
        return len(self.weights) / float(self.weights.sum()) if len(self.weights) else 1.0


def read_served_rows(
    task: Task, predictions: Predictions, labels: pa.Table, champion: str, as_of: datetime
) -> ServedRows:
    """Join the labels to the predictions. `champion` is its version."""
    outputs = list_output_columns(task)
    columns = [EVENT_TIME, LABEL_DUE_AT, MODEL_VERSION, *outputs, DECISION, SAMPLING_RATIO]
    joined = join_labels(task.problem, predictions, labels, columns).to_pandas()
    answered = joined["label_at"] < joined[EVENT_TIME]
    return ServedRows(
        as_of=as_of,
        event_time=joined[EVENT_TIME],
        versions=joined[MODEL_VERSION],
        output=joined[outputs].to_numpy(dtype=np.float64),
        decisions=joined[DECISION].to_numpy(),
        weights=1 / joined[SAMPLING_RATIO].to_numpy(dtype=np.float64),
        of_champion=(joined[MODEL_VERSION] == champion).to_numpy(dtype=bool),
        due=(joined[LABEL_DUE_AT] <= as_of).to_numpy(dtype=bool),
        outcomes=joined["label"].mask(answered).to_numpy(dtype=np.float64, na_value=np.nan),
        label_at=joined["label_at"].mask(answered),
        changed=joined["is_changed"].to_numpy(dtype=bool),
        answered=answered.to_numpy(dtype=bool),
    )


def describe_traffic(task: Task, rows: ServedRows, repeated_rows: int, reused_keys: int) -> Traffic:
    """Count rows, and actions under the capacity, by version and day."""
    acted = task.operate(rows.decisions, rows.output, rows.event_time, rows.logged_ratio).astype(bool)
    days, outputs = number_days(rows.event_time), rows.output[:, 0]
    table = pd.DataFrame({"rows": 1, "actions": acted, "output": outputs}).groupby(days)
    by_day = table.agg({"rows": "sum", "actions": "sum", "output": "mean"})
    return Traffic(
        rows=len(days),
        repeated_rows=repeated_rows,
        reused_keys=reused_keys,
        versions={str(name): int(count) for name, count in rows.versions.value_counts().sort_index().items()},
        actions=int(acted.sum()),
        mean_output=float(outputs.mean()) if len(days) else None,
        by_day=tuple(
            DayTraffic(day=str(np.datetime64(day, "D")), rows=int(n), actions=int(actions), mean_output=float(mean))
            for day, n, actions, mean in by_day.itertuples()
        ),
    )


def describe_labels(rows: ServedRows, new_since_training: int) -> Labels:
    """Count the labels of the window's predictions, also by whole days since the prediction."""
    due, labelled = int(rows.due.sum()), rows.labelled
    matured = int((rows.due & labelled).sum())
    lags = ((rows.label_at - rows.event_time) / _HOUR).to_numpy(dtype=np.float64)[labelled]
    median, late = np.quantile(lags, [0.5, 0.95]).tolist() if len(lags) else (None, None)
    ages = ((rows.as_of - rows.event_time) // _DAY).to_numpy(dtype=np.int64)
    by_age = pd.DataFrame({"rows": 1, "labelled": labelled}).groupby(ages).sum()
    return Labels(
        rows=len(labelled),
        due=due,
        labelled=int(labelled.sum()),
        coverage_ratio=matured / due if due else None,
        overdue=due - matured,
        lag_hours_median=median,
        lag_hours_p95=late,
        by_age=tuple(
            AgeCoverage(age_days=int(age), rows=int(count), labelled=int(known))
            for age, count, known in by_age.itertuples()
        ),
        changed=int(rows.changed.sum()),
        new_since_training=new_since_training,
        known_before=int(rows.answered.sum()),
    )
