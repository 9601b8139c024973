"""The registry with its artifacts on a real object store, alive and dead."""

import re

import pytest

from components.base.adapters import mlflow as tracking
from components.base.errors import TransientError
from components.base.settings import S3Endpoint
from tests.unit.made_models import make_release_files

NAME = "flight-delays"


@pytest.fixture
def record(tmp_path):
    files = tmp_path / "files"
    estimator, example = make_release_files(files)
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
