"""Search the parameters of the families that `select` chose: as many trials as the contract says, the same everywhere.

In: the contract, the prepared rows (train only) and the leaderboard. Out: `Tuned`, the candidates with every trial,
for `ensemble` and the report.

Why two searches of the same rows are equal: trials are asked for in batches of a fixed size, whatever the number of
cores; the sampler is seeded anew for each batch; hopeless trials are stopped between folds, when the whole batch has
been scored on the last one; results are reported in the order of the trials. Only the ceiling of seconds depends on the
machine, and a search that reaches it says so. It is never worse than the defaults on its own folds, for the defaults
are the first trial.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.dataset import Prepared
from components.base.errors import ModelRefusedError
from components.base.statistics.folds import Fold, sample_folds, split_train
from components.base.task import Task
from components.models.documents import Leaderboard, Spread, TrialRecord, Tuned, TunedFamily
from components.models.parallel import run_all

if TYPE_CHECKING:
    from optuna import Study, Trial

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]

# Trials that are asked for at once: more learn less from each other, fewer leave cores idle.
BATCH = 4
# Of the trials scored on a fold, the better half goes on to the next, larger one.
_HALVING = 2


@dataclass(frozen=True)
class EncodedFold:
    """A fold after the columns were imputed and encoded, which does not depend on what is tuned."""

    fit: Array
    fit_outcomes: Array
    scored: Array
    scored_outcomes: Array


@dataclass
class Attempt:
    """A trial on its way through the folds."""

    trial: "Trial"
    parameters: dict[str, Any]
    scores: list[float] = field(default_factory=list)
    fault: str | None = None
    """Why it was not fitted."""
    is_hopeless: bool = False


def tune_candidates(task: Task, prepared: Prepared, leaderboard: Leaderboard) -> Tuned:
    """Tune the chosen families one after the other.

    Raises:
        ModelRefusedError: when not one trial of any family came to its end.
    """
    known = leaderboard.champion
    return rank_families(task, [tune_family(task, prepared, name, known.get(name)) for name in leaderboard.chosen])


def tune_family(task: Task, prepared: Prepared, family: str, champion: Mapping[str, Any] | None = None) -> TunedFamily:
    """Try the defaults, then the champion's parameters where it is of this family, then what the search asks for."""
    search, started = task.problem.search, time.monotonic()
    train = prepared.read("train")
    folds = sample_folds(split_train(task.problem, train), search.tune_rows)
    encoded = run_all([partial(_encode_fold, task, prepared, family, train, fold) for fold in folds])
    study = _open_study(task, family, champion)
    attempts: list[Attempt] = []
    while len(attempts) < search.trials:
        if attempts and time.monotonic() - started > search.ceiling_seconds:
            break
        batch = _ask(study, task, family, len(attempts))
        _score_batch(task, prepared, family, encoded, batch)
        _tell(study, batch)
        attempts += batch
        logger.info("tune: %s: %d of %d trials", family, len(attempts), search.trials)
    trials = [_describe(attempt, len(folds)) for attempt in attempts]
    complete = [trial for trial in trials if trial.state == "complete"]
    best = max(complete, key=lambda trial: task.primary.gain(trial.score or 0.0, 0.0), default=None)
    note = f" of {search.trials}, for the ceiling was reached" if len(trials) < search.trials else ""
    logger.info("tune: %s: %d trials%s, %d complete", family, len(trials), note, len(complete))
    return TunedFamily(
        family=family,
        parameters=best.parameters if best else task.default_parameters(family),
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


def _encode_fold(task: Task, prepared: Prepared, family: str, train: pd.DataFrame, fold: Fold) -> EncodedFold:
    """Fit the columns of the pipeline on the rows to fit on alone."""
    fit, scored = train.iloc[fold.fit], train.iloc[fold.score]
    columns = task.build_candidate(family, prepared.features).named_steps["columns"]
    return EncodedFold(
        fit=columns.fit_transform(fit[prepared.feature_names]),
        fit_outcomes=fit[prepared.target].to_numpy(dtype=np.float64),
        scored=columns.transform(scored[prepared.feature_names]),
        scored_outcomes=scored[prepared.target].to_numpy(dtype=np.float64),
    )


def _open_study(task: Task, family: str, champion: Mapping[str, Any] | None) -> "Study":
    """Begin a study in memory, its first trials the defaults and the champion's parameters.

    Source: Jamieson, Talwalkar (2016), Non-stochastic best arm identification and hyperparameter optimization
    (successive halving); the resource is the number of folds.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize" if task.primary.higher_is_better else "minimize",
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=_HALVING),
    )
    study.enqueue_trial(task.default_parameters(family))
    if champion and champion != task.default_parameters(family):
        study.enqueue_trial(dict(champion))
    return study


def _ask(study: "Study", task: Task, family: str, told: int) -> list[Attempt]:
    """Ask for the next batch; what it is depends on the trials before it alone."""
    from optuna.samplers import TPESampler

    search = task.problem.search
    seed = np.random.SeedSequence([search.seed, told]).generate_state(1)
    study.sampler = TPESampler(seed=int(seed[0]), n_startup_trials=2 * BATCH)
    trials = [study.ask() for _ in range(min(BATCH, search.trials - told))]
    return [Attempt(trial, task.suggest_parameters(family, trial)) for trial in trials]


def _score_batch(
    task: Task, prepared: Prepared, family: str, folds: Sequence[EncodedFold], batch: Sequence[Attempt]
) -> None:
    """Score the batch fold by fold, the smallest first, and leave out what is hopeless after each.

    The first trial, the defaults, always goes to its end.
    """

    def score(attempt: Attempt, fold: EncodedFold) -> float | Exception:
        candidate = task.build_candidate(family, prepared.features, attempt.parameters)
        try:
            output = task.predict(candidate.named_steps["model"].fit(fold.fit, fold.fit_outcomes), fold.scored)
        except Exception as error:  # some parameters fit no rows; the search goes on
            return error
        return task.primary.score(fold.scored_outcomes, output, task.default_policy.apply(output))

    left = list(batch)
    for number, fold in enumerate(folds, 1):
        results = run_all([partial(score, attempt, fold) for attempt in left])
        for attempt, result in zip(left, results, strict=True):
            if isinstance(result, Exception):
                attempt.fault = f"{type(result).__name__}: {result}"
                continue
            attempt.scores.append(result)
            attempt.trial.report(float(np.mean(attempt.scores)), number)
            attempt.is_hopeless = number < len(folds) and attempt.trial.number > 0 and attempt.trial.should_prune()
        left = [attempt for attempt in left if not (attempt.is_hopeless or attempt.fault)]


def _tell(study: "Study", batch: Sequence[Attempt]) -> None:
    """Report the batch in the order of its trials."""
    from optuna.trial import TrialState

    for attempt in batch:
        if attempt.fault:
            study.tell(attempt.trial, state=TrialState.FAIL)
        elif attempt.is_hopeless:
            study.tell(attempt.trial, state=TrialState.PRUNED)
        else:
            study.tell(attempt.trial, float(np.mean(attempt.scores)))


def _describe(attempt: Attempt, folds: int) -> TrialRecord:
    pruned = f"worse than the better half of the trials on {len(attempt.scores)} of {folds} folds"
    return TrialRecord(
        number=attempt.trial.number,
        parameters=attempt.parameters,
        score=None if attempt.fault or attempt.is_hopeless else float(np.mean(attempt.scores)),
        folds=tuple(attempt.scores),
        state="failed" if attempt.fault else "pruned" if attempt.is_hopeless else "complete",
        reason=attempt.fault or (pruned if attempt.is_hopeless else None),
    )
