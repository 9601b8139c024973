"""The same rows give the same candidates and the same model, whatever the machine."""

import json
import os
import subprocess
import sys

from components.base.contract.load import write_problem

FAMILIES = ("logistic", "hist_gradient_boosting", "random_forest")
# Prints what one process makes of the rows, on so many cores.
SEARCH = """
import json, os, sys
from components.base.contract.load import read_problem
from components.base.dataset import read_prepared
from components.models.artifact import fingerprint_model, save_model
from components.models.ensemble import build_ensemble
from components.models.select import select_candidates
from components.models.tune import tune_candidates
from components.tasks import open_task

contract, rows, folder, cores = sys.argv[1:]
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(cores)])
task, prepared = open_task(read_problem(contract)), read_prepared(rows)
leaderboard = select_candidates(task, prepared)
tuned = tune_candidates(task, prepared, leaderboard)
save_model(folder, build_ensemble(task, prepared, tuned))
print(json.dumps([leaderboard.chosen, tuned.fingerprint, fingerprint_model(folder)]))
"""


def test_search_and_model_are_the_same_on_one_core_and_on_two_wherever_the_machine_is(task, prepared, small, tmp_path):
    problem = small.change(task, search={"candidates": list(FAMILIES), "keep": 3, "trials": 6}).problem
    write_problem(problem, tmp_path / "problem.json")
    places = {
        "1": {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8"},
        "2": {"PYTHONHASHSEED": "2", "TZ": "Asia/Kathmandu", "LC_ALL": "C"},
    }
    made = [
        subprocess.check_output(
            [sys.executable, "-c", SEARCH, tmp_path / "problem.json", prepared.folder, tmp_path / cores, cores],
            env=os.environ | place,
        )
        for cores, place in places.items()
    ]
    first, second = map(json.loads, made)
    assert sorted(first[0]) == sorted(FAMILIES)
    assert first == second
