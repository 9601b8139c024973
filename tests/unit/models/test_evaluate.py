"""Verdicts over whole releases: a good model, a useless one, a champion, a champion that knows the test rows."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

from components.base.documents import read, write
from components.base.errors import ModelRefusedError
from components.models.champion import Champion, find_objection, require_selected
from components.models.documents import CrossValidated, Evaluation, Leaderboard
from components.models.evaluate import evaluate_model
from components.tasks.binary.policy import ThresholdPolicy

EMPTY_LEDGER = pd.DataFrame({"row_hash": np.array([], dtype="uint64"), "role": []})


def board(*chosen):
    return Leaderboard.model_construct(chosen=chosen)


@pytest.fixture(scope="module")
def evaluated(prepared, model):
    return evaluate_model(prepared, model)


@pytest.fixture(scope="module")
def worse_champion(model, prepared):
    """A champion that ranks at random."""
    train = prepared.read("train")
    fitted = DummyClassifier(strategy="stratified", random_state=0).fit(train[model.feature_names], train["late"])
    return Champion("3", dataclasses.replace(model, estimator=fitted), EMPTY_LEDGER)


def gate(evaluated, name):
    return next(gate for gate in evaluated.evaluation.gates if gate.name == name)


def test_good_model_is_promoted(evaluated):
    assert evaluated.evaluation.verdict == "promote"
    assert {gate.name: gate.verdict for gate in evaluated.evaluation.gates} == {
        "beats_dummy": "pass",
        "beats_current_solution": "pass",
        "beats_constant_decisions": "pass",
        "guard_roc_auc": "pass",
        "guard_calibration_error": "pass",
        "generalisation_gap": "pass",
        "slices": "pass",
        "weak_spots": "pass",
    }
    assert evaluated.evaluation.champion is None


def test_opening_of_the_test_rows_is_recorded(evaluated, prepared):
    opened = evaluated.evaluation.opened
    assert (opened.earlier_openings, opened.rows, opened.days) == (0, len(prepared.read("test")), 14)
    assert len(opened.fingerprint) == 64


@pytest.fixture(scope="module")
def opened_thrice(prepared, model):
    return evaluate_model(prepared, model, earlier_openings=2)


def test_each_earlier_opening_halves_the_error_that_an_interval_may_make(evaluated, opened_thrice):
    first, third = evaluated.evaluation, opened_thrice.evaluation
    assert (first.bootstrap.confidence, third.bootstrap.confidence) == (0.95, 0.9875)
    for name, comparison in first.comparisons.items():
        again = third.comparisons[name].value_per_1000
        assert again.estimate == comparison.value_per_1000.estimate
        assert again.low < comparison.value_per_1000.low
        assert again.floor < comparison.value_per_1000.floor
        assert again.high > comparison.value_per_1000.high


def test_verdict_says_how_often_the_test_rows_were_opened(evaluated, opened_thrice):
    words = "Before it, 2 other models were judged on these test rows, so every interval is one of 98.75%"
    assert any(reason.startswith(words) for reason in opened_thrice.evaluation.reasons)
    assert not any("judged on these test rows" in reason for reason in evaluated.evaluation.reasons)


def test_scores_are_those_of_the_test_rows(evaluated, prepared, model, task):
    test = prepared.read("test")
    y, output = test["late"].to_numpy(dtype=float), model.predict(test)
    described, wanted = evaluated.evaluation.contenders["challenger"], model.policy.apply(output)
    for name, metric in task.metrics.items():
        interval = described.scores[name]
        assert interval.estimate == pytest.approx(metric.score(y, output, wanted))
        assert interval.low <= interval.estimate <= interval.high or name == "calibration_error"
    decided = task.operate(wanted, output, test["predicted_at"])
    assert described.value_total == np.where(decided, np.where(test["late"] == 1, 1000, -400), 0).sum()
    assert described.actions == decided.sum()


def test_predictions_of_every_contender_are_kept(evaluated, prepared):
    table = evaluated.predictions
    assert len(table) == len(prepared.read("test"))
    assert {
        "ticket",
        "late",
        "challenger__probability",
        "dummy__probability",
        "current_solution__probability",
        "challenger__decision",
    } <= set(table)


def test_evaluation_survives_a_file(evaluated, tmp_path):
    write(evaluated.evaluation, tmp_path / "evaluation.json")
    again = read(Evaluation, tmp_path / "evaluation.json")
    assert again.model_dump_json() == evaluated.evaluation.model_dump_json()
    assert len(again.value_by_day["challenger"]) == 14


def test_useless_model_is_refused(prepared, worse_champion):
    refused = evaluate_model(prepared, worse_champion.model)
    assert refused.evaluation.verdict == "refuse"
    assert gate(refused, "beats_dummy").verdict == "fail"
    assert gate(refused, "beats_current_solution").verdict == "fail"


def test_model_that_never_acts_is_refused_and_named(prepared, model):
    idle = dataclasses.replace(model, policy=ThresholdPolicy(threshold=2.0))
    refused = gate(evaluate_model(prepared, idle), "beats_constant_decisions")
    assert refused.verdict == "fail"
    assert refused.reason.startswith("The model wants the same for all 560 test rows (no action). Against ")


def test_model_that_acts_on_every_row_is_no_better_than_acting_always(prepared, model, task):
    eager = evaluate_model(prepared, dataclasses.replace(model, policy=ThresholdPolicy(threshold=0.0)))
    acted = eager.evaluation.contenders["challenger"].value_per_1000.estimate
    test = prepared.read("test")
    always = task.operate(np.ones(len(test), dtype=bool), np.zeros((len(test), 1)), test["predicted_at"])
    earned = 1000 * np.where(always, np.where(test["late"] == 1, 1000, -400), 0).mean()
    refused = gate(eager, "beats_constant_decisions")
    assert refused.verdict == "fail"
    assert f"gains {min(acted, acted - earned):+,.0f}, " in refused.reason


def test_better_challenger_beats_the_champion(prepared, model, worse_champion):
    judged = evaluate_model(prepared, model, worse_champion)
    assert gate(judged, "beats_champion").verdict == "pass"
    assert judged.evaluation.verdict == "promote"
    assert judged.evaluation.champion.comparable
    assert {"champion__probability", "champion__decision"} <= set(judged.predictions)
    assert {entry.reference_name for entry in judged.evaluation.slices} == {"champion"}


def test_challenger_equal_to_the_champion_is_held(prepared, model):
    judged = evaluate_model(prepared, model, Champion("3", model, EMPTY_LEDGER))
    assert judged.evaluation.verdict == "hold"
    assert "Against champion version 3" in judged.evaluation.reasons[0]


def test_champion_that_was_fitted_on_test_rows_is_no_comparator(prepared, model, worse_champion):
    ledger = prepared.read_ledger()
    knows = ledger.assign(role=ledger["role"].replace("test", "train"))
    judged = evaluate_model(prepared, model, dataclasses.replace(worse_champion, ledger=knows))
    assert judged.evaluation.verdict == "hold"
    assert "champion" not in judged.evaluation.contenders
    assert "was fitted on 560 of these 560 test rows" in judged.evaluation.reasons[0]
    assert judged.evaluation.champion.comparable is False


def test_champion_that_was_only_tested_on_these_rows_is_a_comparator(prepared, worse_champion):
    tested = dataclasses.replace(worse_champion, ledger=prepared.read_ledger())
    assert find_objection(prepared, tested, prepared.read("test")) is None


def test_champion_that_reads_missing_columns_is_no_comparator(prepared, worse_champion):
    rows = prepared.read("test").drop(columns=["age", "shop"])
    assert "lack: age, shop" in find_objection(prepared, worse_champion, rows)


def test_lower_is_better_metric_promotes_the_lower_one(task, prepared, model, worse_champion, small):
    """The mistake of public systems: a gate that takes every metric for one that should be high."""
    by_loss = small.change(task, metrics={"primary": "log_loss", "minimum_lift": 0.001})
    expected = CrossValidated(score=0.5, low=0.4, high=0.6, rows=100)
    details = model.description.details.model_copy(update={"cross_validated": expected})
    description = model.description.model_copy(update={"details": details})

    def by_log_loss(one):
        return dataclasses.replace(one, task=by_loss, description=description)

    judged = evaluate_model(prepared, by_log_loss(model), worse_champion)
    losses = {role: entry.scores["log_loss"].estimate for role, entry in judged.evaluation.contenders.items()}
    assert losses["challenger"] < losses["champion"]
    assert judged.evaluation.comparisons["champion"].primary.low > 0
    assert gate(judged, "beats_champion").verdict == "pass"
    swapped = evaluate_model(prepared, by_log_loss(worse_champion.model), Champion("4", model, EMPTY_LEDGER))
    assert swapped.evaluation.comparisons["champion"].primary.high < 0
    assert gate(swapped, "beats_champion").verdict == "hold"
    assert gate(swapped, "generalisation_gap").verdict == "fail"


def test_model_that_selection_did_not_choose_may_not_open_the_test(model):
    require_selected(model, board("naive_bayes", "logistic"))
    with pytest.raises(ModelRefusedError, match=re.escape("must be chosen on the leaderboard, but got")):
        require_selected(model, board("mlp"))
