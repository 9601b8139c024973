"""Search the parameters of the families that `select` chose: as many trials as the contract says, the same everywhere.

In: the contract, the prepared rows (train only), a family and the champion's parameters. Out: `TunedFamily` with every
trial, one a step `tune`; the step `ensemble` ranks them to `Tuned`, for itself and the report.

Why two searches of the same rows are equal: trials are asked for in batches of a fixed size, whatever the number of
cores; the sampler is seeded anew for each batch; hopeless trials are stopped between folds, when the whole batch has
been scored on the last one; results are reported in the order of the trials. So a search that was killed asks for the
same trials again, and takes the scores that are kept of them. Only the ceiling of seconds depends on the machine, and a
search that reaches it says so. It is never worse than the defaults on its own folds, for they are the first trial.
"""

import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from components.base.adapters.optuna import open_journal
from components.base.dataset import Prepared
from components.base.errors import ModelRefusedError
from components.base.statistics.folds import Fold, check_folds, sample_folds, split_train
from components.base.task import Task
from components.models.batch import (
    Attempt,
    EncodedFold,
    FamilySearch,
    ask_batch,
    describe_attempt,
    score_batch,
    tell_batch,
)
from components.models.documents import Leaderboard, Spread, Tuned, TunedFamily
from components.models.parallel import run_all
from components.models.pipelines import fill_empty_numbers

if TYPE_CHECKING:
    from optuna import Study

logger = logging.getLogger(__name__)

# Of the trials scored on the first fold, the smallest, one in so many goes on to the larger ones.
_REDUCTION = 3


def tune_candidates(task: Task, prepared: Prepared, leaderboard: Leaderboard) -> Tuned:
    """Tune the chosen families in this process, as the steps of a run do it one a family.

    Raises:
        ModelRefusedError: when not one trial of any family came to its end.
    """
    champion = leaderboard.champion
    searches = [FamilySearch(task, prepared, name, champion.get(name)) for name in leaderboard.chosen]
    return rank_families(task, [tune_family(search) for search in searches])


def tune_family(search: FamilySearch) -> TunedFamily:
    """Try the defaults, then the champion's parameters, then what the sampler proposes, and describe every trial.

    Nothing of another family's search is read: they may run in any order, or side by side.

    Raises:
        TransientError: the storage does not answer.
    """
    task, started = search.task, time.monotonic()
    train = search.prepared.read("train")
    folds = check_folds(task, train, sample_folds(split_train(task.problem, train), task.problem.search.tune_rows))
    encoded = run_all([partial(_encode_fold, search, train, fold) for fold in folds])
    trials = [describe_attempt(attempt, len(folds)) for attempt in _try_all(search, encoded, started)]
    complete = [trial for trial in trials if trial.state == "complete"]
    best = max(complete, key=lambda trial: task.primary.gain(trial.score or 0.0, 0.0), default=None)
    wanted = task.problem.search.trials
    note = f" of {wanted}, for the ceiling was reached" if len(trials) < wanted else ""
    logger.info("tune: %s: %d trials%s, %d complete", search.family, len(trials), note, len(complete))
    return TunedFamily(
        family=search.family,
        parameters=best.parameters if best else task.default_parameters(search.family),
        score=Spread.of(best.folds) if best else None,
        default_score=Spread.of(trials[0].folds) if trials[0].state == "complete" else None,
        trials=tuple(trials),
        rows=len(folds[-1].fit) + len(folds[-1].score),
        seconds=time.monotonic() - started,
    )


def rank_families(task: Task, families: Sequence[TunedFamily]) -> Tuned:
    """Bring the searches of all families together, best first, without those that have no complete trial.

    Raises:
        ModelRefusedError: when not one trial of any family came to its end.
    """
    search = task.problem.search
    means = {entry.family: entry.score.mean for entry in families if entry.score}
    if not means:
        faults = "; ".join(f"{entry.family}: {entry.trials[0].reason}" for entry in families)
        raise ModelRefusedError(
            f"tune: at least one trial must be completed, but got none for {faults}. "
            "The families could be fitted during select: compare its log."
        )
    complete = [entry for entry in families if entry.family in means]
    return Tuned(
        problem=task.problem.name,
        metric=task.problem.metrics.primary,
        higher_is_better=task.primary.higher_is_better,
        trials=search.trials,
        ceiling_seconds=search.ceiling_seconds,
        families=tuple(sorted(complete, key=lambda entry: -task.primary.gain(means[entry.family], 0))),
    )


def _try_all(search: FamilySearch, folds: Sequence[EncodedFold], started: float) -> list[Attempt]:
    """Try batch after batch, until there are as many trials as the contract says or the ceiling is reached."""
    study, limits = _open_study(search), search.task.problem.search
    attempts: list[Attempt] = []
    with open_journal(search.storage, search.name, study.direction.name.lower()) as journal:
        kept = journal.trials if journal else []
        if kept:
            logger.info("tune: %s: goes on after %d trials of an earlier process", search.family, len(kept))
        while len(attempts) < limits.trials:
            if attempts and time.monotonic() - started > limits.ceiling_seconds:
                break
            trials = ask_batch(study, search, len(attempts))
            parameters = [search.task.suggest_parameters(search.family, trial) for trial in trials]
            known = [kept[trial.number].user_attrs if trial.number < len(kept) else {} for trial in trials]
            batch = list(map(Attempt, trials, parameters, known))
            score_batch(search, folds, batch)
            tell_batch(study, batch)
            attempts += batch
            new = study.trials[len(kept) :]
            if journal:
                journal.add_trials(new)
                kept += new
            logger.info("tune: %s: %d of %d trials", search.family, len(attempts), limits.trials)
    return attempts


def _encode_fold(search: FamilySearch, train: pd.DataFrame, fold: Fold) -> EncodedFold:
    """Fit the columns of the pipeline on the rows to fit on alone."""
    fit, scored, names = train.iloc[fold.fit], train.iloc[fold.score], search.prepared.feature_names
    columns = search.task.build_candidate(search.family, search.prepared.features).named_steps["columns"]
    return EncodedFold(
        fit=columns.fit_transform(fill_empty_numbers(fit[names])),
        fit_outcomes=fit[search.prepared.target].to_numpy(dtype=np.float64),
        scored=columns.transform(scored[names]),
        scored_outcomes=scored[search.prepared.target].to_numpy(dtype=np.float64),
    )


def _open_study(search: FamilySearch) -> "Study":
    """Begin a study in memory, its first trials the defaults and the champion's parameters.

    Source: Jamieson, Talwalkar (2016), Non-stochastic best arm identification and hyperparameter optimization
    (successive halving); the resource is the number of folds.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize" if search.task.primary.higher_is_better else "minimize",
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=_REDUCTION),
    )
    defaults = search.task.default_parameters(search.family)
    study.enqueue_trial(defaults)
    if search.champion and search.champion != defaults:
        study.enqueue_trial(dict(search.champion))
    return study
