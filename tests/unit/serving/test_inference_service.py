"""The rollout that is rendered for a cluster."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from components.base.contract.load import load_problem
from components.base.settings import load_settings
from components.serving.inference_service import ServedVersion, plan_rollout, render_yaml

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml")
SETTINGS = load_settings({"TIDEMILL_IMAGE": "registry.example/tidemill-python@sha256:abc"})
CHAMPION = ServedVersion(PROBLEM, "2", "s3://tidemill/mlflow/flight-delays/models/m-2/artifacts", {"model": "aa"})
CANDIDATE = ServedVersion(PROBLEM, "3", "s3://tidemill/mlflow/flight-delays/models/m-3/artifacts", {"model": "bb"})


def test_first_release_has_one_stage_without_a_canary():
    (stage,) = plan_rollout(CANDIDATE, None, SETTINGS)
    assert stage.percent == 100
    assert "canary" not in stage.manifest["spec"]
    assert stage.manifest["spec"]["predictor"]["name"] == "v3"


def test_rollout_follows_the_contract_and_ends_with_the_candidate_alone():
    stages = plan_rollout(CANDIDATE, CHAMPION, SETTINGS)
    assert [stage.percent for stage in stages] == PROBLEM.serving.canary_percent
    for stage in stages[:-1]:
        (canary,) = stage.manifest["spec"]["canary"]
        assert canary["trafficPercent"] == stage.percent
        assert (canary["predictor"]["name"], stage.manifest["spec"]["predictor"]["name"]) == ("v3", "v2")
    assert "canary" not in stages[-1].manifest["spec"]
    assert stages[-1].manifest["spec"]["predictor"]["storageUris"][0]["uri"] == CANDIDATE.storage_uri


def test_contract_without_a_last_stage_still_ends_with_the_candidate_alone():
    serving = PROBLEM.serving.model_copy(update={"canary_percent": [0, 20]})
    stages = plan_rollout(
        replace(CANDIDATE, problem=PROBLEM.model_copy(update={"serving": serving})), CHAMPION, SETTINGS
    )
    assert [stage.percent for stage in stages] == [0, 20, 100]


def test_every_stage_of_every_release_has_the_same_name():
    stages = [*plan_rollout(CANDIDATE, CHAMPION, SETTINGS), *plan_rollout(CHAMPION, None, SETTINGS)]
    assert {stage.manifest["metadata"]["name"] for stage in stages} == {"flight-delays"}


def test_promotion_changes_nothing_in_the_pods_of_the_candidate():
    canary, stable = (plan_rollout(CANDIDATE, CHAMPION, SETTINGS)[position].manifest["spec"] for position in (0, -1))
    promoted = stable["predictor"]
    assert {name: promoted[name] for name in canary["canary"][0]["predictor"]} == canary["canary"][0]["predictor"]


def test_canary_has_no_scaling_of_its_own():
    canary = plan_rollout(CANDIDATE, CHAMPION, SETTINGS)[0].manifest["spec"]["canary"][0]["predictor"]
    assert not {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget"} & set(canary)


def test_container_is_locked_down_and_has_one_thread():
    predictor = plan_rollout(CANDIDATE, None, SETTINGS)[0].manifest["spec"]["predictor"]
    (container,) = predictor["containers"]
    assert predictor["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"name": "OMP_NUM_THREADS", "value": "1"} in container["env"]
    assert container["image"] == SETTINGS.image


def test_the_prediction_log_has_a_disk_of_its_own_that_holds_its_limit():
    predictor = plan_rollout(CANDIDATE, None, SETTINGS)[0].manifest["spec"]["predictor"]
    (container,) = predictor["containers"]
    environ = {entry["name"]: entry["value"] for entry in container["env"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    limits = {volume["name"]: volume["emptyDir"]["sizeLimit"] for volume in predictor["volumes"]}
    settings = load_settings(environ)
    size = limits[mounts[str(settings.prediction_log_spool)]]
    assert int(size.removesuffix("Mi")) * 2**20 >= settings.prediction_log_spool_bytes


def test_arguments_are_ones_that_the_predictor_takes():
    from components.serving.predictor.server import parse_options

    (container,) = plan_rollout(CANDIDATE, None, SETTINGS)[0].manifest["spec"]["predictor"]["containers"]
    options = parse_options(container["args"])
    assert (options.name, options.model_version, options.port) == ("flight-delays", "3", 8080)


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_yaml_is_the_same_each_time_and_without_anchors(stage):
    first, second = (render_yaml(plan_rollout(CANDIDATE, CHAMPION, SETTINGS)[stage].manifest) for _ in range(2))
    assert first == second
    assert "&id" not in first
    assert yaml.safe_load(first)["kind"] == "InferenceService"


def test_missing_image_says_what_to_set():
    settings = load_settings({})
    assert "set-TIDEMILL_IMAGE" in render_yaml(plan_rollout(CANDIDATE, None, settings)[0].manifest)
