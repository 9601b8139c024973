"""Verdicts over whole releases: a good model, a useless one, a champion, a champion that knows the test rows."""

import dataclasses
import re

import numpy as np
import orjson
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

from components.base.errors import ModelRefusedError
from components.base.statistics.decisions import take_decisions
from components.base.statistics.scores import METRICS, score
from components.models.champion import Champion, find_objection, require_selected
from components.models.evaluate import evaluate_model

EMPTY_LEDGER = pd.DataFrame({"row_hash": np.array([], dtype="uint64"), "role": []})


@pytest.fixture(scope="module")
def evaluated(problem, prepared, model):
    return evaluate_model(problem, prepared, model, earlier_openings=2)


@pytest.fixture(scope="module")
def worse_champion(model, prepared):
    """A champion that ranks at random."""
    train = prepared.read("train")
    fitted = DummyClassifier(strategy="stratified", random_state=0).fit(train[model.feature_names], train["late"])
    return Champion("3", dataclasses.replace(model, estimator=fitted), EMPTY_LEDGER)


def gate(evaluated, name):
    return next(gate for gate in evaluated.document["gates"] if gate["name"] == name)


def test_good_model_is_promoted(evaluated):
    assert evaluated.document["verdict"] == "promote"
    assert {gate["name"]: gate["verdict"] for gate in evaluated.document["gates"]} == {
        "beats_dumb": "pass",
        "beats_current_solution": "pass",
        "guard_roc_auc": "pass",
        "guard_calibration_error": "pass",
        "generalisation_gap": "pass",
        "slices": "pass",
    }
    assert evaluated.document["champion"] is None


def test_opening_of_the_test_rows_is_recorded(evaluated, prepared):
    opened = evaluated.document["opened"]
    assert (opened["earlier_openings"], opened["rows"], opened["days"]) == (2, len(prepared.read("test")), 14)
    assert len(opened["test_fingerprint"]) == 64


def test_scores_are_those_of_the_test_rows(evaluated, prepared, model, problem):
    test = prepared.read("test")
    p = model.predict(test)
    described = evaluated.document["contenders"]["challenger"]
    for metric in METRICS:
        interval = described["scores"][metric]
        assert interval["estimate"] == pytest.approx(score(metric, test["late"], p, model.threshold))
        assert interval["low"] <= interval["estimate"] <= interval["high"] or metric == "calibration_error"
    decided = take_decisions(p, model.threshold, test["predicted_at"], problem.business.capacity_per_day)
    assert described["value_total"] == np.where(decided, np.where(test["late"] == 1, 1000, -400), 0).sum()
    assert described["actions"] == decided.sum()


def test_predictions_of_every_contender_are_kept(evaluated, prepared):
    table = evaluated.predictions
    assert len(table) == len(prepared.read("test"))
    assert {"ticket", "late", "p_challenger", "p_dumb", "p_current_solution", "decided_challenger"} <= set(table)


def test_document_is_json(evaluated):
    again = orjson.loads(orjson.dumps(evaluated.document, option=orjson.OPT_SERIALIZE_NUMPY))
    assert again["verdict"] == "promote"
    assert len(again["value_by_day"]) == 14


def test_useless_model_is_refused(problem, prepared, worse_champion):
    refused = evaluate_model(problem, prepared, worse_champion.model)
    assert refused.document["verdict"] == "refuse"
    assert gate(refused, "beats_dumb")["verdict"] == "fail"
    assert gate(refused, "beats_current_solution")["verdict"] == "fail"


def test_better_challenger_beats_the_champion(problem, prepared, model, worse_champion):
    judged = evaluate_model(problem, prepared, model, worse_champion)
    assert gate(judged, "beats_champion")["verdict"] == "pass"
    assert judged.document["verdict"] == "promote"
    assert judged.document["champion"]["comparable"]
    assert {"p_champion", "decided_champion"} <= set(judged.predictions)
    assert {entry["reference_name"] for entry in judged.document["slices"]} == {"champion"}


def test_challenger_equal_to_the_champion_is_held(problem, prepared, model):
    judged = evaluate_model(problem, prepared, model, Champion("3", model, EMPTY_LEDGER))
    assert judged.document["verdict"] == "hold"
    assert "Against champion version 3" in judged.document["reasons"][0]


def test_champion_that_was_fitted_on_test_rows_is_no_comparator(problem, prepared, model, worse_champion):
    ledger = prepared.read_ledger()
    knows = ledger.assign(role=ledger["role"].replace("test", "train"))
    judged = evaluate_model(problem, prepared, model, dataclasses.replace(worse_champion, ledger=knows))
    assert judged.document["verdict"] == "hold"
    assert "champion" not in judged.document["contenders"]
    assert "was fitted on 560 of these 560 test rows" in judged.document["reasons"][0]
    assert judged.document["champion"]["comparable"] is False


def test_champion_that_was_only_tested_on_these_rows_is_a_comparator(prepared, worse_champion):
    tested = dataclasses.replace(worse_champion, ledger=prepared.read_ledger())
    assert find_objection(prepared, tested, prepared.read("test")) is None


def test_champion_that_reads_missing_columns_is_no_comparator(prepared, worse_champion):
    rows = prepared.read("test").drop(columns=["age", "shop"])
    assert "lack: age, shop" in find_objection(prepared, worse_champion, rows)


def test_lower_is_better_metric_promotes_the_lower_one(problem, prepared, model, worse_champion, small):
    """The mistake of public systems: a gate that takes every metric for one that should be high."""
    by_loss = small.change(problem, metrics={"primary": "log_loss", "minimum_lift": 0.001})
    details = model.details | {"cross_validated": {"score": 0.5}}
    judged = evaluate_model(by_loss, prepared, dataclasses.replace(model, details=details), worse_champion)
    losses = {role: entry["scores"]["log_loss"]["estimate"] for role, entry in judged.document["contenders"].items()}
    assert losses["challenger"] < losses["champion"]
    assert judged.document["comparisons"]["champion"]["primary"]["low"] > 0
    assert gate(judged, "beats_champion")["verdict"] == "pass"
    swapped = evaluate_model(
        by_loss,
        prepared,
        dataclasses.replace(worse_champion.model, details=details),
        Champion("4", model, EMPTY_LEDGER),
    )
    assert swapped.document["comparisons"]["champion"]["primary"]["high"] < 0
    assert gate(swapped, "beats_champion")["verdict"] == "hold"
    assert gate(swapped, "generalisation_gap")["verdict"] == "fail"


def test_model_that_selection_did_not_choose_may_not_open_the_test(model):
    require_selected(model, {"chosen": ["naive_bayes", "logistic"]})
    with pytest.raises(ModelRefusedError, match=re.escape("must be chosen on the leaderboard, but got")):
        require_selected(model, {"chosen": ["mlp"]})
