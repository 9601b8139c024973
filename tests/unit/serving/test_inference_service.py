"""The rollout that is rendered for a cluster."""

import copy
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
    assert [stage.percent for stage in stages] == [0, *PROBLEM.serving.canary_percent, 100]
    for stage in stages[:-1]:
        (canary,) = stage.manifest["spec"]["canary"]
        assert canary["trafficPercent"] == stage.percent
        assert (canary["predictor"]["name"], stage.manifest["spec"]["predictor"]["name"]) == ("v3", "v2")
    assert "canary" not in stages[-1].manifest["spec"]
    predictor = stages[-1].manifest["spec"]["predictor"]
    assert "storageUris" not in predictor
    assert {"name": "STORAGE_URI", "value": CANDIDATE.storage_uri} in predictor["containers"][0]["env"]


def test_contract_that_names_the_dark_launch_has_it_once():
    serving = PROBLEM.serving.model_copy(update={"canary_percent": [0, 20, 100]})
    stages = plan_rollout(
        replace(CANDIDATE, problem=PROBLEM.model_copy(update={"serving": serving})), CHAMPION, SETTINGS
    )
    assert [stage.percent for stage in stages] == [0, 20, 100, 100]


def test_every_stage_of_every_release_has_the_same_name():
    stages = [*plan_rollout(CANDIDATE, CHAMPION, SETTINGS), *plan_rollout(CHAMPION, None, SETTINGS)]
    assert {stage.manifest["metadata"]["name"] for stage in stages} == {"flight-delays"}


def test_promotion_changes_nothing_in_the_pods_of_the_candidate():
    canary, stable = (plan_rollout(CANDIDATE, CHAMPION, SETTINGS)[position].manifest["spec"] for position in (1, -1))
    promoted = stable["predictor"]
    assert {name: promoted[name] for name in canary["canary"][0]["predictor"]} == canary["canary"][0]["predictor"]


def test_canary_has_no_scaling_of_its_own():
    dark, canary = (
        plan_rollout(CANDIDATE, CHAMPION, SETTINGS)[position].manifest["spec"]["canary"][0]["predictor"]
        for position in (0, 1)
    )
    assert not {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget"} & set(canary)
    # A share of nothing would be no pod.
    assert {**canary, "minReplicas": 1} == dark


def test_container_is_locked_down_and_has_one_thread():
    predictor = plan_rollout(CANDIDATE, None, SETTINGS)[0].manifest["spec"]["predictor"]
    (container,) = predictor["containers"]
    assert predictor["securityContext"]["runAsNonRoot"] is True
    assert predictor["securityContext"]["runAsUser"] == 65532
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
    limits = {volume["name"]: volume["emptyDir"]["sizeLimit"] for volume in predictor["volumes"][:2]}
    settings = load_settings(environ)
    size = limits[mounts[str(settings.prediction_log_spool)]]
    assert int(size.removesuffix("Mi")) * 2**20 >= settings.prediction_log_spool_bytes


def test_arguments_are_ones_that_the_predictor_takes():
    from components.serving.predictor.server import parse_options

    (container,) = plan_rollout(CANDIDATE, None, SETTINGS)[0].manifest["spec"]["predictor"]["containers"]
    options = parse_options(container["args"])
    assert (options.name, options.model_version, options.port) == ("flight-delays", "3", 8080)


def test_a_pod_reads_its_settings_from_files_and_drains_within_its_grace():
    predictor = plan_rollout(CANDIDATE, None, SETTINGS)[0].manifest["spec"]["predictor"]
    (container,) = predictor["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert (mounts["settings"], mounts["secrets"]) == ("/etc/tidemill/settings", "/etc/tidemill/secrets")
    assert "envFrom" not in container
    assert predictor["enableServiceLinks"] is False
    drain = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    # Connections end by their answers, requests in flight are awaited, the log is stored.
    assert predictor["terminationGracePeriodSeconds"] >= drain + 3 + 20 + 4


@pytest.mark.parametrize("champion", [None, CHAMPION])
@pytest.mark.parametrize("minimum", [1, 3])
def test_every_stage_passes_the_rules_of_the_webhook(champion, minimum):
    serving = PROBLEM.serving.model_copy(update={"minimum_replicas": minimum})
    candidate = replace(CANDIDATE, problem=PROBLEM.model_copy(update={"serving": serving}))
    before = None
    for stage in plan_rollout(candidate, champion, SETTINGS):
        assert list(find_webhook_faults(stage.manifest, before)) == []
        before = stage.manifest


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda spec: spec["canary"][0]["predictor"].update(maxReplicas=2), "maxReplicas"),
        (lambda spec: spec["canary"][0]["predictor"].update(scaleTarget=70), "scaleTarget"),
        (lambda spec: spec["canary"][0]["predictor"].update(minReplicas=2), "must not exceed"),
        (lambda spec: spec["canary"][0]["predictor"].update(name="v2"), "conflicts with stable"),
        (lambda spec: spec["predictor"]["containers"][0]["env"].pop(0), "requires a stable predictor with a model"),
        (lambda spec: spec["predictor"].update(storageUris=[{"uri": "s3://b/2"}]), "both"),
        (lambda spec: spec["predictor"].update(name="v9"), "requires a model change"),
    ],
)
def test_what_the_webhook_refuses_is_found(edit, fault):
    before, manifest = (copy.deepcopy(plan_rollout(CANDIDATE, CHAMPION, SETTINGS)[0].manifest) for _ in range(2))
    edit(manifest["spec"])
    assert any(fault in found for found in find_webhook_faults(manifest, before))


def find_webhook_faults(manifest, before):
    """Hold a manifest to what KServe's admission webhook demands beyond the schema.

    Source: kserve/kserve, pkg/apis/serving/v1beta1/inference_service_validation.go, validateCanarySpecs,
    validatePredictorNameChange and validateMultipleStorageURIs.
    """
    stable, canaries = manifest["spec"]["predictor"], manifest["spec"].get("canary", [])
    if "storageUris" in stable and find_model(stable):
        yield "storageUris and STORAGE_URI must not both be set"
    if canaries and not find_model(stable):
        yield "canary requires a stable predictor with a model"
    if canaries and manifest["metadata"]["annotations"].get("serving.kserve.io/deploymentMode") != "Standard":
        yield "canary is only supported in Standard deployment mode"
    for canary in canaries:
        yield from find_canary_faults(canary["predictor"], stable)
    if sum(canary["trafficPercent"] for canary in canaries) > 100:
        yield "sum of canary trafficPercent values must be <= 100"
    if before is not None:
        old = before["spec"]["predictor"]
        if old["name"] != stable["name"] and find_model(old) == find_model(stable):
            yield "predictor.name change requires a model change"


def find_canary_faults(predictor, stable):
    if predictor["name"] == stable["name"]:
        yield "canary predictor.name conflicts with stable predictor name"
    for name in ("maxReplicas", "scaleTarget", "scaleMetric", "autoScaling", "workerSpec"):
        if name in predictor:
            yield f"canary must not set {name}"
    if predictor.get("minReplicas", 0) > stable.get("minReplicas", 1):
        yield "canary minReplicas must not exceed stable predictor minReplicas"


def find_model(predictor):
    (container,) = predictor["containers"]
    return {entry["name"]: entry["value"] for entry in container["env"]}.get("STORAGE_URI")


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_yaml_is_the_same_each_time_and_without_anchors(stage):
    first, second = (render_yaml(plan_rollout(CANDIDATE, CHAMPION, SETTINGS)[stage].manifest) for _ in range(2))
    assert first == second
    assert "&id" not in first
    assert yaml.safe_load(first)["kind"] == "InferenceService"


def test_missing_image_says_what_to_set():
    settings = load_settings({})
    assert "set-TIDEMILL_IMAGE" in render_yaml(plan_rollout(CANDIDATE, None, settings)[0].manifest)
