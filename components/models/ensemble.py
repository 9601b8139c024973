"""Make the model of the release: the best of single, voting and stacking, calibrated, with a threshold chosen by value.

In: the contract, the prepared rows (train and validation) and the tuned candidates. Out: a fitted `Model`.

Which rows decide what
    train        fits the members; their out-of-fold predictions in time order compare the kinds and fit the stacking
    validation   its first half (in time) fits the calibrators; its second half chooses one of them by log loss, then
                 the threshold by business value under the capacity. A choice among three and one number cannot overfit
                 thousands of rows, and no row calibrates what it also judges.
"""

import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from components.base.contract.problem import Problem
from components.base.dataset import Prepared
from components.base.statistics.folds import Fold, sample_folds, split_train
from components.models.artifact import Kind, Model
from components.models.calibrate import calibrate, find_threshold
from components.models.candidates import build_candidate
from components.models.combine import HeldOut, compare_kinds, fit_stacker
from components.models.parallel import quiet_fits, run_all, use_one_thread

logger = logging.getLogger(__name__)

Document = dict[str, Any]

# Shown to a wrapper whose parts are all fitted: it only has to see both classes.
_WRAPPER_ROWS = 500


def build_ensemble(problem: Problem, prepared: Prepared, tuned: Document) -> Model:
    """Fit the members on all train rows, combine, calibrate, and choose the threshold."""
    started = time.monotonic()
    train, validation = prepared.read("train"), prepared.read("validation")
    parameters = {entry["family"]: entry["parameters"] for entry in tuned["families"]}
    pipelines = {
        family: build_candidate(family, prepared.features, values, problem.search.seed)
        for family, values in parameters.items()
    }
    held_out = _predict_out_of_fold(problem, prepared, train, list(pipelines.values()))
    comparison = compare_kinds(problem, list(parameters), held_out)
    winner = next(kind for kind in comparison["comparison"] if kind["chosen"])
    chosen = _fit_chosen(prepared, {family: pipelines[family] for family in winner["families"]}, train)
    with quiet_fits():
        use_one_thread()
        core = combine_members(winner["kind"], chosen, held_out, train[prepared.feature_names], train[prepared.target])
        estimator, calibration = calibrate(core, prepared.feature_names, prepared.target, validation)
        threshold = find_threshold(problem, estimator, prepared.feature_names, validation)
    logger.info("ensemble: %s, %s", comparison["reason"], calibration["reason"])
    return Model(
        estimator=estimator,
        threshold=threshold["chosen"]["threshold"],
        features=prepared.features,
        target=prepared.target,
        family="+".join(chosen),
        kind=winner["kind"],
        calibration=calibration["method"],
        details={
            "metric": problem.metrics.primary,
            "train_rows": len(train),
            "parameters": {family: parameters[family] for family in chosen},
            **comparison,
            "calibration": calibration,
            "threshold": threshold,
            "seconds": time.monotonic() - started,
        },
    )


def combine_members(kind: Kind, members: dict[str, Any], held_out: HeldOut, X: pd.DataFrame, y: pd.Series) -> Any:
    """Wrap fitted members as one classifier without fitting any of them again.

    Stacking is fitted on out-of-fold predictions, which scikit-learn itself cannot make in time order: the finished
    logistic regression is frozen into a StackingClassifier that takes it and its members as they are.
    """
    from sklearn.ensemble import StackingClassifier, VotingClassifier
    from sklearn.frozen import FrozenEstimator

    if kind == "single":
        return next(iter(members.values()))
    seen = pd.concat([y[y == outcome].head(_WRAPPER_ROWS) for outcome in (0, 1)]).index
    if kind == "voting":
        frozen = [(name, FrozenEstimator(member)) for name, member in members.items()]
        return VotingClassifier(frozen, voting="soft").fit(X.loc[seen], y.loc[seen])
    final = FrozenEstimator(fit_stacker(held_out))
    stacking = StackingClassifier(
        list(members.items()), final_estimator=final, cv="prefit", stack_method="predict_proba"
    )
    return stacking.fit(X.loc[seen], y.loc[seen])


def _fit_chosen(prepared: Prepared, pipelines: dict[str, Any], train: pd.DataFrame) -> dict[str, Any]:
    fitted = run_all([partial(_fit, prepared, pipeline, train) for pipeline in pipelines.values()])
    return dict(zip(pipelines, fitted, strict=True))


def _predict_out_of_fold(
    problem: Problem, prepared: Prepared, train: pd.DataFrame, pipelines: Sequence[Any]
) -> HeldOut:
    """Predict the scored rows of every fold by every member, fitted on the rows before them."""
    folds = sample_folds(split_train(problem, train), problem.search.tune_rows)
    predictions = run_all(
        [partial(_predict_fold, prepared, pipeline, train, fold) for fold in folds for pipeline in pipelines]
    )
    return _gather(train, prepared.target, folds, predictions)


def _fit(prepared: Prepared, pipeline: Any, rows: pd.DataFrame) -> Any:
    from sklearn.base import clone

    return clone(pipeline).fit(rows[prepared.feature_names], rows[prepared.target])


def _predict_fold(prepared: Prepared, pipeline: Any, train: pd.DataFrame, fold: Fold) -> Any:
    fitted = _fit(prepared, pipeline, train.iloc[fold.fit])
    return fitted.predict_proba(train.iloc[fold.score][prepared.feature_names])[:, 1]


def _gather(train: pd.DataFrame, target: str, folds: Sequence[Fold], predictions: Sequence[Any]) -> HeldOut:
    """Join the predictions, which come fold after fold and member after member within a fold."""
    width = len(predictions) // len(folds)
    blocks = [np.column_stack(predictions[place * width : (place + 1) * width]) for place in range(len(folds))]
    rows = np.concatenate([fold.score for fold in folds])
    return HeldOut(
        probabilities=np.concatenate(blocks),
        outcomes=train[target].to_numpy(dtype=np.float64)[rows],
        predicted_at=train["predicted_at"].iloc[rows].reset_index(drop=True),
        folds=np.repeat(np.arange(len(folds)), [len(fold.score) for fold in folds]),
    )
