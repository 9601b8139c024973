"""The rows of a window as the judgements need them: what was predicted, what has come of it, and for whom it counts.

In: the predictions of a window and the labels known at `as_of`. Out: `ServedRows`, and what `results` says of traffic
and labels. Called by the monitor; performance, estimate and value are told from `ServedRows` alone.

Notation
    n          rows of the window, of all model versions
    due        rows whose label should be known at `as_of`
    judged     rows of the version in charge that are due and labelled

A row that is labelled before it is due is not judged: its label is there because it came early, and early labels are
not like the rest (a flight that is on time lands sooner than one that is late).
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from components.base.contract.problem import Business, Problem
from components.base.statistics.decisions import number_days, take_decisions
from components.monitoring.labels import join_labels
from components.monitoring.predictions import Predictions
from components.monitoring.results import AgeCoverage, DayTraffic, Labels, Traffic
from components.serving.prediction_log.schema import (
    EVENT_TIME,
    LABEL_DUE_AT,
    MODEL_VERSION,
    PROBABILITY,
    SAMPLING_RATIO,
    THRESHOLD,
)

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
_COLUMNS = (EVENT_TIME, LABEL_DUE_AT, MODEL_VERSION, PROBABILITY, THRESHOLD, SAMPLING_RATIO)
_HOUR = pd.Timedelta(hours=1)
_DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class ServedRows:
    """All rows of a window, in the order of the log; every field but `as_of` has the shape (n,)."""

    as_of: datetime
    event_time: "pd.Series[pd.Timestamp]"
    versions: "pd.Series[str]"
    probabilities: Array
    thresholds: Array
    weights: Array
    """Rows that each logged one stands for: 1 / sampling ratio."""
    in_charge: Flags
    """Whether the row is of the version in charge."""
    due: Flags
    outcomes: Array
    """0 or 1, not a number where no label is known."""
    label_at: "pd.Series[pd.Timestamp]"
    changed: Flags
    """Whether the label has had another value before."""

    @property
    def labelled(self) -> Flags:
        """Rows whose label is known."""
        return ~np.isnan(self.outcomes)

    @property
    def judged(self) -> Flags:
        """Rows that the model in charge is judged on."""
        return self.in_charge & self.due & self.labelled


def read_served_rows(
    problem: Problem, predictions: Predictions, labels: pa.Table, version: str, as_of: datetime
) -> ServedRows:
    """Put the labels beside the predictions. `version` is that in charge."""
    joined = join_labels(problem, predictions, labels, _COLUMNS).to_pandas()
    return ServedRows(
        as_of=as_of,
        event_time=joined[EVENT_TIME],
        versions=joined[MODEL_VERSION],
        probabilities=joined[PROBABILITY].to_numpy(dtype=np.float64),
        thresholds=joined[THRESHOLD].to_numpy(dtype=np.float64),
        weights=1 / joined[SAMPLING_RATIO].to_numpy(dtype=np.float64),
        in_charge=(joined[MODEL_VERSION] == version).to_numpy(dtype=bool),
        due=(joined[LABEL_DUE_AT] <= as_of).to_numpy(dtype=bool),
        outcomes=joined["label"].to_numpy(dtype=np.float64, na_value=np.nan),
        label_at=joined["label_at"],
        changed=joined["is_changed"].to_numpy(dtype=bool),
    )


def decide_rows(rows: ServedRows, business: Business, probabilities: Array, thresholds: Array | float) -> Flags:
    """Return which of all rows get the action under the capacity, shape (n,).

    Where only a share of the requests is logged, the logged rows have that share of the capacity, but at least one
    action a shift.
    """
    wanted = np.asarray(probabilities >= thresholds)
    # Each row has its own threshold; among those that reach it the riskiest come first.
    claims = np.where(wanted, probabilities, -1.0)
    capacity = business.capacity_per_day
    if capacity is not None and len(rows.weights):
        share = len(rows.weights) / float(rows.weights.sum())
        capacity = max(round(capacity * share), min(capacity, business.capacity_periods_per_day))
    return take_decisions(claims, 0.0, rows.event_time, capacity, business.capacity_periods_per_day)


def describe_traffic(rows: ServedRows, business: Business, replayed_rows: int) -> Traffic:
    """Count what was asked and answered."""
    decided = decide_rows(rows, business, rows.probabilities, rows.thresholds)
    days = number_days(rows.event_time)
    table = pd.DataFrame({"rows": 1, "actions": decided, "probability": rows.probabilities}).groupby(days)
    by_day = table.agg({"rows": "sum", "actions": "sum", "probability": "mean"})
    return Traffic(
        rows=len(days),
        replayed_rows=replayed_rows,
        versions={str(name): int(count) for name, count in rows.versions.value_counts().sort_index().items()},
        actions=int(decided.sum()),
        mean_output=float(rows.probabilities.mean()) if len(days) else None,
        by_day=tuple(
            DayTraffic(day=str(np.datetime64(day, "D")), rows=int(n), actions=int(actions), mean_output=float(mean))
            for day, n, actions, mean in by_day.itertuples()
        ),
    )


def describe_labels(rows: ServedRows, new_since_training: int) -> Labels:
    """Say how far the labels of the window's predictions have come."""
    due, labelled = int(rows.due.sum()), rows.labelled
    matured = int((rows.due & labelled).sum())
    lags = ((rows.label_at - rows.event_time) / _HOUR).to_numpy(dtype=np.float64)[labelled]
    median, late = np.quantile(lags, [0.5, 0.95]).tolist() if len(lags) else (None, None)
    return Labels(
        rows=len(labelled),
        due=due,
        labelled=int(labelled.sum()),
        coverage_ratio=matured / due if due else None,
        overdue=due - matured,
        lag_hours_median=median,
        lag_hours_p95=late,
        by_age=_cover_by_age(rows),
        changed=int(rows.changed.sum()),
        new_since_training=new_since_training,
    )


def _cover_by_age(rows: ServedRows) -> tuple[AgeCoverage, ...]:
    """Count rows and labels by whole days since the prediction."""
    ages = ((rows.as_of - rows.event_time) // _DAY).to_numpy(dtype=np.int64)
    table = pd.DataFrame({"rows": 1, "labelled": rows.labelled}).groupby(ages).sum()
    return tuple(
        AgeCoverage(age_days=int(age), rows=int(count), labelled=int(labelled))
        for age, count, labelled in table.itertuples()
    )
