"""Make the model of the release: the best of single, voting and stacking, calibrated, with a policy chosen by value.

In: the contract, the prepared rows (train and validation) and the tuned candidates. Out: a fitted `Model`.

Which rows decide what
    train        fits the members; their out-of-fold predictions in time order compare the kinds and fit the stacking;
                 with validation it fits the members once more when everything is chosen
    validation   its first half (in time) fits the calibrators; its second half chooses one of them by its loss, then
                 the policy by business value under the capacity. A choice among three and one number cannot overfit
                 thousands of rows, and no row calibrates what it also scores.
"""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from components.base.dataset import Prepared
from components.base.statistics.folds import Fold, check_folds, sample_folds, split_train
from components.base.task import Output, Task
from components.models.artifact import Model, ModelDescription
from components.models.calibrate import calibrate_model, fit_policy
from components.models.combine import HeldOut, compare_kinds
from components.models.documents import ModelDetails, Tuned
from components.models.parallel import quiet_fits, run_all, use_one_thread
from components.models.recipe import Recipe, fit_member
from components.models.refit import refit_model

logger = logging.getLogger(__name__)


def build_ensemble(task: Task, prepared: Prepared, tuned: Tuned) -> Model:
    """Fit the members on all train rows, combine, calibrate, and choose the policy."""
    names = prepared.feature_names
    # At a million rows, every further column and every copy of the table costs hundreds of megabytes.
    columns = [*names, prepared.target, "predicted_at", "label_at"]
    train, validation = prepared.read("train", columns), prepared.read("validation", columns)
    parameters = {entry.family: entry.parameters for entry in tuned.families}
    pipelines = {family: task.build_candidate(family, prepared.features, value) for family, value in parameters.items()}
    held_out = _predict_out_of_fold(task, prepared, train, list(pipelines.values()))
    comparison = compare_kinds(task, list(parameters), held_out)
    winner = comparison.chosen
    with quiet_fits():
        use_one_thread()
        stacker = task.fit_stacker(held_out.outputs, held_out.outcomes) if winner.kind == "stacking" else None

    members = {family: pipelines[family] for family in winner.families}
    recipe = Recipe(task, prepared.features, prepared.target, winner.kind, members, stacker)
    core = recipe.fit(train)
    with quiet_fits():
        use_one_thread()
        estimator, calibration = calibrate_model(task, core, names, validation)
        choice = fit_policy(task, estimator, names, validation)
        estimator, refit = refit_model(task, estimator, recipe.fit, train, validation, names)
    logger.info("ensemble: %s, %s", comparison.reason, calibration["reason"])
    description = ModelDescription(
        policy=choice.policy.model_dump(),
        features=prepared.features,
        target=prepared.target,
        family="+".join(winner.families),
        kind=winner.kind,
        calibration=calibration["method"],
        details=ModelDetails(
            metric=task.problem.metrics.primary,
            train_rows=len(train),
            parameters={family: parameters[family] for family in winner.families},
            trials=tuned.fingerprint,
            comparison=comparison.kinds,
            reason=comparison.reason,
            cross_validated=comparison.cross_validated,
            calibration=calibration,
            policy=choice.details,
            refit=refit,
        ),
    )
    return Model(task, estimator, choice.policy, description)


def _predict_out_of_fold(task: Task, prepared: Prepared, train: pd.DataFrame, pipelines: Sequence[Any]) -> HeldOut:
    """Predict the scored rows of every fold by every member, fitted on the rows before them."""
    folds = check_folds(task, train, sample_folds(split_train(task.problem, train), task.problem.search.tune_rows))

    def predict_fold(fold: Fold, pipeline: Any) -> Output:
        learned = train.iloc[fold.fit]
        fitted = fit_member(pipeline, learned[prepared.feature_names], learned[prepared.target])
        return task.predict(fitted, train.iloc[fold.score][prepared.feature_names])

    outputs = run_all([partial(predict_fold, fold, pipeline) for fold in folds for pipeline in pipelines])
    # Outputs come fold after fold and member after member within a fold.
    blocks = [
        np.stack(outputs[place : place + len(pipelines)], axis=1) for place in range(0, len(outputs), len(pipelines))
    ]
    rows = np.concatenate([fold.score for fold in folds])
    return HeldOut(
        outputs=np.concatenate(blocks),
        outcomes=train[prepared.target].to_numpy(dtype=np.float64)[rows],
        predicted_at=train["predicted_at"].iloc[rows].reset_index(drop=True),
        folds=np.repeat(np.arange(len(folds)), [len(fold.score) for fold in folds]),
    )
