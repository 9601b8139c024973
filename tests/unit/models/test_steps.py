"""The KFP faces, called as functions: load, call one function, save."""

import pytest
from kfp.dsl import Artifact

from components.base.contract.load import write_problem
from components.models import steps
from components.models.artifact import load_model
from components.models.baselines import load_current_solution
from components.models.champion import fingerprint_test, record_opening
from components.models.documents import read_document, write_document
from components.models.evaluate import evaluate_model
from components.models.evaluation_files import list_metrics, list_roc_points, save_evaluation


def test_select_tune_and_ensemble_hand_on_their_artifacts(problem, prepared, tmp_path):
    write_problem(problem, tmp_path / "problem.json")
    inputs = {"problem": Artifact(uri=str(tmp_path / "problem.json")), "prepared": Artifact(uri=str(prepared.folder))}
    leaderboard, tuned, model = (Artifact(uri=str(tmp_path / name)) for name in ("leaderboard", "tuned", "model"))
    steps.select.python_func(**inputs, leaderboard=leaderboard)
    steps.tune.python_func(**inputs, leaderboard=leaderboard, tuned=tuned)
    steps.ensemble.python_func(**inputs, tuned=tuned, model=model)
    chosen = read_document(leaderboard.path)["chosen"]
    made = load_model(model.path)
    assert set(made.family.split("+")) <= set(chosen)
    assert 0 < made.threshold <= 1


def test_every_opening_of_the_same_test_rows_is_counted(problem, prepared, store_settings):
    counts = [record_opening(problem.name, prepared, store_settings) for _ in range(3)]
    assert counts == [0, 1, 2]


def test_other_test_rows_have_another_fingerprint(prepared, tmp_path, small):
    other = small.write_rows(tmp_path, {"train": small.make_rows(0, 5, 1), "test": small.make_rows(9, 5, 1)})
    assert fingerprint_test(other) != fingerprint_test(prepared)


def saved_threshold(folder):
    return read_document(folder / "evaluation.json")["contenders"]["current_solution"]["threshold"]


def test_evaluation_is_saved_with_what_the_kubeflow_ui_shows(problem, prepared, model, tmp_path):
    evaluation = evaluate_model(problem, prepared, model)
    save_evaluation(evaluation, tmp_path)
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["baseline.json", "evaluation.json", "predictions.parquet"]
    current = load_current_solution(tmp_path / "baseline.json")
    forecast = evaluation.predictions["p_current_solution"]
    assert current.predict(prepared.read("test")) == pytest.approx(forecast, abs=0)
    assert current.threshold == saved_threshold(tmp_path)
    saved = read_document(tmp_path / "evaluation.json")
    assert saved["verdict"] == evaluation.document["verdict"]
    metrics = list_metrics(evaluation)
    auc = saved["contenders"]["challenger"]["scores"]["roc_auc"]["estimate"]
    assert metrics["challenger_roc_auc"] == pytest.approx(auc)
    alarms, hits, thresholds = list_roc_points(evaluation)
    assert len(alarms) == len(hits) == len(thresholds) <= 50
    assert (alarms[0], hits[0], alarms[-1], hits[-1]) == (0, 0, 1, 1)
    assert max(thresholds) <= 1


def test_document_writes_what_is_not_a_number_as_null(tmp_path):
    write_document({"low": float("nan"), "high": float("inf")}, tmp_path / "made" / "one.json")
    assert read_document(tmp_path / "made" / "one.json") == {"low": None, "high": None}
