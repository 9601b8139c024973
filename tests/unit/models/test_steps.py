"""The KFP faces, called as functions: load, call one function, save."""

import pytest
from kfp.dsl import Artifact, ClassificationMetrics

from components.base.contract.load import write_problem
from components.base.documents import read
from components.models import steps
from components.models.artifact import load_model
from components.models.baselines import load_current_solution
from components.models.champion import fingerprint_test, record_opening
from components.models.documents import Evaluation, Leaderboard, Tuned
from components.models.evaluate import evaluate_model, list_metrics, save_evaluation


def test_select_tune_and_ensemble_hand_on_their_artifacts(task, problem, prepared, tmp_path):
    write_problem(problem, tmp_path / "problem.json")
    inputs = {"contract": str(tmp_path / "problem.json"), "prepared": Artifact(uri=str(prepared.folder))}
    leaderboard, tuned, model = (Artifact(uri=str(tmp_path / name)) for name in ("leaderboard", "tuned", "model"))
    items = steps.select.python_func(**inputs, champion='{"logistic": {"C": 0.03}}', leaderboard=leaderboard)
    chosen = read(Leaderboard, leaderboard.path).chosen
    assert items == [{"contract": inputs["contract"], "family": family} for family in chosen]
    searches = [Artifact(uri=str(tmp_path / item["family"])) for item in items]
    for item, search in zip(items, searches, strict=True):
        steps.tune.python_func(**item, prepared=inputs["prepared"], leaderboard=leaderboard, search=search)
    steps.ensemble.python_func(**inputs, searches=searches, model=model, tuned=tuned)
    searched = {entry.family: entry.trials for entry in read(Tuned, tuned.path).families}
    assert searched["logistic"][1].parameters == {"C": 0.03}
    made = load_model(task, model.path)
    assert set(made.family.split("+")) <= set(chosen)
    assert 0 < made.policy.threshold <= 1


def test_every_other_model_that_opened_the_same_test_rows_is_counted(problem, prepared, store_settings):
    counts = [record_opening(problem.name, prepared, model, store_settings) for model in ("a", "b", "c")]
    assert counts == [0, 1, 2]


def test_model_that_is_judged_again_opens_nothing_new(problem, prepared, store_settings):
    models = ("same", "same", "other", "same")
    counts = [record_opening("repeated", prepared, model, store_settings) for model in models]
    assert counts == [0, 0, 1, 1]


def test_other_test_rows_have_another_fingerprint(prepared, tmp_path, small):
    other = small.write_rows(tmp_path, {"train": small.make_rows(0, 5, 1), "test": small.make_rows(9, 5, 1)})
    assert fingerprint_test(other) != fingerprint_test(prepared)


def test_evaluation_is_saved_with_what_the_kubeflow_ui_shows(task, prepared, model, tmp_path):
    result = evaluate_model(prepared, model)
    save_evaluation(task, result, tmp_path)
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["baseline.json", "evaluation.json", "predictions.parquet"]
    current = load_current_solution(task, tmp_path / "baseline.json")
    forecast = result.predictions["current_solution__probability"]
    assert task.predict(current.estimator, prepared.read("test"))[:, 0] == pytest.approx(forecast, abs=0)
    saved = read(Evaluation, tmp_path / "evaluation.json")
    assert current.policy.model_dump() == saved.contenders["current_solution"].policy
    assert saved.verdict == result.evaluation.verdict
    auc = saved.contenders["challenger"].scores["roc_auc"].estimate
    assert list_metrics(result.evaluation)["challenger_roc_auc"] == pytest.approx(auc)
    shown = ClassificationMetrics(name="curve", uri=str(tmp_path / "curve"))
    task.show_in_kubeflow(result.predictions, shown)
    curve = shown.metadata["confidenceMetrics"]
    first, last = curve[0], curve[-1]
    assert len(curve) <= 50
    matrix = [row["row"] for row in shown.metadata["confusionMatrix"]["rows"]]
    outcomes, decided = result.predictions[task.problem.target.name], result.predictions["challenger__decision"]
    assert sum(map(sum, matrix)) == len(outcomes)
    assert matrix[1] == [((outcomes == 1) & (decided == 0)).sum(), ((outcomes == 1) & (decided == 1)).sum()]
    assert (first["falsePositiveRate"], first["recall"], last["falsePositiveRate"], last["recall"]) == (0, 0, 1, 1)
    assert max(point["confidenceThreshold"] for point in curve) <= 1
