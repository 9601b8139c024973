"""What others would have said of the rows of a window, from the log alone."""

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from components.features.request import request_table
from components.models.artifact import load_model
from components.models.baselines import load_current_solution
from components.monitoring import predictions as log
from components.monitoring.alternatives import read_columns, score_current_solution, score_previous
from components.monitoring.results import Window
from tests.unit.monitoring.flights_world import AS_OF, FEATURES, PROBLEM, START, TASK, log_rows, make_flights
from tests.unit.monitoring.models_world import RISK, save_release_files

NUMERIC = [feature for feature in FEATURES if feature.kind == "numeric"]


@pytest.fixture
def flights():
    return make_flights(days=2)


@pytest.fixture
def predictions(flights, tmp_path):
    """A window whose copy is on this machine already."""
    import pyarrow.parquet as pq

    pq.write_table(log_rows(flights, features=NUMERIC), tmp_path / "window.parquet", row_group_size=50)
    return log.Predictions(tmp_path / "window.parquet", Window(start=START, end=AS_OF), 0)


def files(folder: Path, features=FEATURES):
    save_release_files(folder, features)
    return SimpleNamespace(version="1", model_folder=folder)


def test_columns_go_by_the_names_of_the_contract(flights, predictions):
    read = read_columns(PROBLEM, predictions, ["origin", "route", "scheduled_hour", RISK])
    requested = request_table(PROBLEM, flights)
    assert read["origin"].tolist() == flights["origin"].tolist()
    assert read["route"].tolist() == requested["route"].tolist()
    np.testing.assert_allclose(read["scheduled_hour"], requested["scheduled_hour"])
    np.testing.assert_allclose(read[RISK], flights["risk"])


def test_current_solution_says_what_it_would_have_said(flights, predictions, tmp_path):
    found = score_current_solution(TASK, predictions, files(tmp_path / "model").model_folder)
    baseline = load_current_solution(TASK, tmp_path / "model" / "baseline.json")
    np.testing.assert_array_equal(found.output, TASK.predict(baseline.estimator, flights))
    np.testing.assert_array_equal(found.decisions, found.output[:, 0] >= baseline.policy.threshold)
    assert found.label == baseline.label
    assert len(np.unique(found.output)) > 10


def test_window_without_rows_has_an_empty_output(flights, tmp_path):
    import pyarrow.parquet as pq

    pq.write_table(log_rows(flights.head(0), features=NUMERIC), tmp_path / "empty.parquet")
    empty = log.Predictions(tmp_path / "empty.parquet", Window(start=START, end=AS_OF), 0)
    found = score_current_solution(TASK, empty, files(tmp_path / "model").model_folder)
    assert (found.output.shape, found.decisions.shape) == ((0, 1), (0,))


def test_champion_before_scores_the_features_as_they_were_served(flights, predictions, tmp_path):
    before, now = files(tmp_path / "before", FEATURES[:3]), files(tmp_path / "now")
    found = score_previous(TASK, predictions, before, now)
    model = load_model(TASK, before.model_folder)
    np.testing.assert_allclose(found.output, model.predict(flights))
    np.testing.assert_array_equal(found.decisions, model.policy.apply(found.output))
    assert found.label == "version 1"


def test_champion_whose_features_are_not_logged_is_left_out(predictions, tmp_path, caplog):
    before, now = files(tmp_path / "before"), files(tmp_path / "now", FEATURES[:3])
    with caplog.at_level(logging.WARNING):
        assert score_previous(TASK, predictions, before, now) is None
    assert f"{RISK} are not logged any more" in caplog.text


def test_champion_that_cannot_be_read_is_left_out(predictions, tmp_path, caplog):
    before, now = files(tmp_path / "before"), files(tmp_path / "now")
    (before.model_folder / "model.skops").write_bytes(b"damaged")
    with caplog.at_level(logging.WARNING):
        assert score_previous(TASK, predictions, before, now) is None
    assert "version 1 is not compared with" in caplog.text
