"""A search that was killed goes on where it was, and ends as one that nobody killed, on SQLite and on PostgreSQL."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from components.base.adapters.optuna import TrialStorage
from components.base.contract.load import write_problem
from components.base.errors import TransientError
from components.models.batch import BATCH, FamilySearch
from components.models.tune import tune_family
from tests.contracts.running_postgresql import running_postgresql
from tests.unit.models.conftest import DAYS, change, make_rows, problem, task, write_rows  # noqa: F401 - fixtures

# Dies as a pod does, when the second batch has been kept.
KILLED = """
import os, signal, sys
from components.base.adapters.optuna import TrialStorage
from components.base.contract.load import read_problem
from components.base.dataset import read_prepared
from components.models import tune
from components.models.batch import FamilySearch
from components.tasks import open_task

def die(message, *values):
    if values[1:2] == (8,):
        os.kill(os.getpid(), signal.SIGKILL)

tune.logger.info = die
contract, rows, url = sys.argv[1:]
task, storage = open_task(read_problem(contract)), TrialStorage(url, "image")
tune.tune_family(FamilySearch(task, read_prepared(rows), "logistic", {"C": 0.03}, storage))
"""


@pytest.fixture(scope="module")
def postgres():
    with running_postgresql() as url:
        yield f"{url}/postgres"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    return request.getfixturevalue("postgres") if request.param == "postgresql" else f"sqlite:///{tmp_path}/trials.db"


@pytest.fixture
def search(task, tmp_path):  # noqa: F811
    (tmp_path / "rows").mkdir()
    rows = write_rows(tmp_path / "rows", {"train": make_rows(*DAYS["train"], seed=1)})
    return FamilySearch(change(task, search={"trials": 10}), rows, "logistic", {"C": 0.03})


def without_seconds(found):
    return found.model_dump(exclude={"seconds"})


def test_killed_search_goes_on_and_ends_as_one_that_nobody_killed(search, url, tmp_path, monkeypatch):
    write_problem(search.task.problem, tmp_path / "problem.json")
    words = [sys.executable, "-c", KILLED, tmp_path / "problem.json", search.prepared.folder, url]
    killed = subprocess.run(words, env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    fitted = []
    build = type(search.task).build_candidate

    def count(self, family, features, parameters=None):
        fitted.extend([parameters] if parameters else [])
        return build(self, family, features, parameters)

    alone = tune_family(search)
    monkeypatch.setattr(type(search.task), "build_candidate", count)
    resumed = tune_family(replace(search, storage=TrialStorage(url, "image")))
    assert without_seconds(resumed) == without_seconds(alone)
    tried = [trial.parameters for trial in resumed.trials[2 * BATCH :]]
    assert fitted
    assert all(parameters in tried for parameters in fitted)


def test_trials_of_another_program_champion_or_contract_are_not_taken(search, url):
    storage = TrialStorage(url, "image")
    names = {
        replace(search, storage=storage).name,
        replace(search, storage=TrialStorage(url, "another")).name,
        replace(search, storage=storage, champion={"C": 0.04}).name,
        replace(search, storage=storage, task=change(search.task, search={"seed": 8})).name,
    }
    assert len(names) == 4


def test_database_of_trials_that_does_not_answer_is_a_transient_fault_without_its_password(search):
    away = TrialStorage("postgresql+psycopg://optuna:secret@127.0.0.1:9/optuna", "image")
    with pytest.raises(TransientError, match="the database of trials must answer") as refused:
        tune_family(replace(search, storage=away))
    assert "secret" not in str(refused.value)
