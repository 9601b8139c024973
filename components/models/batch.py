"""One batch of trials: asked for, scored fold by fold, and reported to the study in order.

In: a study, the folds of a family, and what an earlier process found. Out: `Attempt`s. Called by `tune`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from components.base.adapters.optuna import TrialStorage
from components.base.contract.load import format_problem
from components.base.dataset import Prepared
from components.base.task import Task
from components.models.documents import TrialRecord
from components.models.parallel import run_all

if TYPE_CHECKING:
    from optuna import Study, Trial

Array = NDArray[np.float64]

# Trials that are asked for at once: more learn less from each other, fewer leave cores idle.
BATCH = 4


@dataclass(frozen=True)
class EncodedFold:
    """A fold after the columns were imputed and encoded, which does not depend on what is tuned."""

    fit: Array
    fit_outcomes: Array
    scored: Array
    scored_outcomes: Array


@dataclass(frozen=True)
class FamilySearch:
    """The search of one family: what is fitted, on what, and what is known of it."""

    task: Task
    prepared: Prepared
    family: str
    champion: Mapping[str, Any] | None = None
    """Parameters of the champion where it is of this family, tried second."""
    storage: TrialStorage | None = None
    """Where trials are kept; None keeps them in memory."""

    @property
    def name(self) -> str:
        """The name of its study: another one for any other contract, rows, champion or program."""
        known = (
            format_problem(self.task.problem),
            self.prepared.fingerprint,
            json.dumps(self.champion),
            self.storage,
        )
        digits = hashlib.sha256(repr(known).encode()).hexdigest()
        return f"{self.task.problem.name}-{self.family}-{digits[:16]}"


@dataclass
class Attempt:
    """A trial on its way through the folds."""

    trial: "Trial"
    parameters: dict[str, Any]
    kept: Mapping[str, Any]
    """What an earlier process found: `scores` and `fault`; empty when it came to no end there."""
    scores: list[float] = field(default_factory=list)
    fault: str | None = None
    """Why it was not fitted."""
    is_hopeless: bool = False


def ask_batch(study: "Study", search: FamilySearch, told: int) -> list["Trial"]:
    """Ask for the next batch; what it is depends on the trials before it alone."""
    from optuna.samplers import TPESampler

    limits = search.task.problem.search
    seed = np.random.SeedSequence([limits.seed, told]).generate_state(1)
    study.sampler = TPESampler(seed=int(seed[0]), n_startup_trials=2 * BATCH)
    return [study.ask() for _ in range(min(BATCH, limits.trials - told))]


def score_batch(search: FamilySearch, folds: Sequence[EncodedFold], batch: Sequence[Attempt]) -> None:
    """Score the batch fold by fold, the smallest first, and leave out what is hopeless after each.

    The first trial, the defaults, always goes to its end.
    """
    task = search.task

    def score(attempt: Attempt, place: int) -> float | str:
        """Return the score on one fold, or why there is none."""
        scores: list[float] = attempt.kept.get("scores", [])
        if place < len(scores):
            return scores[place]
        if fault := attempt.kept.get("fault"):
            return str(fault)
        candidate, fold = (
            task.build_candidate(search.family, search.prepared.features, attempt.parameters),
            folds[place],
        )
        try:
            output = task.predict(candidate.named_steps["model"].fit(fold.fit, fold.fit_outcomes), fold.scored)
        except Exception as error:  # some parameters fit no rows; the search goes on
            return f"{type(error).__name__}: {error}"
        return task.primary.score(fold.scored_outcomes, output, task.default_policy.apply(output))

    left = list(batch)
    for place in range(len(folds)):
        results = run_all([partial(score, attempt, place) for attempt in left])
        for attempt, result in zip(left, results, strict=True):
            if isinstance(result, str):
                attempt.fault = result
                continue
            attempt.scores.append(result)
            attempt.trial.report(float(np.mean(attempt.scores)), place + 1)
            may_stop = place + 1 < len(folds) and attempt.trial.number > 0
            attempt.is_hopeless = may_stop and attempt.trial.should_prune()
        left = [attempt for attempt in left if not (attempt.is_hopeless or attempt.fault)]


def tell_batch(study: "Study", batch: Sequence[Attempt]) -> None:
    """Report the batch in the order of its trials."""
    from optuna.trial import TrialState

    for attempt in batch:
        attempt.trial.set_user_attr("scores", attempt.scores)
        attempt.trial.set_user_attr("fault", attempt.fault)
        if attempt.fault:
            study.tell(attempt.trial, state=TrialState.FAIL)
        elif attempt.is_hopeless:
            study.tell(attempt.trial, state=TrialState.PRUNED)
        else:
            study.tell(attempt.trial, float(np.mean(attempt.scores)))


def describe_attempt(attempt: Attempt, folds: int) -> TrialRecord:
    """Describe how a trial ended."""
    pruned = f"not among the best third of the trials on {len(attempt.scores)} of {folds} folds"
    return TrialRecord(
        number=attempt.trial.number,
        parameters=attempt.parameters,
        score=None if attempt.fault or attempt.is_hopeless else float(np.mean(attempt.scores)),
        folds=tuple(attempt.scores),
        state="failed" if attempt.fault else "pruned" if attempt.is_hopeless else "complete",
        reason=attempt.fault or (pruned if attempt.is_hopeless else None),
    )
