"""The compiled pipelines that run between trainings keep what a cluster relies on."""

from pathlib import Path
from typing import Any

import pytest
import yaml

STEPS = {
    "monitoring": "frame ingest validate build monitor report".split(),
    "refresh": "frame ingest validate build materialize record".split(),
}
# The same snapshot gives the same accepted rows.
REUSED = {"validate"}


@pytest.fixture(scope="module", params=STEPS)
def compiled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    from kfp import compiler

    from pipelines.monitoring import monitoring
    from pipelines.refresh import refresh

    path: Path = tmp_path_factory.mktemp("compiled") / f"{request.param}.yaml"
    compiler.Compiler().compile({"monitoring": monitoring, "refresh": refresh}[request.param], str(path))
    content: dict[str, Any] = next(yaml.safe_load_all(path.read_text()))
    return content


def tasks_of(compiled: dict[str, Any]) -> dict[str, Any]:
    tasks: dict[str, Any] = compiled["root"]["dag"]["tasks"]
    return tasks


def test_pipeline_holds_its_steps(compiled: dict[str, Any]) -> None:
    assert set(tasks_of(compiled)) == set(STEPS[compiled["pipelineInfo"]["name"]])


def test_step_that_reads_the_world_is_never_reused(compiled: dict[str, Any]) -> None:
    reused = {name for name, task in tasks_of(compiled).items() if task["cachingOptions"].get("enableCache")}
    assert reused == REUSED


def test_nothing_is_installed_at_run_time(compiled: dict[str, Any]) -> None:
    assert "pip install" not in yaml.safe_dump(compiled)


def test_no_image_moves(compiled: dict[str, Any]) -> None:
    images = {executor["container"]["image"] for executor in compiled["deploymentSpec"]["executors"].values()}
    assert all(":" in image and not image.endswith(":latest") for image in images)


def test_last_step_waits_for_the_work(compiled: dict[str, Any]) -> None:
    tasks = tasks_of(compiled)
    if "report" in tasks:
        assert "monitor" in tasks["report"]["dependentTasks"]
    else:
        assert "materialize" in tasks["record"]["dependentTasks"]


def test_monitoring_alone_comes_after_the_refresh(compiled: dict[str, Any]) -> None:
    given = tasks_of(compiled)["frame"]["inputs"]["parameters"].get("after")
    expected = {"runtimeValue": {"constant": "refresh"}} if compiled["pipelineInfo"]["name"] == "monitoring" else None
    assert given == expected
