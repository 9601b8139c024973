"""The model that is judged has learned from validation rows too, unless its outputs would move."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV

from components.models.calibrate import calibrate_model
from components.models.refit import refit_model
from components.tasks.binary.candidates import build_candidate


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
