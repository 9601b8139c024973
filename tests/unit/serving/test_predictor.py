"""The served model and its KServe face, without a server."""

import asyncio
import dataclasses
import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from components.base.contract.load import load_problem
from components.base.dataset import Feature
from components.base.errors import EndpointUnavailableError, ModelRefusedError
from components.models.artifact import Model, save_model
from components.serving.predictor.compiled.pipeline import pipeline_scorer
from components.serving.predictor.model import ServedModel, load_served
from components.serving.predictor.server import Predictor
from components.tasks import open_task
from tests.unit.made_models import make_model

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines/problems/flight-delays.yaml")
TASK = open_task(PROBLEM)
FEATURES = (
    Feature("carrier", "categorical", "request", "carrier"),
    Feature("distance", "numeric", "request", "distance"),
    Feature("scheduled_hour", "numeric", "request", "hour"),
    Feature("plane_age", "numeric", "plane_profile", "age"),
)
ROW = {
    "carrier": "UA",
    "flight": 1545,
    "origin": "EWR",
    "dest": "IAH",
    "tailnum": "N1",
    "scheduled_at": datetime(2013, 7, 1, 9, 15, tzinfo=UTC),
    "distance": 1400.0,
}


@dataclass
class Found:
    """Values of one row."""

    values: dict[str, Any]
    ages: dict[str, float | None]
    expired: tuple[str, ...] = ()
    read_at: float = 1_372_669_200.0


class MemoryLookup:
    """Planes by tail number; can be taken away."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.is_there = True
        self.view_names = ("plane_profile",)

    def read(self, rows: Sequence[dict[str, Any]]) -> list[Found]:
        if not self.is_there:
            raise EndpointUnavailableError("online store: it must be readable, but is gone.")
        self.asked = list(rows)
        known = [row["tailnum"] == "N1" for row in rows]
        return [
            Found({"plane_age": 10.0 if is_known else math.nan}, {"plane_profile": 60.0 if is_known else None})
            for is_known in known
        ]


def write_model(folder: Path, with_sample: bool = True) -> Model:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({f.name: rng.normal(10, 4, 300) for f in FEATURES if f.kind == "numeric"})
    table["carrier"] = rng.choice(["UA", "AA"], 300).astype(object)
    columns = ColumnTransformer(
        [
            ("numeric", SimpleImputer(add_indicator=True), ["distance", "scheduled_hour", "plane_age"]),
            ("categorical", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["carrier"]),
        ]
    )
    table.loc[:20, "plane_age"] = np.nan
    y = (table["plane_age"].fillna(10) + rng.normal(0, 3, 300) > 10).astype(int)
    model = make_model(TASK, make_pipeline(columns, LogisticRegression(max_iter=500)).fit(table, y), FEATURES)
    save_model(folder, model)
    if with_sample:
        table.to_parquet(folder / "golden.parquet")
    return model


@pytest.fixture
def lookup() -> MemoryLookup:
    return MemoryLookup()


@pytest.fixture
def model(tmp_path) -> Model:
    return write_model(tmp_path)


@pytest.fixture
def served(tmp_path, model, lookup) -> ServedModel:
    return load_served(tmp_path, TASK, lookup, "3")


def test_served_model_joins_request_features_and_looked_up_ones(served, lookup):
    assert served.assemble([ROW]) == [{"carrier": "UA", "distance": 1400.0, "scheduled_hour": 5.25, "plane_age": 10.0}]
    assert lookup.asked[0]["route"] == "EWR-IAH"  # an entity, though no input of the model


def test_served_model_answers_as_the_pipeline_does(served, model):
    rows = [ROW, {**ROW, "tailnum": None}, {**ROW, "carrier": "ZZ", "distance": 20.0}]
    predictions = served.predict(rows)
    expected = pipeline_scorer(model)(served.assemble(rows))[:, 0]
    assert served.scorer.is_compiled, served.scorer.reason
    assert [prediction.output[0] for prediction in predictions] == pytest.approx(expected, abs=1e-12)
    assert [prediction.decision for prediction in predictions] == [bool(p >= 0.5) for p in expected]


def test_prediction_names_missing_features(served):
    predictions = served.predict([ROW, {**ROW, "tailnum": "N999"}, {**ROW, "tailnum": None}])
    assert [prediction.missing_features for prediction in predictions] == [[], ["plane_age"], ["plane_age"]]


def test_model_folder_without_golden_rows_is_served_by_its_pipeline(tmp_path, lookup, caplog):
    write_model(tmp_path, with_sample=False)
    with caplog.at_level(logging.WARNING):
        served = load_served(tmp_path, TASK, lookup)
    assert not served.scorer.is_compiled
    assert "there is no sample" in caplog.text
    assert 0 < served.predict([ROW])[0].output[0] < 1


def test_version_without_a_registry_is_the_hash_of_the_model(tmp_path, model, lookup):
    version = load_served(tmp_path, TASK, lookup).version
    assert len(version) == 12
    assert version == load_served(tmp_path, TASK, lookup).version


def test_predictor_is_ready_only_while_predictions_go_through(served, lookup):
    predictor = Predictor("flight-delays", served)
    assert not predictor.ready
    assert predictor.load()
    assert asyncio.run(predictor.is_ready())
    lookup.is_there = False
    assert not asyncio.run(predictor.is_ready())
    lookup.is_there = True
    assert asyncio.run(predictor.is_ready())


def test_predictor_that_cannot_predict_does_not_load(served, lookup):
    lookup.is_there = False
    with pytest.raises(EndpointUnavailableError, match="online store"):
        Predictor("flight-delays", served).load()


def test_prediction_carries_what_the_model_was_given(served):
    known, unknown = served.predict([ROW, {**ROW, "tailnum": "N999"}])
    assert known.features == {"carrier": "UA", "distance": 1400.0, "scheduled_hour": 5.25, "plane_age": 10.0}
    assert math.isnan(unknown.features["plane_age"])
    assert (known.looked_up.ages, unknown.looked_up.ages) == ({"plane_profile": 60.0}, {"plane_profile": None})
    assert known.looked_up.read_at == 1_372_669_200.0


def test_predictor_infers_through_kserve(served):
    predictions = asyncio.run(Predictor("flight-delays", served).infer([ROW], "a"))
    assert predictions == served.predict([ROW])


def test_model_that_reads_a_feature_that_nobody_serves_does_not_load(tmp_path, lookup):
    model = write_model(tmp_path)
    features = (*FEATURES[:3], dataclasses.replace(FEATURES[3], name="plane_age_years"))
    save_model(
        tmp_path, dataclasses.replace(model, description=model.description.model_copy(update={"features": features}))
    )
    (tmp_path / "golden.parquet").unlink()
    with pytest.raises(ModelRefusedError, match=re.escape("feature `plane_age_years` must be served, but it is not.")):
        Predictor("flight-delays", load_served(tmp_path, TASK, lookup)).load()
