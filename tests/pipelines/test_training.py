"""The compiled training pipeline keeps what a cluster relies on."""

from pathlib import Path
from typing import Any

import pytest
import yaml

STEPS = (
    "frame ingest validate build prepare explore recall select tune ensemble evaluate refit register materialize "
    "deploy present"
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


def tasks_of(compiled: dict[str, Any]) -> dict[str, Any]:
    """Return every step, those within the loop too; without the loop itself."""
    loop = compiled["components"]["comp-for-loop-1"]["dag"]["tasks"]
    return {name: task for name, task in (compiled["root"]["dag"]["tasks"] | loop).items() if name != "for-loop-1"}


def test_pipeline_holds_every_step_of_the_design(compiled: dict[str, Any]) -> None:
    assert set(tasks_of(compiled)) == set(STEPS)


def test_step_that_reads_the_world_is_never_reused(compiled: dict[str, Any]) -> None:
    reused = {name for name, task in tasks_of(compiled).items() if task["cachingOptions"].get("enableCache")}
    assert reused == set(STEPS) - NEVER_REUSED


def test_nothing_is_installed_at_run_time(compiled: dict[str, Any]) -> None:
    assert "pip install" not in yaml.safe_dump(compiled)


def test_no_image_moves(compiled: dict[str, Any]) -> None:
    images = {executor["container"]["image"] for executor in compiled["deploymentSpec"]["executors"].values()}
    assert all(":" in image and not image.endswith(":latest") for image in images)


def test_deploy_waits_for_the_online_store(compiled: dict[str, Any]) -> None:
    assert "materialize" in compiled["root"]["dag"]["tasks"]["deploy"]["dependentTasks"]


def test_nothing_is_fitted_before_explore_has_accepted_the_rows(compiled: dict[str, Any]) -> None:
    tasks = compiled["root"]["dag"]["tasks"]
    assert "explore" in tasks["recall"]["dependentTasks"]
    assert "recall" in tasks["select"]["dependentTasks"]


def test_no_step_before_evaluate_is_given_test_rows(compiled: dict[str, Any]) -> None:
    given = {
        name
        for name, task in tasks_of(compiled).items()
        for place in task["inputs"].get("artifacts", {}).values()
        if place.get("taskOutputArtifact") == {"producerTask": "prepare", "outputArtifactKey": "test"}
    }
    assert given == {"evaluate", "refit", "register"}
    assert "ensemble" in compiled["root"]["dag"]["tasks"]["evaluate"]["dependentTasks"]


def test_register_gets_the_profile_that_explore_made(compiled: dict[str, Any]) -> None:
    inputs = compiled["root"]["dag"]["tasks"]["register"]["inputs"]["artifacts"]
    assert inputs["profile"]["taskOutputArtifact"]["producerTask"] == "explore"


def test_each_chosen_family_is_tuned_alone_and_ensemble_gets_all_searches(compiled: dict[str, Any]) -> None:
    tasks = compiled["root"]["dag"]["tasks"]
    loop, body = tasks["for-loop-1"], compiled["components"]["comp-for-loop-1"]
    items = loop["inputs"]["parameters"]["pipelinechannel--select-Output"]["taskOutputParameter"]
    assert items == {"outputParameterKey": "Output", "producerTask": "select"}
    assert set(body["dag"]["tasks"]) == {"tune"}
    searches = tasks["ensemble"]["inputs"]["artifacts"]["searches"]["taskOutputArtifact"]
    assert searches["producerTask"] == "for-loop-1"
    # kfp.local puts the item in the place of every parameter that comes from a step outside of the loop.
    parameters = body["dag"]["tasks"]["tune"]["inputs"]["parameters"]
    assert {one["componentInputParameter"] for one in parameters.values()} == {
        "pipelinechannel--select-Output-loop-item"
    }


def test_families_follow_each_other_on_one_machine(compiled: dict[str, Any]) -> None:
    assert compiled["root"]["dag"]["tasks"]["for-loop-1"]["iteratorPolicy"] == {"parallelismLimit": 1}
