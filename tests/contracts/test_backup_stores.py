"""The stores of an installation as one stream, and back: real object store, Redis, registry and predictor."""

# ruff: noqa: F811 - fixtures are given by their names

import io
import re
import shutil
from datetime import UTC, datetime

import pytest
from redis import Redis

from components.base.adapters import mlflow as tracking
from components.base.adapters.s3 import open_store
from components.base.errors import DataError, PermanentError
from components.governor.inbox import Inbox, Times
from components.governor.schema import Database
from pipelines.cluster.backup import dump_of, read_backup, reading_backup, writing_backup
from pipelines.cluster.state import compare_states, describe_installation, summarize_state, without_answers
from pipelines.cluster.stores import export_stores, import_stores, read_summary
from tests.contracts.running_redis import running_redis
from tests.unit.conftest import (  # noqa: F401 - fixtures
    empty_tracking_database,
    fill_features,
    model_folder,
    prepared,
    release,
)

NOW = datetime(2013, 8, 1, tzinfo=UTC)


@pytest.fixture
def redis(tmp_path):
    (tmp_path / "redis").mkdir()
    with running_redis(tmp_path / "redis", password="s3cret") as url:
        yield url


@pytest.fixture
def tracking_settings(store_settings, empty_tracking_database, redis):
    """An installation with every store that a backup copies."""
    store_settings.home.mkdir()
    shutil.copy(empty_tracking_database, store_settings.home / "mlflow.db")
    settings = store_settings.model_copy(update={"online_store": redis})
    fill_features(settings.home / "features", settings)
    return settings


def _rule(settings, person):
    inbox = Inbox(Database(settings.governor_database))
    inbox.add_problem("flight-delays", NOW)
    inbox.open_request("flight-delays", person, "The feed is whole again.", Times(NOW, NOW))


def test_a_restored_installation_is_the_one_that_was_kept_and_a_damaged_one_is_not(
    tracking_settings, release, redis, tmp_path
):
    store, settings = open_store(tracking_settings), tracking_settings
    release("run-1")
    tracking.promote("flight-delays", "1", settings)
    _rule(settings, "anna")
    store.put_bytes("flight-delays/large.parquet", bytes(9 * 2**20))
    kept = describe_installation(settings)
    assert kept.problems["flight-delays"].answers.version == "1"
    assert len(kept.problems["flight-delays"].answers.outputs) > 0
    assert "version 1" in " ".join(summarize_state(kept))
    with (tmp_path / "stores.tar").open("wb") as file:
        export_stores(settings, file)
    summary = read_summary(str(tmp_path / "stores.tar"))
    assert (summary.objects, summary.objects_digest) == (kept.objects, kept.objects_digest)

    for entry in store.list_objects():
        store.delete(entry.key)
    Redis.from_url(redis).flushall()
    _rule(settings, "bob")
    with (tmp_path / "stores.tar").open("rb") as file:
        import_stores(settings, file)
    differences = compare_states(kept, describe_installation(settings))
    assert len(differences) == 1
    assert differences[0].startswith("words and times of the rulings must be")

    Redis.from_url(redis).flushall()
    found = describe_installation(settings, asks_champions=False)
    assert any("online store" in words for words in compare_states(without_answers(kept), found))


def test_half_a_backup_is_refused(store_settings, redis, tmp_path):
    settings = store_settings.model_copy(update={"online_store": redis})
    open_store(settings).put_bytes("a", bytes(100_000))
    stream = io.BytesIO()
    export_stores(settings, stream)
    (tmp_path / "half.tar").write_bytes(stream.getvalue()[:60_000])
    with pytest.raises(DataError, match="Take another backup"):
        read_summary(str(tmp_path / "half.tar"))


def test_a_backup_goes_to_an_s3_prefix_and_comes_back_and_half_of_one_is_none(store_settings, monkeypatch):
    endpoint = store_settings.s3
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", endpoint.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", endpoint.secret_key)
    place = f"s3://{store_settings.bucket}/backups/may"
    with writing_backup(place) as folder:
        dump_of(folder, "mlflow").parent.mkdir()
        dump_of(folder, "mlflow").write_bytes(b"rows")
        (folder / "backup.json").write_text("{}")
    with reading_backup(place) as folder:
        assert dump_of(folder, "mlflow").read_bytes() == b"rows"
    with pytest.raises(PermanentError, match="Name a prefix"), reading_backup(f"s3://{store_settings.bucket}"):
        pass
    open_store(store_settings).delete("backups/may/backup.json")
    with reading_backup(place) as folder, pytest.raises(DataError, match=re.escape("backup.json")):
        read_backup(folder)
