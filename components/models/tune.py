"""Search the parameters of the families that `select` chose, within the budget of the contract.

In: the contract, the prepared rows (train only) and the leaderboard. Out: the tuned candidates with every trial, a JSON
document for `ensemble` and the report. The search stops by the clock and runs on all cores, so two searches with one
seed may try different parameters; what was found is written down. It is never worse than the defaults on its own folds,
for the defaults are the first trial.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.contract.problem import Problem
from components.base.contract.types import Family
from components.base.dataset import Prepared
from components.base.errors import ModelRefusedError
from components.base.statistics.folds import Fold, sample_folds, split_train, summarise
from components.base.statistics.scores import METRICS, score
from components.models.candidates import DEFAULTS, build_candidate, suggest_parameters
from components.models.parallel import count_workers, quiet_fits, use_one_thread

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

logger = logging.getLogger(__name__)

Document = dict[str, Any]
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
class Search:
    """The search of one family: what is fitted, on what, and until when."""

    problem: Problem
    prepared: Prepared
    family: Family
    folds: Sequence[EncodedFold]
    deadline: float
    """Value of `time.monotonic` after which no fold is begun."""


def tune_candidates(problem: Problem, prepared: Prepared, leaderboard: Document) -> Document:
    """Tune the chosen families one after the other, each with an equal share of the seconds that are left.

    Raises:
        ModelRefusedError: when not one trial of any family came to its end.
    """
    started = time.monotonic()
    deadline = started + problem.search.tune_seconds
    train = prepared.read("train")
    folds = sample_folds(split_train(problem, train), problem.search.tune_rows)
    tuned = []
    for place, family in enumerate(leaderboard["chosen"]):
        share = (deadline - time.monotonic()) / (len(leaderboard["chosen"]) - place)
        family_deadline = time.monotonic() + share
        encoded = _encode_folds(prepared, family, train, folds)
        tuned.append(_tune_family(Search(problem, prepared, family, encoded, family_deadline)))
    complete = [entry for entry in tuned if entry["score"]]
    if not complete:
        raise ModelRefusedError(
            f"tune: at least one trial must be completed, but got none for {', '.join(leaderboard['chosen'])}. "
            "See the trials in the log; the families could be fitted during select."
        )
    direction = 1 if METRICS[problem.metrics.primary].higher_is_better else -1
    return {
        "problem": problem.name,
        "metric": problem.metrics.primary,
        "higher_is_better": METRICS[problem.metrics.primary].higher_is_better,
        "budget_seconds": problem.search.tune_seconds,
        "seconds": time.monotonic() - started,
        "rows": len(folds[-1].fit) + len(folds[-1].score),
        "families": sorted(complete, key=lambda entry: -direction * entry["score"]["mean"]),
    }


def _encode_folds(prepared: Prepared, family: Family, train: pd.DataFrame, folds: Sequence[Fold]) -> list[EncodedFold]:
    """Fit the columns of the pipeline on the rows to fit on alone, fold by fold."""
    encoded = []
    for fold in folds:
        fit, scored = train.iloc[fold.fit], train.iloc[fold.score]
        columns = build_candidate(family, prepared.features).named_steps["columns"]
        encoded.append(
            EncodedFold(
                fit=columns.fit_transform(fit[prepared.feature_names]),
                fit_outcomes=fit[prepared.target].to_numpy(dtype=np.float64),
                scored=columns.transform(scored[prepared.feature_names]),
                scored_outcomes=scored[prepared.target].to_numpy(dtype=np.float64),
            )
        )
    return encoded


def _tune_family(search: Search) -> Document:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    is_maximised = METRICS[search.problem.metrics.primary].higher_is_better
    study = optuna.create_study(
        direction="maximize" if is_maximised else "minimize",
        sampler=optuna.samplers.TPESampler(seed=search.problem.search.seed, n_startup_trials=_STARTUP_TRIALS),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS, n_warmup_steps=0),
    )
    study.enqueue_trial(DEFAULTS[search.family])
    started = time.time()
    with quiet_fits():
        study.optimize(
            lambda trial: _run_trial(search, trial),
            timeout=max(_LEAST_SECONDS, search.deadline - time.monotonic()),
            n_jobs=count_workers(),
            catch=(Exception,),
        )
    return _describe_study(search.family, study, started)


def _run_trial(search: Search, trial: "Trial") -> float:
    """Score the trial's parameters fold by fold, the smallest first, and stop early where it is hopeless or too late.

    The first trial, the defaults, always goes to its end.
    """
    use_one_thread()
    parameters = suggest_parameters(search.family, trial)
    results: list[float] = []
    slowest_seconds = 0.0
    for number, fold in enumerate(search.folds):
        started = time.monotonic()
        if trial.number > 0 and started + slowest_seconds > search.deadline:
            trial.study.stop()
            raise _prune(trial, "the budget was spent")
        results.append(_score_encoded(search, parameters, fold))
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


def _score_encoded(search: Search, parameters: dict[str, Any], fold: EncodedFold) -> float:
    seed = search.problem.search.seed
    candidate = build_candidate(search.family, search.prepared.features, parameters, seed)
    fitted = candidate.named_steps["model"].fit(fold.fit, fold.fit_outcomes)
    probabilities = fitted.predict_proba(fold.scored)[:, 1]
    return score(search.problem.metrics.primary, fold.scored_outcomes, probabilities)


def _describe_study(family: Family, study: "Study", started: float) -> Document:
    trials = [_describe_trial(trial, started) for trial in study.trials]
    complete = {trial["number"]: trial for trial in trials if trial["state"] == "complete"}
    best = complete[study.best_trial.number] if complete else None
    default = complete.get(0)
    logger.info("tune: %s: %d trials, %d complete", family, len(trials), len(complete))
    return {
        "family": family,
        "parameters": best["parameters"] if best else dict(DEFAULTS[family]),
        "score": summarise(best["folds"]) if best else None,
        "default_score": summarise(default["folds"]) if default else None,
        "trials": trials,
    }


def _describe_trial(trial: "FrozenTrial", started: float) -> Document:
    begun = trial.datetime_start.timestamp() - started if trial.datetime_start else None
    states = {"COMPLETE": "complete", "PRUNED": "pruned"}
    return {
        "number": trial.number,
        "parameters": trial.params,
        "score": trial.value if trial.state.name == "COMPLETE" else None,
        "folds": list(trial.user_attrs.get("folds", [])),
        "state": states.get(trial.state.name, "failed"),
        "reason": trial.user_attrs.get("reason"),
        "started_seconds": begun,
        "seconds": trial.duration.total_seconds() if trial.duration else None,
    }
