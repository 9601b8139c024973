"""The registry with its artifacts on a real object store, alive and dead."""

import re
from pathlib import Path

import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

from components.base.adapters import mlflow as tracking
from components.base.contract.load import load_problem, write_problem
from components.base.errors import TransientError
from components.base.settings import S3Endpoint

CONTRACT = Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml"
NAME = "flight-delays"


@pytest.fixture
def record(tmp_path):
    example = pd.DataFrame({"distance": [200.0, 1400.0]})
    estimator = LogisticRegression().fit(example, [0, 1])
    files = tmp_path / "files"
    files.mkdir()
    skops.io.dump(estimator, files / "model.skops")
    write_problem(load_problem(CONTRACT), files / "problem.json")
    return tracking.ReleaseRecord(NAME, "run-1:abc", estimator, (), example, files, {}, {}, {}, True)


def test_artifacts_live_in_the_bucket_and_come_back(record, store_settings, store, tmp_path):
    registered = tracking.log_release(record, store_settings)
    tracking.promote(NAME, registered.version, store_settings)
    champion = tracking.download_champion(NAME, tmp_path / "champion", store_settings)

    assert registered.storage_uri.startswith(f"s3://{store_settings.bucket}/mlflow/{NAME}/models/")
    assert store.get_bytes(f"{registered.storage_uri}/model.skops") == (record.files / "model.skops").read_bytes()
    assert (champion.model_folder / "model.skops").read_bytes() == (record.files / "model.skops").read_bytes()


def test_dead_object_store_is_transient_and_leaves_no_version(record, store_settings, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    dead = S3Endpoint("http://127.0.0.1:9", "key", "secret")
    unreachable = store_settings.with_store(dead)
    with pytest.raises(TransientError, match=re.escape("its artifacts at http://127.0.0.1:9 must answer")):
        tracking.log_release(record, unreachable)

    registered = tracking.log_release(record, store_settings)
    assert registered.version == "1"
