"""A held version that a person promotes: tested as ever, recorded with name and reason."""

from pathlib import Path

import pytest

from components.base.adapters import mlflow as tracking
from components.base.errors import ModelRefusedError
from components.base.gate import limit_gate
from components.release import deploy as deploy_module
from components.release.deploy import promote_release
from components.release.record import SmokeTest
from components.serving.local import read_endpoint
from components.tasks import open_task
from pipelines.commands.app import main
from tests.unit.conftest import PROBLEM

TASK = open_task(PROBLEM)


def _tags(version, settings):
    return tracking.find_version("flight-delays", version, settings).tags


def test_a_held_version_is_tested_and_becomes_the_champion_with_name_and_reason(filled, release, tracking_settings):
    release("run-1", "hold")
    deployment = promote_release(TASK, "1", "anna", "The business accepts it.", tracking_settings)
    assert deployment.outcome == "promoted", deployment.reasons
    assert deployment.smoke_test.replay.rows > 0
    assert tracking.find_aliases("flight-delays", tracking_settings)["champion"] == "1"
    assert read_endpoint("flight-delays", tracking_settings).version == "1"
    tags = _tags("1", tracking_settings)
    assert (tags["promoted_by"], tags["promotion_reason"]) == ("anna", "The business accepts it.")


def test_no_person_overrules_the_smoke_test(release, tracking_settings, monkeypatch, capsys):
    failed = limit_gate("v1_difference", 1.0, 1e-9, "V1 is wrong.")
    monkeypatch.setattr(deploy_module, "run_smoke_test", lambda *args: SmokeTest(gates=(failed,)))
    monkeypatch.setenv("TIDEMILL_HOME", str(tracking_settings.home))
    release("run-1", "hold")
    assert main(["promote", "--version", "1", "--reason", "It is urgent.", "--by", "anna"]) == 1
    assert "V1 is wrong." in capsys.readouterr().out
    assert "champion" not in tracking.find_aliases("flight-delays", tracking_settings)
    assert _tags("1", tracking_settings)["promotion_reason"] == "It is urgent."


def test_a_promotion_needs_a_reason_and_a_version_that_exists(tracking_settings, monkeypatch):
    monkeypatch.setenv("TIDEMILL_HOME", str(tracking_settings.home))
    assert main(["promote", "--version", "7", "--reason", " "]) == 2
    with pytest.raises(ModelRefusedError, match="it must be in the registry"):
        promote_release(TASK, "7", "anna", "It is urgent.", tracking_settings)
    assert not Path(tracking_settings.home, "endpoints").exists()
