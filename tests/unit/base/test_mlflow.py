"""The registry as evaluate, register and deploy use it, over a real MLflow on SQLite."""

import dataclasses
import json
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from components.base.adapters import mlflow as tracking
from components.base.contract.load import load_problem, write_problem
from components.base.errors import ModelRefusedError, TransientError
from components.base.settings import load_settings

CONTRACT = Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml"
NAME = "flight-delays"


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    """A migrated database, made once: the migrations take two seconds."""
    home = tmp_path_factory.mktemp("template")
    settings = load_settings({"TIDEMILL_HOME": str(home)})
    assert tracking.find_aliases(NAME, settings) == {}
    return home / "mlflow.db"


@pytest.fixture
def settings(tmp_path, empty_database):
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return load_settings({"TIDEMILL_HOME": str(tmp_path)})


@pytest.fixture(scope="module")
def example():
    return pd.DataFrame({"distance": [200.0, np.nan, 1400.0, 700.0], "carrier": ["UA", None, "B6", "UA"]})


@pytest.fixture(scope="module")
def estimator(example):
    encode = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["carrier"]))
    return make_pipeline(encode, LogisticRegression()).fit(example, [0, 1, 1, 0])


@pytest.fixture
def record(tmp_path, example, estimator):
    files = tmp_path / "files"
    files.mkdir()
    skops.io.dump(estimator, files / "model.skops")
    (files / "model.json").write_text(json.dumps({"threshold": 0.3}))
    write_problem(load_problem(CONTRACT), files / "problem.json")
    pd.DataFrame({"row_hash": [1, 2], "role": ["train", "test"]}).to_parquet(files / "ledger.parquet")
    return tracking.ReleaseRecord(
        problem=NAME,
        key="run-1:abc",
        estimator=estimator,
        trusted_types=(),
        example=example,
        files=files,
        parameters={"family": "logistic", "threshold": 0.3},
        metrics={"test.average_precision": 0.41, "test.unknown": float("nan")},
        tags={"verdict": "promote", "reasons": "It earns more."},
        is_versioned=True,
    )


def another(record, key="run-2:def"):
    return dataclasses.replace(record, key=key)


def test_release_comes_back_with_the_very_files_that_went_in(record, settings, tmp_path):
    registered = tracking.log_release(record, settings)
    files = tracking.download_version(NAME, registered.version, tmp_path / "back", settings)

    assert registered.version == "1"
    assert files.storage_uri == registered.storage_uri
    for name in ("model.skops", "model.json", "problem.json", "ledger.parquet"):
        assert (files.model_folder / name).read_bytes() == (record.files / name).read_bytes()
    assert files.problem.name == NAME
    assert files.ledger_path.is_file()


def test_logged_model_predicts_the_same_through_mlflow(record, settings, estimator, example):
    import mlflow

    registered = tracking.log_release(record, settings)
    loaded = mlflow.sklearn.load_model(f"models:/{NAME}/{registered.version}")
    described = (Path(registered.storage_uri.removeprefix("file://")) / "MLmodel").read_text()

    np.testing.assert_array_equal(loaded.predict_proba(example), estimator.predict_proba(example))
    assert "serialization_format: skops" in described
    assert '"name": "carrier", "required": false' in described


def test_release_keeps_tags_parameters_and_finite_metrics(record, settings):
    from mlflow import MlflowClient

    registered = tracking.log_release(record, settings)
    run = MlflowClient(settings.mlflow_uri).get_run(registered.run_id)

    assert run.data.metrics == {"test.average_precision": 0.41}
    assert run.data.params == {"family": "logistic", "threshold": "0.3"}
    assert run.data.tags["reasons"] == "It earns more."


def test_same_release_again_changes_nothing(record, settings):
    first = tracking.log_release(record, settings)
    assert tracking.log_release(record, settings) == first
    assert tracking.log_release(another(record), settings).version == "2"


def test_refused_release_is_a_run_without_a_version(record, settings):
    registered = tracking.log_release(dataclasses.replace(record, is_versioned=False), settings)

    assert registered.version is None
    assert registered.run_id
    with pytest.raises(ModelRefusedError, match=re.escape("it must be in the registry")):
        tracking.challenge(NAME, "1", settings)


@pytest.mark.parametrize("point", ["log_model_artifacts", "create_model_version", "set_terminated"])
def test_crash_while_registering_leaves_nothing_visible_and_is_mended_by_the_next_try(
    point, record, settings, monkeypatch
):
    from mlflow import MlflowClient

    def die(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, point, die)
        with pytest.raises(KeyboardInterrupt):
            tracking.log_release(record, settings)
    assert tracking.find_aliases(NAME, settings) == {}
    assert tracking.download_champion(NAME, settings.home / "none", settings) is None

    registered = tracking.log_release(record, settings)
    versions = MlflowClient(settings.mlflow_uri).search_model_versions(f"name = '{NAME}'")
    assert [str(version.version) for version in versions] == [registered.version]


def test_promotion_moves_the_champion_and_remembers_the_one_before(record, settings, tmp_path):
    first, second = tracking.log_release(record, settings), tracking.log_release(another(record), settings)
    tracking.challenge(NAME, first.version, settings)
    assert tracking.promote(NAME, first.version, settings) is None
    assert tracking.find_aliases(NAME, settings) == {"champion": "1"}

    assert tracking.promote(NAME, second.version, settings) == "1"
    assert tracking.promote(NAME, second.version, settings) == "1"
    assert tracking.download_champion(NAME, tmp_path / "champion", settings).version == "2"


def test_rollback_gives_the_alias_back_and_stops_at_the_first(record, settings):
    first, second = tracking.log_release(record, settings), tracking.log_release(another(record), settings)
    tracking.promote(NAME, first.version, settings)
    tracking.promote(NAME, second.version, settings)

    assert tracking.rollback(NAME, "It flags every flight.", settings) == "1"
    assert tracking.find_aliases(NAME, settings) == {"champion": "1"}
    with pytest.raises(ModelRefusedError, match=re.escape("a champion before the present one must exist")):
        tracking.rollback(NAME, "Again.", settings)


def test_withdrawn_challenger_keeps_its_reasons_and_loses_the_alias(record, settings):
    from mlflow import MlflowClient

    first = tracking.log_release(record, settings)
    tracking.challenge(NAME, first.version, settings)
    tracking.withdraw(NAME, first.version, ["It answered too late."], settings)

    assert tracking.find_aliases(NAME, settings) == {}
    tags = MlflowClient(settings.mlflow_uri).get_model_version(NAME, first.version).tags
    assert tags["deployment_reasons"] == "It answered too late."


def test_unknown_version_is_named(settings, tmp_path):
    with pytest.raises(ModelRefusedError, match=re.escape("download flight-delays version 7")):
        tracking.download_version(NAME, "7", tmp_path / "back", settings)


def test_damaged_database_is_told_at_once(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"not a database" * 100)
    with pytest.raises(TransientError, match=re.escape("mlflow.db must be a readable SQLite database")):
        tracking.find_aliases(NAME, load_settings({"TIDEMILL_HOME": str(tmp_path)}))


def test_dead_tracking_server_is_transient_and_names_its_address_without_the_password(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = "http://somebody:secret@127.0.0.1:9"
    settings = load_settings({"TIDEMILL_HOME": str(tmp_path), "TIDEMILL_MLFLOW_URI": uri})
    with pytest.raises(TransientError, match=re.escape("MLflow at http://…@127.0.0.1:9")):
        tracking.find_aliases(NAME, settings)


def test_registering_is_silent(record, settings, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tracking.log_release(record, settings)
    assert capfd.readouterr() == ("", "")
