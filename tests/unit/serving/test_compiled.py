"""The compiled scorer against scikit-learn itself, over every family, ensemble and calibration."""

import builtins
import functools
import logging
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from components.base.contract.load import load_problem
from components.base.dataset import Feature
from components.models.artifact import Model
from components.serving.predictor.compiled.pipeline import MAXIMUM_DIFFERENCE, Scorer, compile_scorer
from components.tasks import open_task
from tests.unit.made_models import make_model

TASK = open_task(load_problem("pipelines/problems/flight-delays.yaml"))
NUMERIC = ("distance", "hour", "wind", "age")
TEXTS = ("carrier", "origin", "dest")
FEATURES = [Feature(name, "numeric", "request", name) for name in NUMERIC] + [
    Feature(name, "categorical", "request", name) for name in TEXTS
]
CARRIERS, ORIGINS, DESTINATIONS = ["AA", "B6", "UA", "OO"], ["EWR", "JFK", "LGA"], ["ATL", "BOS", "ORD", "SFO", "LEX"]


def make_rows(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({name: rng.normal(10, 4, n) for name in NUMERIC})
    table["age"] = np.where(rng.random(n) < 0.3, np.nan, table["age"])
    table["wind"] = np.where(rng.random(n) < 0.05, np.nan, table["wind"])
    table["carrier"] = rng.choice(CARRIERS, n, p=[0.4, 0.3, 0.28, 0.02])
    table["origin"] = rng.choice(ORIGINS, n)
    table["dest"] = rng.choice(DESTINATIONS, n, p=[0.4, 0.3, 0.2, 0.09, 0.01])
    table["dest"] = table["dest"].astype(object).where(rng.random(n) > 0.05, None)
    odds = 0.2 * (table["hour"] - 10) + (table["carrier"] == "B6") + 0.1 * table["age"].fillna(10) - 1.5
    y = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(int).to_numpy()
    return table.astype(dict.fromkeys(TEXTS, object)), y


def scaled(clip: bool = False) -> ColumnTransformer:
    steps = [SimpleImputer(strategy="median", add_indicator=True), RobustScaler() if clip else StandardScaler()]
    if clip:
        steps.append(FunctionTransformer(np.clip, kw_args={"a_min": -3, "a_max": 3}, feature_names_out="one-to-one"))
    texts = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="missing", missing_values=None),
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=0.02, sparse_output=clip),
    )
    return ColumnTransformer([("numbers", make_pipeline(*steps), list(NUMERIC)), ("texts", texts, list(TEXTS))])


def ordinal() -> ColumnTransformer:
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan, max_categories=4
    )
    return ColumnTransformer([("texts", encoder, list(TEXTS)), ("numbers", "passthrough", list(NUMERIC))])


def filled() -> ColumnTransformer:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    return ColumnTransformer(
        [("numbers", SimpleImputer(add_indicator=True), list(NUMERIC)), ("texts", encoder, list(TEXTS))]
    )


def make_logistic() -> Pipeline:
    return make_pipeline(scaled(clip=True), LogisticRegression(C=0.3))


def make_boosting() -> Pipeline:
    return make_pipeline(
        ordinal(), HistGradientBoostingClassifier(max_iter=12, categorical_features=[0, 1, 2], random_state=1)
    )


def make_boosting_behind_numbers() -> Pipeline:
    """Build boosting as the binary task does: categories after the numbers, missing and unknown ones as -1."""
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1, max_categories=200
    )
    columns = ColumnTransformer([("numeric", "passthrough", list(NUMERIC)), ("categorical", encoder, list(TEXTS))])
    return make_pipeline(
        columns, HistGradientBoostingClassifier(max_iter=12, categorical_features=[4, 5, 6], random_state=1)
    )


def make_forest() -> Pipeline:
    return make_pipeline(filled(), RandomForestClassifier(12, min_samples_leaf=3, random_state=1))


def make_network() -> Pipeline:
    return make_pipeline(scaled(), MLPClassifier((8, 4), max_iter=8, random_state=1))


def make_prefit_stacking() -> StackingClassifier:
    """Stack as `models.ensemble` does: fitted members, a frozen final estimator."""
    X, y = make_rows(400, 3)
    members = [("a", make_logistic().fit(X, y)), ("b", make_boosting().fit(X, y))]
    scores = np.column_stack([member.predict_proba(X)[:, 1] for _, member in members])
    final = FrozenEstimator(LogisticRegression().fit(scores, y))
    return StackingClassifier(members, final_estimator=final, cv="prefit", stack_method="predict_proba")


def make_ensemble(kind: type, **arguments) -> object:
    members = [("a", make_logistic()), ("b", make_boosting()), ("c", make_forest())]
    return kind(members, **arguments)


def calibrate(estimator: object, method: str) -> CalibratedClassifierCV:
    X, y = make_rows(300, 5)
    return CalibratedClassifierCV(FrozenEstimator(estimator.fit(*make_rows(400, 3))), method=method).fit(X, y)


MAKERS = {
    "logistic": make_logistic,
    "boosting": make_boosting,
    "boosting_behind_numbers": make_boosting_behind_numbers,
    "random_forest": make_forest,
    "extra_trees": lambda: make_pipeline(ordinal(), ExtraTreesClassifier(12, max_depth=6, random_state=1)),
    "network": make_network,
    "naive_bayes": lambda: make_pipeline(scaled(), GaussianNB()),
    "voting": lambda: make_ensemble(VotingClassifier, voting="soft", weights=[1, 2, 0.5]),
    "stacking": lambda: make_ensemble(StackingClassifier, stack_method="predict_proba", cv=2),
    "stacking_auto": lambda: make_ensemble(StackingClassifier, cv=2),
    "sigmoid_boosting": lambda: calibrate(make_boosting(), "sigmoid"),
    "isotonic_forest": lambda: calibrate(make_forest(), "isotonic"),
    "sigmoid_network": lambda: calibrate(make_network(), "sigmoid"),
    "isotonic_stacking": lambda: calibrate(make_ensemble(StackingClassifier, cv=2), "isotonic"),
    "sigmoid_prefit_stacking": lambda: calibrate(make_prefit_stacking(), "sigmoid"),
    "cross_calibrated": lambda: CalibratedClassifierCV(make_logistic(), cv=2),
}


@functools.cache
def fitted(name: str) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # eight epochs do not converge, and need not
        estimator = MAKERS[name]()
        is_fitted = hasattr(estimator, "calibrated_classifiers_")
        return estimator if is_fitted else estimator.fit(*make_rows(400, 3))


def model_of(estimator: object) -> Model:
    return make_model(TASK, estimator, FEATURES, 0.4)


@functools.cache
def scorer_of(name: str) -> Scorer:
    return compile_scorer(model_of(fitted(name)), make_rows(60, 9)[0])


def expected(estimator: object, rows: list[dict]) -> np.ndarray:
    types = {feature.name: "float64" if feature.kind == "numeric" else object for feature in FEATURES}
    return estimator.predict_proba(pd.DataFrame(rows).astype(types))[:, 1:]


number = st.one_of(st.none(), st.just(math.nan), st.floats(-1e6, 1e6))
text = st.one_of(st.none(), st.sampled_from([*CARRIERS, *ORIGINS, *DESTINATIONS]), st.text(max_size=5))
row = st.fixed_dictionaries({**dict.fromkeys(NUMERIC, number), **dict.fromkeys(TEXTS, text)})


@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=15, deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=12))
def test_scorer_gives_the_probabilities_of_the_pipeline(name, rows):
    assert scorer_of(name).is_compiled, scorer_of(name).reason
    ours, theirs = scorer_of(name).score(rows), expected(fitted(name), rows)
    assert np.max(np.abs(ours - theirs)) <= MAXIMUM_DIFFERENCE


def test_scorer_scores_one_row_as_it_scores_it_among_many():
    scorer = scorer_of("stacking")
    rows = make_rows(50, 11)[0].to_dict("records")
    assert np.allclose(scorer.score(rows), np.vstack([scorer.score([row]) for row in rows]), rtol=0, atol=1e-12)


def test_scorer_without_a_sample_serves_the_pipeline_and_says_why(caplog):
    with caplog.at_level(logging.WARNING):
        scorer = compile_scorer(model_of(fitted("boosting")), None)
    assert not scorer.is_compiled
    assert "there is no sample" in scorer.reason
    assert scorer.reason in caplog.text
    rows = make_rows(20, 2)[0].to_dict("records")
    assert np.array_equal(scorer.score(rows), expected(fitted("boosting"), rows))


def test_scorer_of_an_unknown_classifier_serves_the_pipeline():
    pipeline = make_pipeline(scaled(), BernoulliNB()).fit(*make_rows(200, 3))
    scorer = compile_scorer(model_of(pipeline), make_rows(30, 9)[0])
    assert scorer.reason == "classifier BernoulliNB has no compiled form"
    rows = [{**dict.fromkeys(NUMERIC), **dict.fromkeys(TEXTS)}]
    assert np.array_equal(scorer.score(rows), expected(pipeline, rows))


def test_scorer_without_treelite_serves_the_pipeline(monkeypatch):
    plain_import = builtins.__import__

    def refuse(name, *arguments, **keywords):
        if name.startswith("treelite"):
            raise ImportError("No module named 'treelite'")
        return plain_import(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", refuse)
    scorer = compile_scorer(model_of(fitted("boosting")), make_rows(30, 9)[0])
    assert not scorer.is_compiled
    assert "ImportError: No module named 'treelite'" in scorer.reason


def test_scorer_with_other_probabilities_serves_the_pipeline():
    estimator = make_logistic().fit(*make_rows(200, 3))

    class Shifted(LogisticRegression):
        """Answers otherwise than its coefficients say."""

        def predict_proba(self, X):
            return super().predict_proba(X) * [[0.9, 1.1]]

    Shifted.__name__ = "LogisticRegression"
    last = estimator.steps[-1][1]
    last.__class__ = Shifted
    scorer = compile_scorer(model_of(estimator), make_rows(30, 9)[0])
    assert not scorer.is_compiled
    assert scorer.reason.startswith("outputs must agree within 1e-09, but differ by 0.")
