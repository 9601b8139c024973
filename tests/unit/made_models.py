"""Models and evaluations for tests, made without the steps that make them in a run."""

import shutil
from pathlib import Path

import pandas as pd
import skops.io
from sklearn.linear_model import LogisticRegression

from components.base import documents
from components.base.contract.load import load_problem, write_problem
from components.base.statistics.resampling import Interval
from components.base.task import Outcome, Task
from components.models.artifact import Model, ModelDescription
from components.models.documents import (
    BootstrapRecord,
    ContenderRecord,
    Evaluation,
    Generalisation,
    Leaderboard,
    ReleaseRefit,
    TestRecord,
)
from components.models.refit import REFIT

CONTRACT = Path(__file__).parents[2] / "pipelines" / "problems" / "flight-delays.yaml"


def make_model(task: Task, estimator, features, threshold=0.5, **description) -> Model:
    """Return a model of the binary task; `description` replaces fields of its `ModelDescription`."""
    policy = {"kind": "threshold", "threshold": threshold}
    given = {"family": "logistic", "kind": "single", "calibration": "none", **description}
    described = ModelDescription(policy=policy, features=tuple(features), target=task.problem.target.name, **given)
    return Model(task, estimator, task.read_policy(policy), described)


def make_release_files(folder: Path) -> tuple[LogisticRegression, pd.DataFrame]:
    """Write the files of the smallest release; return its estimator and an example of the inputs."""
    example = pd.DataFrame({"distance": [200.0, 1400.0]})
    estimator = LogisticRegression().fit(example, [0, 1])
    folder.mkdir()
    skops.io.dump(estimator, folder / "model.skops")
    write_problem(load_problem(CONTRACT), folder / "problem.json")
    return estimator, example


def make_contender(label="model", estimate=0.6, value_per_1000=1000.0, **fields) -> ContenderRecord:
    """Return a contender whose every metric is the same number."""
    interval = Interval(estimate, estimate - 0.1, estimate + 0.1)
    metrics = ("average_precision", "roc_auc", "log_loss", "brier", "calibration_error", "f1")
    given = {
        "label": label,
        "policy": {"kind": "threshold", "threshold": 0.5},
        "scores": dict.fromkeys(metrics, interval),
        "value_per_1000": Interval(value_per_1000, value_per_1000 - 500, value_per_1000 + 500),
        "value_total": value_per_1000,
        "actions": 100,
        "over_capacity": 0,
        "details": {},
        **fields,
    }
    return ContenderRecord(**given)


def make_evaluation(verdict="promote", **fields) -> Evaluation:
    """Return a small evaluation; `fields` replace its parts."""
    given = {
        "problem": "flight-delays",
        "metric": "average_precision",
        "higher_is_better": True,
        "currency": "USD",
        "opened": TestRecord(
            fingerprint="0" * 64,
            rows=1000,
            days=28,
            start="2013-06-03T00:00:00+00:00",
            end="2013-06-30T23:00:00+00:00",
            outcome=Outcome(1000, 0.3, {"late": 300, "on time": 700}),
            earlier_openings=0,
        ),
        "bootstrap": BootstrapRecord(resamples=1000, unit="day", confidence=0.95),
        "contenders": {"challenger": make_contender()},
        "value_by_day": {},
        "verdict": verdict,
        "reasons": (f"The verdict is {verdict}.",),
        "gates": (),
        "comparisons": {},
        "champion": None,
        "generalisation": Generalisation(
            cross_validated=0.7, test=Interval(0.6, 0.5, 0.7), gap=Interval(0.1, 0.0, 0.2), limit=0.2
        ),
        "slices": (),
        "fairness": (),
        "policy_curve": (),
        "weak_spots": (),
        "worst_cases": (),
        "importance": (),
        "seconds": 1.0,
        **fields,
    }
    return Evaluation(**given)


def save_judged(folder: Path, model_folder: Path) -> Path:
    """Write what refit leaves where the judged model is served, and return its folder."""
    shutil.copytree(model_folder, folder, dirs_exist_ok=True)
    record = ReleaseRefit(
        is_refitted=False,
        rows=300,
        until="2013-06-02T00:00:00+00:00",
        shifts=(),
        golden=None,
        reason="The judged model is served.",
    )
    documents.write(record, folder / REFIT)
    return folder


def save_leaderboard(folder: Path, champion: dict[str, dict[str, float]] | None = None) -> Path:
    """Write the leaderboard of a selection that found nothing but the champion's parameters, and return its path."""
    board = Leaderboard(
        problem="flight-delays",
        metric="average_precision",
        higher_is_better=True,
        gap_hours=24,
        folds=(),
        entries=(),
        chosen=(),
        note="",
        champion=champion or {},
        seconds=0.0,
    )
    documents.write(board, folder / "leaderboard.json")
    return folder / "leaderboard.json"
