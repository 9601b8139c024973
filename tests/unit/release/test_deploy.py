"""Deployment over a real registry, a real online store and the real predictor as a process."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from components.base.adapters import mlflow as tracking
from components.base.contract.load import load_problem
from components.base.errors import ModelRefusedError
from components.release import deploy as deploy_module
from components.release.deploy import deploy_release, rollback_endpoint
from components.release.record import read_release, write_release
from components.release.smoke_test import Gate, Trial
from components.serving.client import Target, is_answering, replay_v1
from components.serving.endpoint import read_endpoint, start_endpoint
from components.serving.predictor.requests import RequestSchema

ROOT = Path(__file__).parents[3]
CONTRACT = ROOT / "pipelines" / "problems" / "flight-delays.yaml"
PROBLEM = load_problem(CONTRACT)


@pytest.fixture
def settings(tracking_settings):
    return tracking_settings


@pytest.fixture
def release(release, settings):
    """Register releases that were compared with the champion of that moment, as in a whole run."""

    def make(run_id: str, verdict: str = "promote") -> Path:
        folder = release(run_id, verdict)
        champion = tracking.find_aliases("flight-delays", settings).get("champion")
        write_release(folder, dataclasses.replace(read_release(folder), compared_with=champion))
        return folder

    return make


@pytest.fixture
def passed(monkeypatch):
    """Replace the trial by one whose gates pass, for what is about the promotion and not the endpoint."""
    gate = Gate("v1_difference", 0.0, 1e-9, "V1 is right.")
    monkeypatch.setattr(deploy_module, "try_endpoint", lambda *args: Trial((gate,), {"rows": 1}, []))


def wait_for(condition, seconds=90):
    """Return the first true value of the condition."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)
    return value


def read_deployment(folder: Path) -> dict:
    return json.loads((folder / "deployment.json").read_text())


def test_release_proves_itself_over_both_protocols_and_takes_charge(filled, release, settings, tmp_path):
    deploy_release(PROBLEM, release("run-1"), tmp_path / "deployment", settings)
    told = read_deployment(tmp_path / "deployment")

    assert told["outcome"] == "promoted", told["reasons"]
    assert (told["candidate"], told["champion"], told["previous"]) == ("1", "1", None)
    assert [gate["name"] for gate in told["gates"]] == [
        "v1_difference",
        "v2_difference",
        "different_decisions",
        "p99_milliseconds",
    ]
    assert told["replay"]["rows"] == 200
    assert told["replay"]["v1_difference"] <= 1e-9
    # Every other aircraft is unknown, and one carrier of three.
    assert told["replay"]["missing_features"]["plane_seats"] == 100
    assert 0 < told["replay"]["missing_features"]["carrier_late_ratio_24h"] < 200
    skew = {entry["feature"]: entry for entry in told["skew"]}
    assert skew["carrier"]["different_rows"] == 0
    assert skew["carrier_late_ratio_24h"]["different_rows"] == 200
    assert tracking.find_aliases("flight-delays", settings) == {"champion": "1"}
    assert read_endpoint("flight-delays", settings).version == "1"
    assert "version 1 (compiled) listens" in (tmp_path / "deployment" / "predictor.log").read_text()

    with start_endpoint("flight-delays", settings) as endpoint:
        target = Target(endpoint.url, endpoint.name, RequestSchema.of(PROBLEM))
        answers = replay_v1(target, [endpoint.example])
        assert endpoint.version == "1"
        assert 0 <= answers.probabilities[0] <= 1
    assert not endpoint.process.is_running()


def test_second_release_goes_to_the_same_endpoint_through_the_stages_of_the_contract(
    passed, release, settings, tmp_path
):
    deploy_release(PROBLEM, release("run-1"), tmp_path / "first", settings)
    deploy_release(PROBLEM, release("run-2"), tmp_path / "second", settings)
    first, second = read_deployment(tmp_path / "first"), read_deployment(tmp_path / "second")

    assert (second["champion"], second["previous"]) == ("2", "1")
    assert first["endpoint"] == second["endpoint"] == "flight-delays"
    assert [stage["percent"] for stage in first["rollout"]] == [100]
    assert [stage["percent"] for stage in second["rollout"]] == PROBLEM.serving.canary_percent
    canary = yaml.safe_load((tmp_path / "second" / second["rollout"][0]["file"]).read_text())
    assert canary["spec"]["predictor"]["name"] == "v1"
    assert canary["spec"]["canary"][0]["predictor"]["name"] == "v2"
    record = read_endpoint("flight-delays", settings)
    assert (record.version, record.previous) == ("2", "1")


@pytest.mark.parametrize("verdict", ["hold", "refuse"])
def test_release_that_is_not_wanted_leaves_the_champion_and_says_why(passed, verdict, release, settings, tmp_path):
    deploy_release(PROBLEM, release("run-1"), tmp_path / "first", settings)
    deploy_release(PROBLEM, release("run-2", verdict), tmp_path / "second", settings)
    told = read_deployment(tmp_path / "second")

    assert (told["outcome"], told["champion"], told["rollout"]) == ("kept", "1", [])
    assert told["reasons"] == ["Version 1 stays in charge.", f"The verdict is {verdict}."]
    assert read_endpoint("flight-delays", settings).version == "1"


def test_release_compared_with_another_champion_is_kept_and_a_new_run_asked_for(passed, release, settings, tmp_path):
    first, second = release("run-1"), release("run-2")
    deploy_release(PROBLEM, first, tmp_path / "first", settings)
    deploy_release(PROBLEM, second, tmp_path / "second", settings)
    told = read_deployment(tmp_path / "second")

    assert (told["outcome"], told["champion"], told["rollout"]) == ("kept", "1", [])
    assert told["reasons"] == [
        "The champion changed meanwhile: version 2 was compared with none, and the champion is now version 1. "
        "Run the pipeline again."
    ]
    assert tracking.find_aliases("flight-delays", settings)["champion"] == "1"
    assert read_endpoint("flight-delays", settings).version == "1"


def test_release_in_charge_already_is_neither_tried_nor_withdrawn_again(
    passed, release, settings, tmp_path, monkeypatch
):
    deploy_release(PROBLEM, release("run-1"), tmp_path / "first", settings)
    folder = release("run-2")
    deploy_release(PROBLEM, folder, tmp_path / "second", settings)
    late = Gate("p99_milliseconds", 80.0, 50.0, "Too slow.")
    monkeypatch.setattr(deploy_module, "try_endpoint", lambda *args: Trial((late,), None, []))
    deploy_release(PROBLEM, folder, tmp_path / "again", settings)
    told = read_deployment(tmp_path / "again")

    assert (told["outcome"], told["champion"], told["previous"]) == ("promoted", "2", "1")
    assert told["reasons"] == ["Version 2 is in charge already."]
    assert [stage["percent"] for stage in told["rollout"]] == PROBLEM.serving.canary_percent
    assert "deployment" not in tracking.find_version("flight-delays", "2", settings).tags


def test_endpoint_that_fails_a_gate_leaves_the_champion_and_keeps_the_reason(
    passed, release, settings, tmp_path, monkeypatch
):
    deploy_release(PROBLEM, release("run-1"), tmp_path / "first", settings)
    late = Gate("p99_milliseconds", 80.0, 50.0, "99 of 100 single requests took at most 80 ms (limit 50).")
    monkeypatch.setattr(deploy_module, "try_endpoint", lambda *args: Trial((late,), None, []))
    deploy_release(PROBLEM, release("run-2"), tmp_path / "second", settings)
    told = read_deployment(tmp_path / "second")

    assert (told["outcome"], told["champion"], told["inference_service"]) == ("refused", "1", None)
    assert told["reasons"] == [late.reason, "Version 1 stays in charge."]
    assert tracking.find_aliases("flight-delays", settings) == {"champion": "1"}
    assert tracking.find_version("flight-delays", "2", settings).tags["deployment_reasons"] == late.reason


def test_model_that_changed_in_the_registry_is_refused_before_it_serves(release, settings, tmp_path):
    folder = release("run-1")
    stored = Path(tracking.find_version("flight-delays", "1", settings).storage_uri.removeprefix("file://"))
    (stored / "model.json").write_text((stored / "model.json").read_text().replace("0.5", "0.9"))
    deploy_release(PROBLEM, folder, tmp_path / "deployment", settings)

    told = read_deployment(tmp_path / "deployment")
    assert told["outcome"] == "refused"
    assert told["reasons"][0] == "The registry's files of version 1 are not the model that was evaluated."


def test_predictor_that_cannot_start_is_refused_with_the_end_of_its_log(
    filled, release, settings, tmp_path, monkeypatch
):
    monkeypatch.setenv("TIDEMILL_BUCKIT", "typo")
    deploy_release(PROBLEM, release("run-1"), tmp_path / "deployment", settings)

    told = read_deployment(tmp_path / "deployment")
    assert told["outcome"] == "refused"
    assert "its process ended" in told["reasons"][0]
    assert "Did you mean 'TIDEMILL_BUCKET'?" in told["reasons"][0]
    assert tracking.find_aliases("flight-delays", settings) == {}


@pytest.mark.parametrize("point", ["plan_rollout", "promote", "record_endpoint"])
def test_crash_in_between_promotes_nothing_by_half_and_the_next_try_ends_it(
    point, passed, release, settings, tmp_path, monkeypatch
):
    deploy_release(PROBLEM, release("run-1"), tmp_path / "first", settings)
    folder = release("run-2")

    def die(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tracking if point == "promote" else deploy_module, point, die)
        with pytest.raises(KeyboardInterrupt):
            deploy_release(PROBLEM, folder, tmp_path / "second", settings)
    in_charge = "2" if point == "record_endpoint" else "1"
    assert tracking.find_aliases("flight-delays", settings)["champion"] == in_charge
    assert not (tmp_path / "second" / "deployment.json").exists()

    deploy_release(PROBLEM, folder, tmp_path / "second", settings)
    told = read_deployment(tmp_path / "second")
    assert (told["outcome"], told["champion"], told["previous"]) == ("promoted", "2", "1")
    assert tracking.find_aliases("flight-delays", settings) == {"champion": "2"}
    assert read_endpoint("flight-delays", settings).version == "2"


def test_killed_deployment_takes_its_predictor_along_and_promotes_nothing(filled, release, settings, tmp_path):
    folder, log = release("run-1"), tmp_path / "deployment" / "predictor.log"
    code = (
        "import sys; from pathlib import Path; from components.base.contract.load import load_problem\n"
        "from components.base.settings import load_settings; from components.release import smoke_test\n"
        "from components.release.deploy import deploy_release\n"
        # Holds the deployment at its last moment before the replay.
        "smoke_test.replay_v1 = lambda *args: __import__('time').sleep(60)\n"
        "deploy_release(load_problem(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), load_settings())"
    )
    command = [sys.executable, "-c", code, str(CONTRACT), str(folder), str(tmp_path / "deployment")]
    environment = {**os.environ, "TIDEMILL_HOME": str(settings.home)}
    with subprocess.Popen(command, env=environment, cwd=ROOT) as running:
        url = wait_for(lambda: log.is_file() and re.search(r"listens on (\S+)", log.read_text()))[1]
        running.send_signal(signal.SIGKILL)

    assert wait_for(lambda: not is_answering(url, "/v2/health/live"))
    assert tracking.find_aliases("flight-delays", settings) == {"challenger": "1"}
    assert read_endpoint("flight-delays", settings) is None
    assert not (tmp_path / "deployment" / "deployment.json").exists()


def test_rollback_puts_the_champion_before_in_charge(passed, release, settings, tmp_path):
    deploy_release(PROBLEM, release("run-1"), tmp_path / "first", settings)
    with pytest.raises(ModelRefusedError, match=re.escape("a champion before the present one must exist")):
        rollback_endpoint(PROBLEM, "It flags every flight.", settings)
    deploy_release(PROBLEM, release("run-2"), tmp_path / "second", settings)

    assert rollback_endpoint(PROBLEM, "It flags every flight.", settings) == "1"
    assert read_endpoint("flight-delays", settings).version == "1"


def test_endpoint_without_a_champion_says_what_to_run(settings):
    with (
        pytest.raises(ModelRefusedError, match=re.escape("Run `make demo` first.")),
        start_endpoint("flight-delays", settings),
    ):
        pass
