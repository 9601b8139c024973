"""Tuning in a loop of steps makes what one process makes of the same rows: each trial, their order, and the model."""

import json
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl, local
from kfp.dsl import Artifact

from components.base.contract.load import write_problem
from components.base.documents import read
from components.models.artifact import fingerprint_model, save_model
from components.models.documents import Tuned
from components.models.ensemble import build_ensemble
from components.models.select import select_candidates
from components.models.steps import ensemble, select
from components.models.tune import tune_candidates
from pipelines.resources import SAME_EVERYWHERE
from pipelines.training import tune_chosen
from tests.unit.models.conftest import (  # noqa: F401 - fixtures
    DAYS,
    change,
    make_rows,
    one_thread,
    prepared,
    problem,
    task,
    write_rows,
)

# The champion is of one family only, and has other parameters than the defaults.
CHAMPION = {"logistic": {"C": 0.03}}


@pytest.fixture(params=[1, 2], ids=["one family", "two families"])
def chosen_task(request: pytest.FixtureRequest, task: Any) -> Any:  # noqa: F811
    return change(task, search={"keep": request.param, "trials": 6})


def run_loop(task: Any, rows: Path, folder: Path) -> tuple[Tuned, str, list[str]]:  # noqa: F811
    """Run the steps from select to ensemble as `make demo` does; return the searches, the model's print, the log."""
    contract = str(folder / "problem.json")
    write_problem(task.problem, Path(contract))

    @dsl.pipeline(name="tuning")
    def tuning(contract: str, champion: str) -> Artifact:
        found = dsl.importer(artifact_uri=str(rows), artifact_class=Artifact).output
        selected = select(contract=contract, prepared=found, champion=champion)
        combined = ensemble(contract=contract, prepared=found, searches=tune_chosen(found, selected))
        return combined.outputs["tuned"]

    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder / "kfp"))
    tuned = Path(tuning(contract=contract, champion=json.dumps(CHAMPION)).output.path)
    made = sorted(path.parent.parent.name for path in folder.glob("kfp/*/for-loop-1-iteration-*/tune/search"))
    return read(Tuned, tuned), fingerprint_model(tuned.parent / "model"), made


def test_a_step_for_each_family_makes_what_one_process_makes(
    chosen_task: Any,
    prepared: Any,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in SAME_EVERYWHERE.items():
        monkeypatch.setenv(name, value)
    tuned, model, made = run_loop(chosen_task, prepared.folder, tmp_path)
    board = select_candidates(chosen_task, prepared).model_copy(update={"champion": CHAMPION})
    assert made == [f"for-loop-1-iteration-{place}" for place in range(len(board.chosen))]
    alone = tune_candidates(chosen_task, prepared, board)
    assert tuned.fingerprint == alone.fingerprint
    save_model(tmp_path / "alone", build_ensemble(chosen_task, prepared, alone))
    assert model == fingerprint_model(tmp_path / "alone")
