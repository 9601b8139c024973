import time

import pytest

from components.base.adapters.s3 import open_store
from components.base.errors import DataError, TransientError
from components.features.feast.feature_store import registered_views
from pipelines.commands.app import main
from pipelines.commands.bootstrap import repeat_until
from tests.unit.conftest import PROBLEM


def test_bootstrap_makes_bucket_and_features_and_may_be_repeated(store_settings, monkeypatch, capsys):
    settings = store_settings.model_copy(update={"bucket": f"{store_settings.bucket}-new"})
    for name, value in settings.child_environment().items():
        monkeypatch.setenv(name, value)
    for _ in range(2):
        assert main(["bootstrap", "all", "--timeout-seconds", "0", "--no-schedules"]) == 0
    assert "features: flight-delays is registered" in capsys.readouterr().out
    assert open_store(settings).list_objects() == []
    assert [view.name for view in registered_views(PROBLEM, settings)]


def test_bootstrap_schedules_the_runs_of_the_contracts(store_settings, monkeypatch):
    for name, value in store_settings.child_environment().items():
        monkeypatch.setenv(name, value)
    planned = []
    monkeypatch.setattr("pipelines.commands.schedules.apply_schedules", lambda **options: planned.append(options))
    assert main(["bootstrap", "all", "--timeout-seconds", "0"]) == 0
    assert planned == [{"plan": False}]


def test_what_does_not_answer_yet_is_tried_again(monkeypatch):
    monkeypatch.setattr("pipelines.commands.bootstrap._PAUSE_SECONDS", 0)
    tries = []

    def work():
        tries.append(1)
        if len(tries) < 3:
            raise OSError("connection refused")

    repeat_until("bucket", work, time.monotonic() + 60)
    assert len(tries) == 3


def test_a_wait_ends_at_its_deadline_with_the_last_reason():
    def work():
        raise OSError("connection refused")

    with pytest.raises(TransientError, match=r"bucket: .* connection refused"):
        repeat_until("bucket", work, time.monotonic() - 1)


def test_what_can_never_work_is_not_repeated():
    def work():
        raise DataError("no")

    with pytest.raises(DataError):
        repeat_until("bucket", work, time.monotonic() + 60)
