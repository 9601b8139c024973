"""The compiled training pipeline keeps what a cluster relies on."""

from pathlib import Path
from typing import Any

import pytest
import yaml

STEPS = (
    "frame ingest validate build prepare explore recall select tune ensemble evaluate register materialize deploy "
    "present"
).split()
# Steps that read or change the world outside: contract, object store, registry, online store, endpoint.
NEVER_REUSED = {"frame", "ingest", "build", "recall", "evaluate", "register", "materialize", "deploy", "present"}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    from kfp import compiler

    from pipelines.training import training

    path: Path = tmp_path_factory.mktemp("compiled") / "training.yaml"
    compiler.Compiler().compile(training, str(path))
    content: dict[str, Any] = next(yaml.safe_load_all(path.read_text()))
    return content


def test_pipeline_holds_every_step_of_the_design(compiled: dict[str, Any]) -> None:
    assert set(compiled["root"]["dag"]["tasks"]) == set(STEPS)


def test_step_that_reads_the_world_is_never_reused(compiled: dict[str, Any]) -> None:
    tasks = compiled["root"]["dag"]["tasks"]
    reused = {name for name, task in tasks.items() if task["cachingOptions"].get("enableCache")}
    assert reused == set(STEPS) - NEVER_REUSED


def test_nothing_is_installed_at_run_time(compiled: dict[str, Any]) -> None:
    assert "pip install" not in yaml.safe_dump(compiled)


def test_no_image_moves(compiled: dict[str, Any]) -> None:
    images = {executor["container"]["image"] for executor in compiled["deploymentSpec"]["executors"].values()}
    assert all(":" in image and not image.endswith(":latest") for image in images)


def test_deploy_waits_for_the_online_store(compiled: dict[str, Any]) -> None:
    assert "materialize" in compiled["root"]["dag"]["tasks"]["deploy"]["dependentTasks"]


def test_register_gets_the_profile_that_explore_made(compiled: dict[str, Any]) -> None:
    inputs = compiled["root"]["dag"]["tasks"]["register"]["inputs"]["artifacts"]
    assert inputs["profile"]["taskOutputArtifact"]["producerTask"] == "explore"
