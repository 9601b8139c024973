"""Every family swallows what production sends: gaps, strangers, outliers."""

import numpy as np
import optuna
import pandas as pd
import pytest

from components.models.parallel import quiet_fits
from components.models.recipe import fit_member
from components.tasks.binary.candidates import DEFAULTS, build_candidate, suggest_parameters


@pytest.mark.parametrize("family", DEFAULTS)
def test_family_forecasts_rows_with_gaps_strangers_and_outliers(small, family):
    train, fresh = small.make_rows(0, 100, seed=1), small.make_rows(100, 2, seed=2)
    train.loc[5, "age"] = 1e12
    strange = fresh.copy()
    strange["age"] = [np.nan, 1e15, -1e15, 0.0] * 20
    strange["shop"] = [None, "never seen", "A", "B"] * 20
    names = small.NAMES
    with quiet_fits():
        fitted = build_candidate(family, small.FEATURES).fit(train[names], train["late"])
    probabilities = fitted.predict_proba(strange[names])
    assert probabilities.shape == (80, 2)
    assert np.isfinite(probabilities).all()
    assert np.corrcoef(fitted.predict_proba(fresh[names])[:, 1], fresh["warmth"].fillna(0))[0, 1] > 0.3


@pytest.mark.parametrize("family", DEFAULTS)
def test_search_space_suggests_the_parameters_that_have_defaults(small, family):
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    suggested = suggest_parameters(family, trial)
    assert set(suggested) == set(DEFAULTS[family])
    build_candidate(family, small.FEATURES, suggested)


@pytest.mark.parametrize("family", DEFAULTS)
def test_defaults_lie_inside_the_search_space(small, family):
    study = optuna.create_study()
    study.enqueue_trial(DEFAULTS[family])
    trial = study.ask()
    assert suggest_parameters(family, trial) == DEFAULTS[family]
    for name, distribution in trial.distributions.items():
        assert distribution._contains(distribution.to_internal_repr(DEFAULTS[family][name])), name


@pytest.mark.parametrize("family", ["logistic", "hist_gradient_boosting", "random_forest"])
@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_family_takes_features_of_one_kind_only(small, family, kind):
    features = [feature for feature in small.FEATURES if feature.kind == kind]
    rows = small.make_rows(0, 10, seed=3)
    fitted = build_candidate(family, features).fit(rows[[feature.name for feature in features]], rows["late"])
    assert np.isfinite(fitted.predict_proba(rows)).all()


@pytest.mark.parametrize("family", DEFAULTS)
def test_feature_that_was_always_missing_does_not_break_the_fit_and_tells_nothing(small, family):
    rows = small.make_rows(0, 10, seed=3)
    empty = rows.assign(noise=np.nan, shop=pd.Series([None] * len(rows), dtype=object))
    names = small.NAMES
    with quiet_fits():
        fitted = fit_member(build_candidate(family, small.FEATURES), empty[names], rows["late"])
    forecast = fitted.predict_proba(empty[names])
    assert np.isfinite(forecast).all()
    if family == "hist_gradient_boosting":
        assert (fitted.predict_proba(rows.assign(shop=empty["shop"])[names]) == forecast).all()


def test_scaling_is_fitted_inside_the_pipeline(small):
    rows = small.make_rows(0, 10, seed=3)
    names = small.NAMES
    fitted = build_candidate("logistic", small.FEATURES).fit(rows[names], rows["late"])
    shifted = rows.assign(age=rows["age"] * 1000)
    again = build_candidate("logistic", small.FEATURES).fit(shifted[names], rows["late"])
    assert fitted.predict_proba(rows[names]) == pytest.approx(again.predict_proba(shifted[names]), abs=1e-4)
