"""Search the parameters of the families that `select` chose, within the budget of the contract.

In: the contract, the prepared rows (train only) and the leaderboard. Out: `Tuned`, the candidates with every trial,
for `ensemble` and the report. The search stops by the clock and runs on all cores, so two searches with one
seed may try different parameters; what was found is written down. It is never worse than the defaults on its own folds,
for the defaults are the first trial.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.dataset import Prepared
from components.base.errors import ModelRefusedError
from components.base.statistics.folds import Fold, sample_folds, split_train
from components.base.task import Task
from components.models.documents import Leaderboard, Spread, TrialRecord, Tuned, TunedFamily
from components.models.parallel import count_workers, quiet_fits, use_one_thread

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.trial import FrozenTrial

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]

# Trials that pass unpruned first: the median of fewer says little.
_STARTUP_TRIALS = 4
# Time to begin the first trial, the defaults, even when reading the rows has used up the budget.
_LEAST_SECONDS = 0.5


@dataclass(frozen=True)
class EncodedFold:
    """A fold after the columns were imputed and encoded, which does not depend on what is tuned."""

    fit: Array
    fit_outcomes: Array
    scored: Array
    scored_outcomes: Array


@dataclass(frozen=True)
class FamilySearch:
    """The search of one family: what is fitted, on what, and until when."""

    task: Task
    prepared: Prepared
    family: str
    folds: Sequence[EncodedFold]
    deadline: float
    """Value of `time.monotonic` after which no fold is begun."""


def tune_candidates(task: Task, prepared: Prepared, leaderboard: Leaderboard) -> Tuned:
    """Tune the chosen families one after the other, each with an equal share of the seconds that are left.

    Raises:
        ModelRefusedError: when not one trial of any family came to its end.
    """
    started, problem = time.monotonic(), task.problem
    deadline = started + problem.search.tune_seconds
    train = prepared.read("train")
    folds = sample_folds(split_train(problem, train), problem.search.tune_rows)
    tuned = []
    for place, family in enumerate(leaderboard.chosen):
        share = (deadline - time.monotonic()) / (len(leaderboard.chosen) - place)
        family_deadline = time.monotonic() + share
        encoded = _encode_folds(task, prepared, family, train, folds)
        tuned.append(_tune_family(FamilySearch(task, prepared, family, encoded, family_deadline)))
    means = {entry.family: entry.score.mean for entry in tuned if entry.score}
    if not means:
        raise ModelRefusedError(
            f"tune: at least one trial must be completed, but got none for {', '.join(leaderboard.chosen)}. "
            "See the trials in the log; the families could be fitted during select."
        )
    complete = [entry for entry in tuned if entry.family in means]
    return Tuned(
        problem=problem.name,
        metric=problem.metrics.primary,
        higher_is_better=task.primary.higher_is_better,
        budget_seconds=problem.search.tune_seconds,
        seconds=time.monotonic() - started,
        rows=len(folds[-1].fit) + len(folds[-1].score),
        families=tuple(sorted(complete, key=lambda entry: -task.primary.gain(means[entry.family], 0))),
    )


def _encode_folds(
    task: Task, prepared: Prepared, family: str, train: pd.DataFrame, folds: Sequence[Fold]
) -> list[EncodedFold]:
    """Fit the columns of the pipeline on the rows to fit on alone, fold by fold."""
    encoded = []
    for fold in folds:
        fit, scored = train.iloc[fold.fit], train.iloc[fold.score]
        columns = task.build_candidate(family, prepared.features).named_steps["columns"]
        encoded.append(
            EncodedFold(
                fit=columns.fit_transform(fit[prepared.feature_names]),
                fit_outcomes=fit[prepared.target].to_numpy(dtype=np.float64),
                scored=columns.transform(scored[prepared.feature_names]),
                scored_outcomes=scored[prepared.target].to_numpy(dtype=np.float64),
            )
        )
    return encoded


def _tune_family(search: FamilySearch) -> TunedFamily:
    """Try parameters until the deadline and describe every trial."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed = search.task.problem.search.seed
    study = optuna.create_study(
        direction="maximize" if search.task.primary.higher_is_better else "minimize",
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP_TRIALS),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS, n_warmup_steps=0),
    )
    study.enqueue_trial(search.task.default_parameters(search.family))
    started = time.time()
    with quiet_fits():
        study.optimize(
            lambda trial: _run_trial(search, trial),
            timeout=max(_LEAST_SECONDS, search.deadline - time.monotonic()),
            n_jobs=count_workers(),
            catch=(Exception,),
        )
    trials = [_describe_trial(trial, started) for trial in study.trials]
    complete = {trial.number: trial for trial in trials if trial.state == "complete"}
    best = complete[study.best_trial.number] if complete else None
    default = complete.get(0)
    logger.info("tune: %s: %d trials, %d complete", search.family, len(trials), len(complete))
    return TunedFamily(
        family=search.family,
        parameters=best.parameters if best else search.task.default_parameters(search.family),
        score=Spread.of(best.folds) if best else None,
        default_score=Spread.of(default.folds) if default else None,
        trials=tuple(trials),
    )


def _run_trial(search: FamilySearch, trial: "Trial") -> float:
    """Score the trial's parameters fold by fold, the smallest first, and stop early where it is hopeless or too late.

    The first trial, the defaults, always goes to its end.
    """
    use_one_thread()
    task = search.task
    parameters = task.suggest_parameters(search.family, trial)
    results: list[float] = []
    slowest_seconds = 0.0
    for number, fold in enumerate(search.folds):
        started = time.monotonic()
        if trial.number > 0 and started + slowest_seconds > search.deadline:
            trial.study.stop()
            raise _prune(trial, "the budget was spent")
        candidate = task.build_candidate(search.family, search.prepared.features, parameters)
        output = task.predict(candidate.named_steps["model"].fit(fold.fit, fold.fit_outcomes), fold.scored)
        results.append(task.primary.score(fold.scored_outcomes, output, task.default_policy.apply(output)))
        slowest_seconds = max(slowest_seconds, time.monotonic() - started)
        trial.set_user_attr("folds", results)
        trial.report(float(np.mean(results)), number)
        if trial.number > 0 and number + 1 < len(search.folds) and trial.should_prune():
            raise _prune(trial, "worse than the median trial")
    return float(np.mean(results))


def _prune(trial: "Trial", reason: str) -> Exception:
    from optuna import TrialPruned

    trial.set_user_attr("reason", reason)
    pruned: Exception = TrialPruned(reason)
    return pruned


def _describe_trial(trial: "FrozenTrial", started: float) -> TrialRecord:
    states: dict[str, Literal["complete", "pruned"]] = {"COMPLETE": "complete", "PRUNED": "pruned"}
    return TrialRecord(
        number=trial.number,
        parameters=trial.params,
        score=trial.value if trial.state.name == "COMPLETE" else None,
        folds=tuple(trial.user_attrs.get("folds", [])),
        state=states.get(trial.state.name, "failed"),
        reason=trial.user_attrs.get("reason"),
        started_seconds=trial.datetime_start.timestamp() - started if trial.datetime_start else None,
        seconds=trial.duration.total_seconds() if trial.duration else None,
    )
