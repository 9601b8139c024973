"""The model of a release: who is fitted, calibrated and given a policy on which rows."""

import numpy as np
import pandas as pd
import pytest

from components.models.calibrate import calibrate_model, fit_policy, halve
from components.models.ensemble import build_ensemble
from components.tasks.binary.candidates import build_candidate
from components.tasks.binary.metrics import roc_auc
from components.tasks.binary.policy import break_even, value_per_1000


def test_model_tells_late_from_punctual_rows_it_never_saw(model, prepared):
    test = prepared.read("test")
    assert roc_auc(test["late"].to_numpy(), model.predict(test)[:, 0]) > 0.75


def test_details_say_how_it_was_made(model, prepared):
    details = model.description.details
    assert {entry.kind for entry in details.comparison} == {"single", "voting", "stacking"}
    assert details.train_rows == len(prepared.read("train"))
    assert sum(entry.chosen for entry in details.comparison) == 1
    assert details.policy["chosen"]["threshold"] == model.policy.threshold


def test_rows_that_calibrate_do_not_choose_the_policy(model, prepared):
    details = model.description.details
    assert details.calibration["end"] < details.policy["start"]
    assert details.calibration["rows"] + details.policy["rows"] == len(prepared.read("validation"))


def test_voting_is_the_mean_and_stacking_weighs_its_members(task, small):
    rows = small.make_rows(0, 12, seed=1)
    X, y = rows[small.NAMES], rows["late"]
    members = {family: build_candidate(family, small.FEATURES).fit(X, y) for family in ("logistic", "naive_bayes")}
    table = np.column_stack([member.predict_proba(X)[:, 1] for member in members.values()])
    held_out = small.held_out()
    stacker = task.fit_stacker(held_out.outputs, held_out.outcomes)
    voting = task.combine("voting", members, stacker, X, y)
    assert voting.predict_proba(X)[:, 1] == pytest.approx(table.mean(axis=1))
    stacking = task.combine("stacking", members, stacker, X, y)
    final = stacking.final_estimator_.estimator
    logit = table @ final.coef_[0] + final.intercept_[0]
    assert stacking.predict_proba(X)[:, 1] == pytest.approx(1 / (1 + np.exp(-logit)))


def test_calibration_corrects_probabilities_that_are_far_too_high(task, small):
    rows = small.make_rows(0, 60, seed=1)
    train = pd.concat([rows, rows.assign(late=1)])
    core = build_candidate("logistic", small.FEATURES).fit(train[small.NAMES], train["late"])
    validation = small.make_rows(60, 40, seed=2)
    _, found = calibrate_model(task, core, small.NAMES, validation)
    assert found["method"] in ("sigmoid", "isotonic")
    assert found["log_loss"][found["method"]] < 0.8 * found["log_loss"]["none"]


def test_threshold_is_the_one_that_earns_most_on_the_later_half(task, prepared, small):
    train, validation = prepared.read("train"), prepared.read("validation")
    core = build_candidate("logistic", small.FEATURES).fit(train[small.NAMES], train["late"])
    found = fit_policy(task, core, small.NAMES, validation).details
    _, second = halve(validation)
    y, p, times = second["late"].to_numpy(), task.predict(core, second[small.NAMES])[:, 0], second["predicted_at"]
    earned = [value_per_1000(y, p, threshold, times, task.problem.business) for threshold in np.linspace(0, 1, 50)]
    assert found["chosen"]["value_per_1000"] >= 0.97 * max(earned)
    assert len(found["curve"]) > 50


def test_break_even_of_the_flight_contract_is_two_sevenths(problem):
    """A desk costs 400 when it is wrong and earns 1,000 when it is right: 400 / 1,400."""
    assert break_even(problem.business) == pytest.approx(2 / 7)


def test_lone_family_needs_no_ensemble(task, prepared, tuned):
    model = build_ensemble(task, prepared, tuned.model_copy(update={"families": tuned.families[:1]}))
    assert (model.description.kind, model.family) == ("single", "logistic")
