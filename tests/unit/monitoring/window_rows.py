"""References and batches of served rows, made of a few columns, for the tests of drift and quality."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from components.base.contract.load import load_problem
from components.base.contract.problem import Column
from components.base.dataset import Feature
from components.features.explore.profile import add_scores, build_profile
from components.features.online.reader import OnlineView
from components.models.documents import Importance
from components.monitoring.predictions import list_output_columns
from components.monitoring.reference import TrainingReference, share_importance
from components.tasks import open_task

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml")
TASK = open_task(PROBLEM)
LIMITS = PROBLEM.monitoring
(OUTPUT_COLUMN,) = list_output_columns(TASK)
FEATURES = (
    Feature("distance", "numeric", "request", "Distance"),
    Feature("wind", "numeric", "weather", "Wind"),
    Feature("origin", "categorical", "request", "Airport"),
)
IMPORTANCE = (
    Importance(feature="distance", origin="request", mean=0.03, std=0.001),
    Importance(feature="origin", origin="request", mean=0.01, std=0.001),
    Importance(feature="wind", origin="weather", mean=-0.2, std=0.001),
)
RANGES = {
    "distance": Column(type="float", description="Distance", minimum=0, maximum=2000),
    "origin": Column(type="string", description="Airport", allowed=["EWR", "JFK", "LGA"]),
}
VIEWS = (
    OnlineView("weather", ("origin",), FEATURES[1:2], 3600.0),
    OnlineView("plane", ("tailnum",), (), None),
)


def draw_rows(rows, seed=0, moved=0.0, airports=("EWR", "JFK", "LGA"), missing=0.05):
    """Draw the features of rows; `moved` shifts both numbers by so many standard deviations."""
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "distance": random.normal(1000 + 200 * moved, 200, rows),
            "wind": np.where(random.random(rows) < missing, np.nan, random.normal(10 + 3 * moved, 3, rows)),
            "origin": random.choice(airports, rows).astype(object),
        }
    )


def draw_reference(rows=None, **changes):
    """Make the reference of drawn rows, or of those given."""
    table = draw_rows(5000, seed=1) if rows is None else rows
    profile = add_scores(build_profile(table, FEATURES, "late"), np.random.default_rng(2).beta(2, 5, 3000))
    known = {
        "profile": profile,
        "features": FEATURES,
        "importance": share_importance([feature.name for feature in FEATURES], IMPORTANCE),
        "ranges": RANGES,
        "views": VIEWS,
        "output_column": OUTPUT_COLUMN,
    }
    return TrainingReference(**{**known, **changes})


def serve(rows, probabilities=None, weather_ages=60.0, plane_ages=86_400.0):
    """Make one batch of the prediction log of rows."""
    size = len(rows)
    columns = {f"feature__{name}": pa.array(rows[name], from_pandas=True) for name in rows}
    drawn = np.random.default_rng(size).beta(2, 5, size) if probabilities is None else probabilities
    ages = {"age_seconds__weather": weather_ages, "age_seconds__plane": plane_ages}
    columns |= {
        name: pa.array(np.broadcast_to(np.asarray(value, "float64"), size), from_pandas=True)
        for name, value in ages.items()
    }
    columns[OUTPUT_COLUMN] = pa.array(np.asarray(drawn, dtype="float64"))
    # The log holds more than is counted.
    columns["request_id"] = pa.array([f"request-{place}" for place in range(size)])
    return pa.RecordBatch.from_pydict(columns)
