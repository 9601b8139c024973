"""Compare every candidate family and both baselines on train rows, in time order, and choose who goes on.

In: the contract and the prepared rows, of which only train is read. Out: the `Leaderboard`; the `tune` step
takes its `chosen`. Families are compared with their default parameters on a sample of rows. A family that fails or
is too slow is listed with its error and stops nobody else.
"""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd

from components.base.dataset import Prepared
from components.base.errors import ModelRefusedError
from components.base.statistics.folds import Fold, check_folds, sample_fits, split_train
from components.base.task import Task
from components.models.documents import FoldRecord, Leaderboard, LeaderboardEntry, Spread
from components.models.parallel import run_all
from components.models.recipe import fit_member

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entrant:
    """A name on the leaderboard with its unfitted estimator."""

    name: str
    kind: Literal["candidate", "current_solution", "dummy"]
    estimator: Any


@dataclass(frozen=True)
class FoldResult:
    """What an entrant scored on one fold, or why it did not."""

    scores: dict[str, float]
    value_per_1000: float
    seconds: float
    """Processor time, which does not depend on what else the machine does."""
    error: str | None = None
    is_cut_short: bool = False
    """Not fitted, for the family had reached its ceiling."""


def select_candidates(task: Task, prepared: Prepared) -> Leaderboard:
    """Cross-validate all entrants and return the leaderboard, best first by the primary metric."""
    started = time.monotonic()
    train, problem = prepared.read("train"), task.problem
    folds = check_folds(task, train, sample_fits(split_train(problem, train), problem.search.select_rows))
    entries = score_entrants(task, train, folds, list_entrants(task, prepared))
    chosen, note = choose_entries(task, entries)
    times, outcomes = train["predicted_at"], train[prepared.target].to_numpy(dtype=np.float64)
    logger.info("select: %d contenders on %d folds, chosen %s", len(entries), len(folds), ", ".join(chosen))
    return Leaderboard(
        problem=problem.name,
        metric=problem.metrics.primary,
        higher_is_better=task.primary.higher_is_better,
        gap_hours=problem.split.gap_hours,
        folds=tuple(
            FoldRecord(
                fit_rows=len(fold.fit),
                fit_until=times.iloc[fold.fit].max().isoformat(),
                score_from=times.iloc[fold.score].min().isoformat(),
                score_until=times.iloc[fold.score].max().isoformat(),
                score_rows=len(fold.score),
                outcome=task.describe_outcomes(outcomes[fold.score]),
            )
            for fold in folds
        ),
        entries=tuple(entry.model_copy(update={"chosen": entry.name in chosen}) for entry in entries),
        chosen=tuple(chosen),
        note=note,
        seconds=time.monotonic() - started,
    )


def list_entrants(task: Task, prepared: Prepared) -> list[Entrant]:
    """Return the families of the contract with default parameters, and both baselines."""
    families = [
        Entrant(family, "candidate", task.build_candidate(family, prepared.features))
        for family in task.problem.search.candidates
    ]
    baselines = [Entrant(baseline.name, role, baseline.estimator) for role, baseline in task.build_baselines().items()]
    return families + baselines


def score_entrants(
    task: Task, train: pd.DataFrame, folds: Sequence[Fold], entrants: Sequence[Entrant]
) -> list[LeaderboardEntry]:
    """Return one leaderboard entry for each entrant, best first, those that failed last."""
    spent, ceiling = {entrant.name: 0.0 for entrant in entrants}, task.problem.search.ceiling_seconds

    def score_if_in_time(entrant: Entrant, fold: Fold) -> FoldResult:
        if spent[entrant.name] > ceiling:
            error = f"TimeoutError: fitting must end within {ceiling:g} s, but took {spent[entrant.name]:.1f} s"
            return FoldResult({}, math.nan, 0.0, error, is_cut_short=True)
        result = _score_fold(task, train, fold, entrant)
        spent[entrant.name] += result.seconds
        return result

    # The largest folds first, so that no core is left waiting for one of them at the end.
    pairs = [(entrant, fold) for fold in reversed(folds) for entrant in entrants]
    results = run_all([partial(score_if_in_time, entrant, fold) for entrant, fold in pairs])
    return _rank(task, {entrant: results[place :: len(entrants)][::-1] for place, entrant in enumerate(entrants)})


def choose_entries(task: Task, entries: Sequence[LeaderboardEntry]) -> tuple[list[str], str]:
    """Return the `keep` best families that beat both baselines, and the reason in words.

    When none does, the best family goes on alone: evaluation then refuses it with intervals on test rows, which says
    more than a run that stops here.

    Raises:
        ModelRefusedError: when every family failed.
    """
    families = [entry for entry in entries if entry.kind == "candidate" and entry.error is None]
    if not families:
        faults = "; ".join(f"{entry.name}: {entry.error}" for entry in entries if entry.error)
        raise ModelRefusedError(f"select: at least one candidate must be fitted, but got {faults}. Fix the features.")
    better = [entry.name for entry in families if entry.beats_baselines][: task.problem.search.keep]
    label = task.primary.label
    if better:
        return better, f"The {len(better)} best by mean {label} over the folds, all better than both baselines."
    best = families[0].name
    return [best], f"No family beats both baselines in mean {label}; {best} goes on to be evaluated on test rows."


def _score_fold(task: Task, train: pd.DataFrame, fold: Fold, entrant: Entrant) -> FoldResult:
    target = task.problem.target.name
    fit, scored = train.iloc[fold.fit], train.iloc[fold.score]
    started = time.thread_time()
    try:
        output = task.predict(fit_member(entrant.estimator, fit, fit[target]), scored)
    except Exception as error:  # any family may break on any data; the others go on
        logger.warning("select: %s failed: %s", entrant.name, error)
        return FoldResult({}, math.nan, time.thread_time() - started, f"{type(error).__name__}: {error}")
    seconds = time.thread_time() - started
    outcomes, decisions = scored[target].to_numpy(dtype=np.float64), task.default_policy.apply(output)
    scores = {name: metric.score(outcomes, output, decisions) for name, metric in task.metrics.items()}
    # The policy is chosen on the first half of the rows, and its value measured on the second.
    half, times = len(outcomes) // 2, scored["predicted_at"]
    policy = task.fit_policy(outcomes[:half], output[:half], times.iloc[:half]).policy
    decided = task.operate(policy.apply(output[half:]), output[half:], times.iloc[half:])
    return FoldResult(scores, float(task.value(outcomes[half:], decided).mean() * 1000), seconds)


def _rank(task: Task, results: dict[Entrant, Sequence[FoldResult]]) -> list[LeaderboardEntry]:
    """Describe the entrants, the best mean of the primary metric first and those that failed last."""
    primary = task.problem.metrics.primary
    errors = {entrant: next((fold.error for fold in folds if fold.error), None) for entrant, folds in results.items()}
    means = {
        entrant: float(np.mean([fold.scores[primary] for fold in folds]))
        for entrant, folds in results.items()
        if not errors[entrant]
    }
    bars = [mean for entrant, mean in means.items() if entrant.kind != "candidate"]
    ranked = sorted(
        results.items(), key=lambda pair: -task.primary.gain(means[pair[0]], 0) if pair[0] in means else np.inf
    )
    return [
        LeaderboardEntry(
            name=entrant.name,
            kind=entrant.kind,
            scores={name: Spread.of([fold.scores[name] for fold in folds]) for name in task.metrics}
            if entrant in means
            else {},
            value_per_1000=Spread.of([fold.value_per_1000 for fold in folds]) if entrant in means else None,
            fit_seconds=sum(fold.seconds for fold in folds),
            error=errors[entrant],
            is_cut_short=any(fold.is_cut_short for fold in folds),
            rank=rank,
            beats_baselines=entrant.kind == "candidate"
            and entrant in means
            and all(task.primary.gain(means[entrant], bar) > 0 for bar in bars),
        )
        for rank, (entrant, folds) in enumerate(ranked, 1)
    ]
