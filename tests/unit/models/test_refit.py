"""What is judged has learned from validation rows too, what is served from test rows, unless outputs would move."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV

from components.models.artifact import fingerprint_model, load_model, save_model
from components.models.calibrate import calibrate_model
from components.models.documents import CrossValidated, ModelDetails
from components.models.recipe import Recipe, read_recipe
from components.models.refit import refit_model, refit_release
from components.tasks.binary.candidates import build_candidate
from tests.unit.made_models import make_model

FAMILIES = ("logistic", "naive_bayes", "hist_gradient_boosting", "random_forest")
ROWS = {"train": (0, 20), "validation": (21, 16), "test": (38, 60)}


@pytest.fixture
def refit(task, small):
    """Fit on some train rows, calibrate on validation rows, and refit; count the rows of each fit."""

    def run(train, validation):
        fitted = []

        def fit(*tables):
            rows = pd.concat(tables)
            fitted.append(len(rows))
            return build_candidate("logistic", small.FEATURES).fit(rows[small.NAMES], rows["late"])

        before, _ = calibrate_model(task, fit(train), small.NAMES, validation)
        after, record = refit_model(task, before, fit, train, validation, small.NAMES)
        return before, after, record, fitted

    return run


def test_recipe_is_fitted_again_on_train_and_validation_rows(refit, small):
    train, validation = small.make_rows(0, 60, seed=1), small.make_rows(60, 20, seed=2)
    before, after, record, fitted = refit(train, validation)
    assert (record.is_refitted, record.rows, fitted[-1]) == (True, len(train) + len(validation), record.rows)
    fresh = build_candidate("logistic", small.FEATURES)
    fresh.fit(*(pd.concat([train, validation])[columns] for columns in (small.NAMES, "late")))
    test = small.make_rows(80, 5, seed=3)[small.NAMES]
    inner = after.calibrated_classifiers_[0].estimator if isinstance(after, CalibratedClassifierCV) else after
    np.testing.assert_allclose(inner.predict_proba(test), fresh.predict_proba(test))
    assert not np.array_equal(before.predict_proba(test), after.predict_proba(test))


def test_model_whose_outputs_would_move_stays_as_it_was_judged(refit, small):
    """From the first day of validation on, the inputs mean the opposite."""
    train, validation = small.make_rows(0, 20, seed=1), small.make_rows(20, 60, seed=2)
    before, after, record, _ = refit(train, validation.assign(late=1 - validation["late"]))
    assert after is before
    assert (record.is_refitted, record.rows) == (False, len(train))
    assert record.psi > 0.25
    assert "the model of train rows alone stays" in record.reason


def test_calibration_stays_the_same_around_another_model(task, small):
    rows = small.make_rows(0, 60, seed=1)
    overconfident = pd.concat([rows, rows.assign(late=1)])
    core = build_candidate("logistic", small.FEATURES).fit(overconfident[small.NAMES], overconfident["late"])
    calibrated, found = calibrate_model(task, core, small.NAMES, small.make_rows(60, 40, seed=2))
    assert found["method"] != "none"
    other = build_candidate("naive_bayes", small.FEATURES).fit(rows[small.NAMES], rows["late"])
    test = small.make_rows(100, 10, seed=3)[small.NAMES]
    untouched = calibrated.predict_proba(test)
    replaced = task.replace_core(calibrated, other).predict_proba(test)
    (calibrator,) = calibrated.calibrated_classifiers_[0].calibrators
    np.testing.assert_allclose(replaced[:, 1], calibrator.predict(other.predict_proba(test)[:, 1]))
    np.testing.assert_array_equal(calibrated.predict_proba(test), untouched)


def make_judged(task, small, kind, families, train, validation):
    """Return a calibrated model of train rows, as `ensemble` makes it, with its recipe."""
    parameters = {family: task.default_parameters(family) for family in families}
    pipelines = {family: task.build_candidate(family, small.FEATURES, found) for family, found in parameters.items()}
    outputs = np.random.default_rng(len(families)).random((200, len(families), 1))
    stacker = task.fit_stacker(outputs, (outputs[:, 0, 0] > 0.4).astype(float)) if kind == "stacking" else None
    recipe = Recipe(task, small.FEATURES, "late", kind, pipelines, stacker)
    estimator, calibration = calibrate_model(task, recipe.fit(train), small.NAMES, validation)
    details = ModelDetails(
        metric="average_precision",
        train_rows=len(train),
        parameters=parameters,
        comparison=(),
        reason="The only one.",
        cross_validated=CrossValidated(score=0.5, low=0.4, high=0.6, rows=len(train)),
        calibration=calibration,
        policy={},
    )
    described = {"family": "+".join(families), "kind": kind, "calibration": calibration["method"]}
    return make_model(task, estimator, small.FEATURES, details=details, **described)


@given(
    kind=st.sampled_from(["single", "voting", "stacking"]),
    families=st.lists(st.sampled_from(FAMILIES), min_size=2, max_size=3, unique=True),
    seed=st.integers(0, 99),
)
@settings(max_examples=8, deadline=None, phases=[Phase.generate])
def test_refit_on_the_same_rows_changes_nothing(kind, families, seed, task, small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("same")
    train, validation = small.make_rows(0, 12, seed), small.make_rows(12, 8, seed)
    members = families[:1] if kind == "single" else families
    save_model(folder / "0", make_judged(task, small, kind, members, train, validation))
    for number in (1, 2):
        model = load_model(task, folder / str(number - 1))
        refitted = replace(model, estimator=task.replace_core(model.estimator, read_recipe(model).fit(train)))
        save_model(folder / str(number), refitted)
        np.testing.assert_array_equal(refitted.predict(validation), model.predict(validation))
    assert fingerprint_model(folder / "1") == fingerprint_model(folder / "2")


@pytest.fixture
def accepted(task, small, tmp_path):
    """Refit an accepted release whose newest rows are the given ones; return the judged model and what came out."""

    def run(turn=lambda test: test, verdict="promote", release=None):
        rows = {role: small.make_rows(*days, seed=4) for role, days in ROWS.items()}
        prepared = small.write_rows(tmp_path, rows | {"test": turn(rows["test"])})
        changed = small.change(task, release={"refit": "all"} | (release or {}))
        judged = make_judged(changed, small, "single", ["logistic"], rows["train"], rows["validation"])
        return prepared, judged, *refit_release(prepared, judged, verdict)

    return run


def test_accepted_release_serves_its_recipe_fitted_on_all_roles(accepted, task, small):
    prepared, judged, served, record = accepted()
    tables = [prepared.read(role) for role in ROWS]
    assert (record.is_refitted, record.rows) == (True, sum(map(len, tables)))
    assert (served.policy, served.description) == (judged.policy, judged.description)
    expected = task.replace_core(judged.estimator, read_recipe(judged).fit(*tables))
    np.testing.assert_array_equal(served.predict(tables[2]), task.predict(expected, tables[2][small.NAMES]))
    assert record.golden.rows == task.problem.serving.golden_rows


@pytest.mark.parametrize("half", ["first", "second", "both"])
def test_newest_rows_that_mean_the_opposite_keep_the_judged_model(accepted, half):
    def turn(test):
        halves = np.arange(len(test)) < len(test) // 2
        turned = {"first": halves, "second": ~halves, "both": halves | True}[half]
        return test.assign(late=np.where(turned, 1 - test["late"], test["late"]).astype("int8"))

    prepared, judged, served, record = accepted(turn)
    assert served is judged
    assert (record.is_refitted, record.is_kept_back) == (False, True)
    assert max(shift.psi for shift in record.shifts) > 0.25
    assert record.reason.startswith("The judged model is served. Newer rows would change what it answers")
    assert record.rows == len(prepared.read("train"))


def test_more_decisions_that_flip_than_the_contract_allows_keep_the_judged_model(accepted):
    _, judged, served, record = accepted(release={"maximum_flipped_ratio": 0.0})
    assert served is judged
    assert record.is_kept_back
    assert max(shift.psi for shift in record.shifts) < 0.25
    assert "of the decisions flip at most (limit 0.0%)" in record.reason


@pytest.mark.parametrize(
    ("verdict", "release", "reason"),
    [
        ("hold", {}, "The verdict is hold, so the judged model was not fitted again."),
        ("refuse", {}, "The verdict is refuse, so the judged model was not fitted again."),
        ("promote", {"refit": "judged"}, "The judged model is served, as the contract says in `release.refit`."),
    ],
)
def test_release_that_is_not_accepted_or_not_to_be_refitted_serves_what_was_judged(accepted, verdict, release, reason):
    _, judged, served, record = accepted(verdict=verdict, release=release)
    assert served is judged
    assert (record.is_refitted, record.is_kept_back, record.shifts) == (False, False, ())
    assert record.reason == reason
