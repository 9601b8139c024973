"""Deployment over a real registry, a real online store and the real predictor as a process."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml

from components.base import documents
from components.base.adapters import mlflow as tracking
from components.base.contract.load import load_problem
from components.base.errors import EndpointUnavailableError, ModelRefusedError, PermanentError
from components.base.gate import Gate, limit_gate
from components.base.run_lock import STEP_RUN_FOLDER
from components.features.online.reader import Filling
from components.release import deploy as deploy_module
from components.release import smoke_test
from components.release.deploy import deploy_release, rollback_release
from components.release.golden_rows import Expected
from components.release.record import Deployment, Release, SmokeTest
from components.serving.client import Answers, EndpointAddress, Target, is_answering, replay_v1
from components.serving.endpoint import start_endpoint
from components.serving.local import LocalHost, read_endpoint
from components.serving.predictor.requests import RequestSchema
from components.tasks import open_task
from tests.unit.conftest import AS_OF, fill_features

ROOT = Path(__file__).parents[3]
CONTRACT = ROOT / "pipelines" / "problems" / "flight-delays.yaml"
PROBLEM = load_problem(CONTRACT)
TASK = open_task(PROBLEM)


@pytest.fixture
def settings(tracking_settings):
    return tracking_settings


@pytest.fixture
def release(release, settings):
    """Register releases that were compared with the champion of then, as in a whole run."""

    def make(run_id: str, verdict: str = "promote") -> Path:
        folder = release(run_id, verdict)
        champion = tracking.find_aliases("flight-delays", settings).get("champion")
        written = documents.read(Release, folder / "release.json")
        documents.write(written.model_copy(update={"compared_with": champion}), folder / "release.json")
        return folder

    return make


@pytest.fixture
def passed(monkeypatch):
    """Replace the smoke test by one whose gates pass, for what is about the promotion and not the endpoint."""
    replace_smoke_test(monkeypatch, limit_gate("v1_difference", 0.0, 1e-9, "V1 is right."))


def replace_smoke_test(monkeypatch, *gates: Gate) -> None:
    monkeypatch.setattr(deploy_module, "run_smoke_test", lambda *args: SmokeTest(gates=gates))


def wait_for(condition, seconds=90):
    """Return the first true value of the condition."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)
    return value


def read_deployment(folder: Path) -> Deployment:
    return documents.read(Deployment, folder / "deployment.json")


def test_release_passes_over_both_protocols_and_becomes_the_champion(filled, release, settings, tmp_path):
    deploy_release(TASK, release("run-1"), tmp_path / "deployment", settings)
    told = read_deployment(tmp_path / "deployment")

    assert told.outcome == "promoted", told.reasons
    assert (told.candidate, told.champion, told.previous) == ("1", "1", None)
    assert [gate.name for gate in told.gates] == [
        "v1_difference",
        "v2_difference",
        "different_decisions",
        "p99_milliseconds",
        "training_serving_skew",
        "missing_features",
        "expired_features",
    ]
    assert {gate.verdict for gate in told.gates} == {"pass"}
    replay = told.smoke_test.replay
    assert replay.rows == 200
    assert replay.v1_difference <= 1e-9
    # Every other aircraft is unknown, and one carrier of three.
    assert replay.missing_features["plane_seats"] == 100
    assert 0 < replay.missing_features["carrier_late_ratio_24h"] < 200
    assert {entry.rows for entry in told.smoke_test.skew} == {40}
    assert {entry.different_rows for entry in told.smoke_test.skew} == {0}
    assert tracking.find_aliases("flight-delays", settings) == {"champion": "1"}
    assert read_endpoint("flight-delays", settings).version == "1"
    assert "version 1 (compiled) listens" in (tmp_path / "deployment" / "predictor.log").read_text()

    with start_endpoint("flight-delays", settings) as endpoint:
        address = EndpointAddress(Target(endpoint.url), endpoint.name, RequestSchema.of(PROBLEM), TASK.output_columns)
        answers = replay_v1(address, [endpoint.example])
        assert endpoint.version == "1"
        assert 0 <= answers.output.item() <= 1
    assert not endpoint.process.is_running()


def skew_of(folder: Path) -> dict[str, Gate]:
    return {gate.name: gate for gate in read_deployment(folder).gates if gate.blocks}


@pytest.fixture
def quick_replay(monkeypatch):
    """Answer golden rows as the model does: these tests are about the features, whoever answers."""

    @contextmanager
    def ready(*_):
        yield lambda: Target("http://127.0.0.1:9")

    answered = Answers(np.zeros((1, 1)), (False,), ((),), np.ones(1), np.zeros(1))
    monkeypatch.setattr(LocalHost, "try_candidate", ready)
    monkeypatch.setattr(smoke_test, "_replay", lambda *_: smoke_test._Passes((answered,), answered))
    monkeypatch.setattr(smoke_test, "_answer_offline", lambda *_: Expected(np.zeros((1, 1)), (False,)))


def test_release_whose_requests_are_transformed_otherwise_than_in_training_is_refused(
    quick_replay, filled, release, settings, tmp_path, monkeypatch
):
    deploy_release(TASK, release("run-1"), tmp_path / "first", settings)
    own = smoke_test.request_row
    monkeypatch.setattr(
        smoke_test, "request_row", lambda problem, row: {**own(problem, row), "distance": 0.5 * row["distance"]}
    )
    deploy_release(TASK, release("run-2"), tmp_path / "second", settings)

    told = read_deployment(tmp_path / "second")
    assert (told.outcome, told.champion) == ("refused", "1")
    blocking = skew_of(tmp_path / "second")
    assert set(blocking) == {"training_serving_skew"}
    assert blocking["training_serving_skew"].reason == (
        "Distance is served with another value than training would have got: 100.0% of 40 newest rows (limit 5.0%)."
    )
    assert tracking.find_aliases("flight-delays", settings)["champion"] == "1"
    assert read_endpoint("flight-delays", settings).version == "1"


def test_release_is_refused_when_the_online_store_holds_nobody(quick_replay, filled, release, settings, tmp_path):
    deploy_release(TASK, release("run-1"), tmp_path / "first", settings)
    fill_features(tmp_path / "empty", settings, entities=0)
    deploy_release(TASK, release("run-2"), tmp_path / "second", settings)

    told = read_deployment(tmp_path / "second")
    assert (told.outcome, told.champion) == ("refused", "1")
    assert set(skew_of(tmp_path / "second")) == {"training_serving_skew", "missing_features"}
    words = "has no value in the online store more often than in training: 100.0% of 40 newest rows (limit 10.0%)."
    assert words in " ".join(told.reasons)
    assert read_endpoint("flight-delays", settings).version == "1"


def test_release_is_refused_when_what_the_store_holds_has_expired(
    quick_replay, filled, release, settings, tmp_path, monkeypatch
):
    deploy_release(TASK, release("run-1"), tmp_path / "first", settings)
    monkeypatch.setattr(Filling, "now", lambda filling: filling.as_of + 366 * 86_400)
    deploy_release(TASK, release("run-2"), tmp_path / "second", settings)

    blocking = skew_of(tmp_path / "second")
    assert set(blocking) == {"missing_features", "expired_features"}
    assert blocking["expired_features"].reason.endswith(
        "is too old in the online store more often than it was missing in training: 100.0% of 40 newest rows "
        "(limit 5.0%). `make refresh AS_OF=2013-07-01T00:00:00` fills it anew."
    )
    assert read_endpoint("flight-delays", settings).version == "1"


def test_values_of_a_store_that_was_filled_for_another_time_are_not_compared(
    quick_replay, filled, release, settings, tmp_path
):
    fill_features(tmp_path / "later", settings, AS_OF + timedelta(hours=1))
    deploy_release(TASK, release("run-1"), tmp_path / "first", settings)
    gates = {gate.name: gate for gate in read_deployment(tmp_path / "first").gates}
    assert gates["training_serving_skew"].verdict == "not judged"
    assert gates["missing_features"].verdict == gates["expired_features"].verdict == "pass"


def test_second_release_goes_to_the_same_endpoint_through_the_stages_of_the_contract(
    passed, release, settings, tmp_path
):
    deploy_release(TASK, release("run-1"), tmp_path / "first", settings)
    deploy_release(TASK, release("run-2"), tmp_path / "second", settings)
    first, second = read_deployment(tmp_path / "first"), read_deployment(tmp_path / "second")

    assert (second.champion, second.previous) == ("2", "1")
    assert first.endpoint == second.endpoint == "flight-delays"
    assert [stage.percent for stage in first.rollout] == [100]
    assert [stage.percent for stage in second.rollout] == [0, *PROBLEM.serving.canary_percent, 100]
    canary = yaml.safe_load((tmp_path / "second" / second.rollout[0].file).read_text())
    assert canary["spec"]["predictor"]["name"] == "v1"
    assert canary["spec"]["canary"][0]["predictor"]["name"] == "v2"
    record = read_endpoint("flight-delays", settings)
    assert (record.version, record.previous) == ("2", "1")


@pytest.mark.parametrize("verdict", ["hold", "refuse"])
def test_release_that_is_not_wanted_leaves_the_champion_and_says_why(passed, verdict, release, settings, tmp_path):
    deploy_release(TASK, release("run-1"), tmp_path / "first", settings)
    deploy_release(TASK, release("run-2", verdict), tmp_path / "second", settings)
    told = read_deployment(tmp_path / "second")

    assert (told.outcome, told.champion, told.rollout) == ("kept", "1", ())
    assert told.reasons == ("Version 1 stays champion.", f"The verdict is {verdict}.")
    assert read_endpoint("flight-delays", settings).version == "1"


def test_release_compared_with_another_champion_is_kept_and_a_new_run_asked_for(passed, release, settings, tmp_path):
    first, second = release("run-1"), release("run-2")
    deploy_release(TASK, first, tmp_path / "first", settings)
    deploy_release(TASK, second, tmp_path / "second", settings)
    told = read_deployment(tmp_path / "second")

    assert (told.outcome, told.champion, told.rollout) == ("kept", "1", ())
    assert told.reasons == (
        "The champion changed meanwhile: version 2 was compared with none, and the champion is now version 1. "
        "Run the pipeline again.",
    )
    assert tracking.find_aliases("flight-delays", settings)["champion"] == "1"
    assert read_endpoint("flight-delays", settings).version == "1"


def test_release_that_is_the_champion_already_is_neither_tried_nor_withdrawn_again(
    passed, release, settings, tmp_path, monkeypatch
):
    deploy_release(TASK, release("run-1"), tmp_path / "first", settings)
    folder = release("run-2")
    deploy_release(TASK, folder, tmp_path / "second", settings)
    replace_smoke_test(monkeypatch, limit_gate("p99_milliseconds", 80.0, 50.0, "Too slow."))
    deploy_release(TASK, folder, tmp_path / "again", settings)
    told = read_deployment(tmp_path / "again")

    assert (told.outcome, told.champion, told.previous) == ("promoted", "2", "1")
    assert told.reasons == ("Version 2 is the champion already.",)
    assert [stage.percent for stage in told.rollout] == [0, *PROBLEM.serving.canary_percent, 100]
    assert "deployment" not in tracking.find_version("flight-delays", "2", settings).tags


def test_endpoint_that_fails_a_gate_leaves_the_champion_and_keeps_the_reason(
    passed, release, settings, tmp_path, monkeypatch
):
    deploy_release(TASK, release("run-1"), tmp_path / "first", settings)
    late = limit_gate("p99_milliseconds", 80.0, 50.0, "99 of 100 single requests took at most 80 ms (limit 50).")
    replace_smoke_test(monkeypatch, late)
    deploy_release(TASK, release("run-2"), tmp_path / "second", settings)
    told = read_deployment(tmp_path / "second")

    assert (told.outcome, told.champion, told.inference_service) == ("refused", "1", None)
    assert told.reasons == (late.reason, "Version 1 stays champion.")
    assert tracking.find_aliases("flight-delays", settings) == {"champion": "1"}
    assert tracking.find_version("flight-delays", "2", settings).tags["deployment_reasons"] == late.reason


def test_model_that_changed_in_the_registry_is_refused_before_it_serves(release, settings, tmp_path):
    folder = release("run-1")
    stored = Path(tracking.find_version("flight-delays", "1", settings).storage_uri.removeprefix("file://"))
    (stored / "model.json").write_text((stored / "model.json").read_text().replace("0.5", "0.9"))
    deploy_release(TASK, folder, tmp_path / "deployment", settings)

    told = read_deployment(tmp_path / "deployment")
    assert told.outcome == "refused"
    assert told.reasons[0] == "The registry's files of version 1 are not the model that was registered."


def test_predictor_that_cannot_start_is_refused_with_the_end_of_its_log(
    filled, release, settings, tmp_path, monkeypatch
):
    monkeypatch.setenv("TIDEMILL_BUCKIT", "typo")
    deploy_release(TASK, release("run-1"), tmp_path / "deployment", settings)

    told = read_deployment(tmp_path / "deployment")
    assert told.outcome == "refused"
    assert "its process ended" in told.reasons[0]
    assert "Did you mean 'TIDEMILL_BUCKET'?" in told.reasons[0]
    assert tracking.find_aliases("flight-delays", settings) == {}


@pytest.mark.parametrize("point", ["plan_rollout", "host.promote", "tracking.promote", "the document"])
def test_crash_in_between_promotes_nothing_by_half_and_the_next_try_ends_it(
    point, passed, release, settings, tmp_path, monkeypatch
):
    deploy_release(TASK, release("run-1"), tmp_path / "first", settings)
    folder = release("run-2")

    def die(*args, **fields):
        raise KeyboardInterrupt

    places = {
        "plan_rollout": (deploy_module, "plan_rollout"),
        "host.promote": (LocalHost, "promote"),
        "tracking.promote": (tracking, "promote"),
        "the document": (deploy_module, "Deployment"),
    }
    with monkeypatch.context() as patched:
        patched.setattr(*places[point], die)
        with pytest.raises(KeyboardInterrupt):
            deploy_release(TASK, folder, tmp_path / "second", settings)
    # The alias moves last: between it and the host's promotion the registry names what served before.
    assert tracking.find_aliases("flight-delays", settings)["champion"] == ("2" if point == "the document" else "1")
    live = {"1": 100} if point in ("plan_rollout", "host.promote") else {"2": 100}
    assert LocalHost(settings).live("flight-delays") == live
    assert not (tmp_path / "second" / "deployment.json").exists()

    deploy_release(TASK, folder, tmp_path / "second", settings)
    told = read_deployment(tmp_path / "second")
    assert (told.outcome, told.champion, told.previous) == ("promoted", "2", "1")
    assert tracking.find_aliases("flight-delays", settings) == {"champion": "2"}
    assert read_endpoint("flight-delays", settings).version == "2"


@pytest.mark.parametrize("fault", ["promote raises", "the host says otherwise"])
def test_alias_does_not_move_when_the_host_does_not_serve_the_version(
    fault, passed, release, settings, tmp_path, monkeypatch
):
    deploy_release(TASK, release("run-1"), tmp_path / "first", settings)

    def fail(host, candidate):
        raise EndpointUnavailableError("The new pods never became ready.")

    with monkeypatch.context() as patched:
        patched.setattr(LocalHost, "promote", fail if fault == "promote raises" else lambda *args: None)
        words = (
            "never became ready" if fault == "promote raises" else re.escape("but got {'1': 100} (version: percent)")
        )
        with pytest.raises(EndpointUnavailableError, match=words):
            deploy_release(TASK, release("run-2"), tmp_path / "second", settings)
    assert tracking.find_aliases("flight-delays", settings) == {"champion": "1", "challenger": "2"}
    assert LocalHost(settings).live("flight-delays") == {"1": 100}


def test_candidate_is_shifted_through_the_shares_and_withdrawn_at_the_first_that_fails(
    passed, release, settings, tmp_path, monkeypatch
):
    deploy_release(TASK, release("run-1"), tmp_path / "first", settings)
    shifted, withdrawn = [], []

    def shift(host, candidate, percent):
        shifted.append((candidate.version, percent))
        wrong = 0.2 if percent else 0.0
        return [limit_gate("error_ratio", wrong, 0.01, "20% of the answers of the canary were errors (limit 1%).")]

    monkeypatch.setattr(LocalHost, "shift", shift)
    monkeypatch.setattr(LocalHost, "withdraw", lambda host, *who: withdrawn.extend(one.version for one in who))
    deploy_release(TASK, release("run-2"), tmp_path / "second", settings)
    told = read_deployment(tmp_path / "second")

    assert (shifted, withdrawn) == ([("2", 0), ("2", PROBLEM.serving.canary_percent[0])], ["2", "1"])
    assert (told.outcome, told.champion, told.inference_service) == ("refused", "1", None)
    assert [gate.name for gate in told.gates] == ["v1_difference", "error_ratio", "error_ratio"]
    assert told.reasons[0] == "20% of the answers of the canary were errors (limit 1%)."
    assert LocalHost(settings).live("flight-delays") == {"1": 100}


def test_killed_deployment_takes_its_predictor_along_and_promotes_nothing(filled, release, settings, tmp_path):
    folder, log = release("run-1"), tmp_path / "deployment" / "predictor.log"
    code = (
        "import sys; from pathlib import Path; from components.base.contract.load import load_problem\n"
        "from components.base.settings import load_settings; from components.release import smoke_test\n"
        "from components.tasks import open_task\n"
        "from components.release.deploy import deploy_release\n"
        # Holds the deployment at its last moment before the replay.
        "smoke_test.replay_v1 = lambda *args: __import__('time').sleep(60)\n"
        "deploy_release(open_task(load_problem(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3]), load_settings())"
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


def test_rollback_makes_the_champion_before_the_champion_again(passed, release, settings, tmp_path):
    deploy_release(TASK, release("run-1"), tmp_path / "first", settings)
    with pytest.raises(ModelRefusedError, match=re.escape("a champion before the present one must exist")):
        rollback_release(PROBLEM, "It flags every flight.", settings)
    deploy_release(TASK, release("run-2"), tmp_path / "second", settings)

    assert rollback_release(PROBLEM, "It flags every flight.", settings) == "1"
    assert read_endpoint("flight-delays", settings).version == "1"
    assert tracking.find_aliases("flight-delays", settings)["champion"] == "1"


def test_rollback_is_a_command_that_needs_a_reason(passed, release, settings, tmp_path, monkeypatch, capsys):
    from pipelines.commands.app import main

    monkeypatch.setenv("TIDEMILL_HOME", str(settings.home))
    for run in ("run-1", "run-2"):
        deploy_release(TASK, release(run), tmp_path / run, settings)
    assert main(["rollback", "--problem", "flight-delays", "--reason", " "]) == 2
    assert tracking.find_aliases("flight-delays", settings)["champion"] == "2"
    assert main(["rollback", "--problem", "flight-delays", "--reason", "It flags every flight."]) == 0
    assert "flight-delays: version 1 is the champion again." in capsys.readouterr().out
    assert tracking.find_aliases("flight-delays", settings)["champion"] == "1"
    assert tracking.find_version("flight-delays", "2", settings).tags["rolled_back"] == "It flags every flight."
    assert main(["rollback", "--problem", "flight-delays", "--reason", "And again."]) == 1


HELD_RUN = """
import sys, time
from pathlib import Path
from components.base.run_lock import claim_run
with claim_run(Path(sys.argv[1])):
    print("claimed", flush=True)
    time.sleep(600)
"""


@contextmanager
def running_run(folder: Path):
    """A process that has begun a run, as the main process of a step's run."""
    command = [sys.executable, "-c", HELD_RUN, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "claimed\n"
        yield process
        process.kill()


def test_a_step_whose_run_was_killed_during_the_smoke_test_promotes_nothing(release, settings, tmp_path, monkeypatch):
    candidate = release("run-1")
    before = tracking.find_aliases("flight-delays", settings)
    with running_run(tmp_path / "run") as run:

        def kill_the_run(*_) -> SmokeTest:
            run.kill()
            run.wait()
            return SmokeTest(gates=(limit_gate("v1_difference", 0.0, 1e-9, "V1 is right."),))

        monkeypatch.setattr(deploy_module, "run_smoke_test", kill_the_run)
        monkeypatch.setenv(STEP_RUN_FOLDER, str(tmp_path / "run"))
        words = "run run: it must be running when a step changes the registry, the endpoint or the online store, but"
        with pytest.raises(PermanentError, match=re.escape(f"{words} it has died.")):
            deploy_release(TASK, candidate, tmp_path / "deployment", settings)
    assert tracking.find_aliases("flight-delays", settings) == before == {"challenger": "1"}
    assert read_endpoint("flight-delays", settings) is None


def test_a_step_whose_run_is_under_way_promotes(passed, release, settings, tmp_path, monkeypatch):
    candidate = release("run-1")
    with running_run(tmp_path / "run"):
        monkeypatch.setenv(STEP_RUN_FOLDER, str(tmp_path / "run"))
        assert deploy_release(TASK, candidate, tmp_path / "deployment", settings).outcome == "promoted"


def test_a_champion_that_changes_during_the_smoke_test_stays(release, settings, tmp_path, monkeypatch):
    for run in ("run-1", "run-2"):
        replace_smoke_test(monkeypatch, limit_gate("v1_difference", 0.0, 1e-9, "V1 is right."))
        deploy_release(TASK, release(run), tmp_path / run, settings)
    third = release("run-3")

    def roll_back(*_) -> SmokeTest:
        rollback_release(PROBLEM, "It flags every flight.", settings)
        return SmokeTest(gates=())

    monkeypatch.setattr(deploy_module, "run_smoke_test", roll_back)
    deployment = deploy_release(TASK, third, tmp_path / "run-3", settings)
    assert (deployment.outcome, deployment.champion) == ("kept", "1")
    assert "compared with version 2, and the champion is now version 1" in deployment.reasons[0]
    assert tracking.find_aliases("flight-delays", settings)["champion"] == "1"
    assert read_endpoint("flight-delays", settings).version == "1"


def test_rollback_that_the_host_refuses_leaves_the_champion(passed, release, settings, tmp_path, monkeypatch):
    for run in ("run-1", "run-2"):
        deploy_release(TASK, release(run), tmp_path / run, settings)
    monkeypatch.setattr(LocalHost, "promote", lambda *args: None)
    with pytest.raises(EndpointUnavailableError, match=re.escape("version 1 must answer every request")):
        rollback_release(PROBLEM, "It flags every flight.", settings)
    assert tracking.find_aliases("flight-delays", settings)["champion"] == "2"


def test_endpoint_without_a_champion_says_what_to_run(settings):
    with (
        pytest.raises(ModelRefusedError, match=re.escape("Run `make demo` first")),
        start_endpoint("flight-delays", settings),
    ):
        pass
