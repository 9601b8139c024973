"""The life of a release against a real MLflow server over HTTP, its files in a real object store."""

import re
import uuid

import pytest

from components.base.adapters import mlflow as tracking
from components.base.adapters.s3 import open_store
from components.base.errors import ModelRefusedError
from components.base.settings import load_settings
from tests.contracts.running_mlflow import running_mlflow
from tests.unit.made_models import make_release_files


@pytest.fixture(scope="module")
def settings(seaweedfs, tmp_path_factory):
    home, bucket = tmp_path_factory.mktemp("home"), f"test-{uuid.uuid4().hex}"
    local = load_settings({"TIDEMILL_HOME": str(home), "TIDEMILL_BUCKET": bucket}).with_store(seaweedfs.endpoint)
    open_store(local).ensure_bucket()
    with running_mlflow(local) as remote:
        yield remote


@pytest.fixture
def make_record(tmp_path):
    files = tmp_path / "files"
    estimator, example = make_release_files(files)

    def make(problem, key, is_versioned=True):
        tags = {"kfp_run_id": key}
        return tracking.ReleaseRecord(problem, key, estimator, (), example, files, {}, {"f1": 0.5}, tags, is_versioned)

    return make


def test_a_release_is_logged_promoted_rolled_back_and_downloaded(settings, make_record, tmp_path):
    first = tracking.log_release(make_record("delays", "run-1"), settings)
    assert tracking.log_release(make_record("delays", "run-1"), settings) == first
    second = tracking.log_release(make_record("delays", "run-2"), settings)
    assert (first.version, second.version) == ("1", "2")
    assert first.storage_uri.startswith(f"s3://{settings.bucket}/mlflow/delays/models/")

    tracking.challenge("delays", "1", settings)
    assert tracking.promote("delays", "1", settings) is None
    assert tracking.promote("delays", "2", settings) == "1"
    assert tracking.find_version("delays", "2", settings).tags["kfp_run_id"] == "run-2"
    fetched = tracking.download_champion("delays", tmp_path / "champion", settings)
    assert fetched.version == "2"
    assert (fetched.model_folder / "model.skops").read_bytes() == (tmp_path / "files" / "model.skops").read_bytes()

    assert tracking.rollback("delays", "It flags every flight.", settings) == "1"
    assert tracking.find_aliases("delays", settings) == {"champion": "1"}


def test_a_refused_release_is_a_run_without_a_version(settings, make_record):
    refused = tracking.log_release(make_record("refused", "run-1", is_versioned=False), settings)
    assert refused.version is None
    with pytest.raises(ModelRefusedError, match=re.escape("it must be in the registry")):
        tracking.challenge("refused", "1", settings)


def test_a_challenger_that_did_not_prove_itself_keeps_its_reasons(settings, make_record):
    version = tracking.log_release(make_record("slow", "run-1"), settings).version
    tracking.challenge("slow", version, settings)
    tracking.withdraw("slow", version, ["It answered too late."], settings)
    assert tracking.find_aliases("slow", settings) == {}
    assert tracking.find_version("slow", version, settings).tags["deployment_reasons"] == "It answered too late."


def test_nothing_of_a_problem_without_a_release_is_found(settings, tmp_path):
    assert tracking.find_aliases("unknown", settings) == {}
    assert tracking.download_champion("unknown", tmp_path / "none", settings) is None
