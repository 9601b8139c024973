"""Every compiled pipeline carries what its steps need in a pod, records its end, and is the same on every machine."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.resources import SAME_EVERYWHERE, STEPS
from pipelines.runners.compile import compile_manifest, compile_to

PIPELINES = ("training", "refresh", "monitoring")
IMAGE = "registry.example/tidemill-python@sha256:0123"


@pytest.fixture(scope="module", params=PIPELINES)
def documents(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    path = tmp_path_factory.mktemp("compiled") / f"{request.param}.yaml"
    compile_to(path, request.param, IMAGE)
    return list(yaml.safe_load_all(path.read_text()))


def executors_of(documents: list[dict[str, Any]]) -> dict[str, Any]:
    executors: dict[str, Any] = documents[0]["deploymentSpec"]["executors"]
    return executors


def tasks_of(documents: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the tasks of all groups."""
    groups = [part["dag"]["tasks"] for part in documents[0]["components"].values() if "dag" in part]
    return {name: task for tasks in groups for name, task in tasks.items()}


def pods_of(documents: list[dict[str, Any]]) -> dict[str, Any]:
    pods: dict[str, Any] = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return pods


def test_every_step_has_requests_limits_and_attempts_of_the_table(documents: list[dict[str, Any]]) -> None:
    for name, executor in executors_of(documents).items():
        step, container = STEPS[name.removeprefix("exec-")], executor["container"]
        resources = container["resources"]
        assert resources["resourceMemoryRequest"] == step.memory_request
        assert resources["resourceMemoryLimit"] == step.memory_limit
        assert resources["resourceCpuRequest"] == step.cpu_request
        assert resources["resourceCpuLimit"] == step.cpu_limit
        assert {"name": "STEP_ATTEMPTS", "value": str(step.attempts)} in container["env"]
        assert {"name": "OPENBLAS_NUM_THREADS", "value": "1"} in container["env"]
        assert container["image"] == IMAGE
        assert "python3 -m components.base.step_process" in container["command"][2]


def test_every_step_reads_settings_secrets_and_contracts_from_files(documents: list[dict[str, Any]]) -> None:
    assert set(pods_of(documents)) == set(executors_of(documents))
    for pod in pods_of(documents).values():
        configs = {one["configMapName"]: one["mountPath"] for one in pod["configMapAsVolume"]}
        assert configs == {
            "tidemill-settings": "/etc/tidemill/settings",
            "tidemill-problems": "/etc/tidemill/problems",
        }
        secrets = {one["secretName"]: one["mountPath"] for one in pod["secretAsVolume"]}
        assert secrets == {"tidemill-secrets": "/etc/tidemill/secrets"}
        assert not pod.get("secretAsEnv")
        # KFP names a volume after its object, and a pod with two of one name is refused.
        assert not set(configs) & set(secrets)


def test_every_step_has_a_numeric_user_a_deadline_and_the_id_of_its_run(documents: list[dict[str, Any]]) -> None:
    for name, pod in pods_of(documents).items():
        assert pod["securityContext"] == {"runAsUser": "65532", "runAsNonRoot": True}
        assert int(pod["activeDeadlineSeconds"]) == STEPS[name.removeprefix("exec-")].timeout_seconds
        assert pod["fieldPathAsEnv"] == [{"name": "STEP_RUN_ID", "fieldPath": "metadata.labels['pipeline/runid']"}]


def test_no_secret_is_in_the_environment_of_a_step(documents: list[dict[str, Any]]) -> None:
    names = {one["name"] for executor in executors_of(documents).values() for one in executor["container"]["env"]}
    assert names == {"STEP_ATTEMPTS", "HOME", *SAME_EVERYWHERE}


def test_the_end_of_a_run_is_recorded_whether_it_succeeds_or_fails(documents: list[dict[str, Any]]) -> None:
    tasks = documents[0]["root"]["dag"]["tasks"]
    assert set(tasks) == {"notify", "exit-handler-1"}
    assert tasks["notify"]["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    assert not tasks["notify"]["cachingOptions"].get("enableCache")


def test_the_ui_offers_a_problem_and_a_time(documents: list[dict[str, Any]]) -> None:
    assert set(documents[0]["root"]["inputDefinitions"]["parameters"]) == {"problem", "as_of"}


def test_a_step_is_reused_as_the_table_says(documents: list[dict[str, Any]]) -> None:
    for name, task in tasks_of(documents).items():
        if name in STEPS:
            assert bool(task["cachingOptions"].get("enableCache")) == STEPS[name].is_reused


def test_nothing_holds_the_items_of_a_loop_back(documents: list[dict[str, Any]]) -> None:
    loops = {name: task for name, task in tasks_of(documents).items() if "parameterIterator" in task}
    assert len(loops) == (documents[0]["pipelineInfo"]["name"] == "training")
    assert not any("iteratorPolicy" in task for task in loops.values())


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_pipeline_compiles_to_the_same_bytes_in_any_environment(pipeline: str, tmp_path: Path) -> None:
    compile_to(tmp_path / "here.yaml", pipeline)
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "7",
        "KFP_DISABLE_EXECUTION_CACHING_BY_DEFAULT": "true",
        "TIDEMILL_IMAGE": "another",
        "TIDEMILL_HOME": "/nowhere",
        "TZ": "Asia/Tokyo",
    }
    there = tmp_path / "there.yaml"
    command = [sys.executable, "-m", "pipelines.commands", "compile", pipeline, "-o", str(there)]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert there.read_bytes() == (tmp_path / "here.yaml").read_bytes()


def test_a_manifest_names_its_version_by_its_content(tmp_path: Path) -> None:
    for name, image in (("a", IMAGE), ("b", IMAGE), ("c", f"{IMAGE}4")):
        compile_manifest(tmp_path / name, "refresh", "kubeflow", image)
    first, same, other = (list(yaml.safe_load_all((tmp_path / name).read_text())) for name in "abc")
    assert [one["kind"] for one in first] == ["Pipeline", "PipelineVersion"]
    assert first == same
    assert first[1]["metadata"]["name"] != other[1]["metadata"]["name"]
    assert first[1]["spec"]["pipelineName"] == first[0]["metadata"]["name"] == "refresh"
    executors = first[1]["spec"]["pipelineSpec"]["deploymentSpec"]["executors"]
    assert {one["container"]["image"] for one in executors.values()} == {IMAGE}
    assert "kubernetes" in first[1]["spec"]["platformSpec"]["platforms"]
