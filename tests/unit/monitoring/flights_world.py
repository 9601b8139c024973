"""A small world of flights for the monitor: what was predicted, in segments of the log, and what came of it.

Probabilities are right by construction: a flight of probability p is late with probability p, unless a test says so.
"""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from components.base.contract.load import load_problem
from components.base.dataset import Feature
from components.base.tables import write_table
from components.monitoring.results import Window
from components.monitoring.served_rows import ServedRows
from components.serving.prediction_log.schema import SegmentHeader, object_key
from components.tasks import open_task
from components.tasks.binary.policy import ThresholdPolicy

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines/problems/flight-delays.yaml")
TASK = open_task(PROBLEM)
START = datetime(2013, 6, 1, tzinfo=UTC)
AS_OF = datetime(2013, 7, 1, tzinfo=UTC)
WINDOW = Window(start=START, end=AS_OF)
FEATURES = (
    Feature("carrier", "categorical", "request", "Carrier"),
    Feature("distance", "numeric", "request", "Distance"),
    Feature("scheduled_hour", "numeric", "request", "Hour"),
    Feature("origin_departure_delay_3h", "numeric", "origin_delays", "Delay"),
)
VIEWS = ("origin_delays",)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x)))


def make_flights(days=30, per_day=60, start=START, seed=0, slope=1.0):
    """Draw flights, one every so many minutes: `risk` is what the model sees, `probability` what it says."""
    generator = np.random.default_rng(seed)
    rows = days * per_day
    event_time = pd.Series(start + pd.to_timedelta(np.arange(rows) * (1440 / per_day), unit="min"))
    risk = generator.normal(size=rows)
    probability = sigmoid(slope * risk - 1.2)
    scheduled_at = (event_time + timedelta(hours=2)).astype("datetime64[us, UTC]")
    local = scheduled_at.dt.tz_convert("America/New_York").dt
    return pd.DataFrame(
        {
            "carrier": generator.choice(["UA", "B6", "DL"], rows),
            "flight": np.arange(rows) + 1,
            "origin": generator.choice(["EWR", "JFK"], rows),
            "dest": "IAH",
            "tailnum": "N1",
            "scheduled_at": scheduled_at,
            "scheduled_hour": local.hour + local.minute / 60,
            "distance": generator.normal(900, 200, rows),
            "event_time": event_time.astype("datetime64[us, UTC]"),
            "outcome_at": (event_time + timedelta(hours=6)).astype("datetime64[us, UTC]"),
            "risk": risk,
            "probability": probability,
            "late": generator.random(rows) < probability,
        }
    )


def make_rows(flights, probabilities=None, thresholds=0.3, **changes):
    """Return the flights as served rows: every label is known that had come by the end of the window."""
    size = len(flights)
    served = flights["probability"].to_numpy() if probabilities is None else np.asarray(probabilities)
    outcome = flights["late"].astype("float64").where(flights["outcome_at"] <= AS_OF)
    fields = {
        "as_of": AS_OF,
        "event_time": flights["event_time"],
        "versions": pd.Series(["1"] * size),
        "output": served[:, None],
        "decisions": served >= thresholds,
        "weights": np.ones(size),
        "of_champion": np.ones(size, dtype=bool),
        "due": (flights["event_time"] + timedelta(hours=24) <= AS_OF).to_numpy(),
        "outcomes": outcome.to_numpy(),
        "label_at": flights["outcome_at"].where(outcome.notna()),
        "changed": np.zeros(size, dtype=bool),
        "answered": np.zeros(size, dtype=bool),
    }
    return ServedRows(**(fields | changes))


def log_rows(flights, version="1", threshold=0.3, features=FEATURES, views=VIEWS, **columns):
    """Return the flights as rows of the prediction log, with the schema of its writer."""
    header = SegmentHeader.of(TASK, features, views, version, ThresholdPolicy(threshold=threshold).model_dump())
    rows = flights.assign(
        request_id=[f"{version}-{number}" for number in flights["flight"]],
        row=0,
        logged_at=flights["event_time"] + timedelta(milliseconds=20),
        label_due_at=flights["event_time"] + timedelta(hours=PROBLEM.monitoring.label_delay_hours),
        model_version=version,
        output__probability=flights["probability"],
        decision=flights["probability"] >= threshold,
        sampling_ratio=1.0,
        feature__carrier=flights["carrier"],
        feature__distance=flights["distance"],
        feature__scheduled_hour=flights["scheduled_hour"],
        feature__origin_departure_delay_3h=flights["risk"],
        **{f"age_seconds__{view}": 600.0 for view in views},
    ).assign(**columns)
    return pa.Table.from_pandas(rows[header.schema().names], schema=header.schema(), preserve_index=False)


def put_log(store, rows, segment="a"):
    """Write rows to the prediction log, one object a day."""
    days = rows["event_time"].cast(pa.date32())
    for day in sorted(set(days.to_pylist())):
        content = io.BytesIO()
        pq.write_table(rows.filter(pa.compute.equal(days, day)), content)
        store.put_bytes(object_key(PROBLEM.name, day, segment), content.getvalue())


def put_flights(folder, flights):
    """Write the accepted source that holds the outcomes."""
    source = flights.drop(columns=["risk", "probability", "scheduled_hour"]).rename(
        columns={"event_time": "predicted_at"}
    )
    write_table(source, folder / "flights.parquet")
    return folder


def allow_duckdb(settings, monkeypatch):
    """Put the object store's address where DuckDB looks for it, as the runner of a step does."""
    for name, value in settings.child_environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
