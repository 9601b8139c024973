"""Compare every candidate family and both baselines on train rows, in time order, and choose who goes on.

In: the contract and the prepared rows, of which only train is read. Out: the leaderboard, a JSON document; the `tune`
step takes its `chosen`. Families are compared with their default parameters on a sample of rows. A family that fails or
is too slow is listed with its error and stops nobody else.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd

from components.base.contract.problem import Problem
from components.base.dataset import Prepared
from components.base.errors import ModelRefusedError
from components.base.statistics.decisions import choose_threshold, value_per_1000
from components.base.statistics.folds import Fold, describe_folds, sample_fits, split_train, summarise
from components.base.statistics.scores import METRICS, gain, score
from components.models.baselines import DUMB, build_baselines
from components.models.candidates import build_candidate
from components.models.parallel import run_all

logger = logging.getLogger(__name__)

Document = dict[str, Any]
# Processor time over all folds: a family that needs more is no candidate for a search on two cores.
FAMILY_SECONDS = 90.0


@dataclass(frozen=True)
class Contender:
    """A name on the leaderboard with its unfitted estimator."""

    name: str
    kind: Literal["candidate", "current_solution", "dumb"]
    estimator: Any


@dataclass(frozen=True)
class FoldResult:
    """What a contender scored on one fold, or why it did not."""

    scores: dict[str, float]
    seconds: float
    """Processor time, which does not depend on what else the machine does."""
    error: str | None = None


def select_candidates(problem: Problem, prepared: Prepared) -> Document:
    """Cross-validate all contenders and return the leaderboard, best first by the primary metric."""
    started = time.monotonic()
    train = prepared.read("train")
    folds = sample_fits(split_train(problem, train), problem.search.select_rows)
    entries = score_contenders(problem, train, folds, list_contenders(problem, prepared))
    chosen, note = choose_entries(problem, entries)
    for entry in entries:
        entry["chosen"] = entry["name"] in chosen
    logger.info("select: %d contenders on %d folds, chosen %s", len(entries), len(folds), ", ".join(chosen))
    return {
        "problem": problem.name,
        "metric": problem.metrics.primary,
        "higher_is_better": METRICS[problem.metrics.primary].higher_is_better,
        "gap_hours": problem.split.gap_hours,
        "folds": describe_folds(train, folds, prepared.target),
        "entries": entries,
        "chosen": chosen,
        "note": note,
        "seconds": time.monotonic() - started,
    }


def list_contenders(problem: Problem, prepared: Prepared) -> list[Contender]:
    """Return the families of the contract with default parameters, and both baselines."""
    families = [
        Contender(family, "candidate", build_candidate(family, prepared.features, seed=problem.search.seed))
        for family in problem.search.candidates
    ]
    baselines = [
        Contender(name, "dumb" if name == DUMB else "current_solution", estimator)
        for name, estimator in build_baselines(problem).items()
    ]
    return families + baselines


def score_contenders(
    problem: Problem,
    train: pd.DataFrame,
    folds: Sequence[Fold],
    contenders: Sequence[Contender],
    family_seconds: float = FAMILY_SECONDS,
) -> list[Document]:
    """Return one leaderboard entry for each contender, best first, those that failed last."""
    spent = {contender.name: 0.0 for contender in contenders}

    def score_if_in_time(contender: Contender, fold: Fold) -> FoldResult:
        if spent[contender.name] > family_seconds:
            error = (
                f"TimeoutError: fitting must end within {family_seconds:g} s, but took {spent[contender.name]:.1f} s"
            )
            return FoldResult({}, 0.0, error)
        result = _score_fold(problem, train, fold, contender)
        spent[contender.name] += result.seconds
        return result

    # The largest folds first, so that no core is left waiting for one of them at the end.
    pairs = [(contender, fold) for fold in reversed(folds) for contender in contenders]
    results = run_all([partial(score_if_in_time, contender, fold) for contender, fold in pairs])
    entries = [
        _describe_entry(contender, results[place :: len(contenders)][::-1])
        for place, contender in enumerate(contenders)
    ]
    return _rank_entries(problem, entries)


def choose_entries(problem: Problem, entries: Sequence[Document]) -> tuple[list[str], str]:
    """Return the `keep` best families that beat both baselines, and the reason in words.

    When none does, the best family goes on alone: evaluation then refuses it with intervals on test rows, which says
    more than a run that stops here.

    Raises:
        ModelRefusedError: when every family failed.
    """
    families = [entry for entry in entries if entry["kind"] == "candidate" and entry["error"] is None]
    if not families:
        faults = "; ".join(f"{entry['name']}: {entry['error']}" for entry in entries if entry["error"])
        raise ModelRefusedError(f"select: at least one candidate must be fitted, but got {faults}. Mend the features.")
    better = [entry["name"] for entry in families if entry["beats_baselines"]][: problem.search.keep]
    label = METRICS[problem.metrics.primary].label
    if better:
        return better, f"The {len(better)} best by mean {label} over the folds, all better than both baselines."
    best = str(families[0]["name"])
    return [best], f"No family beats both baselines in mean {label}; {best} goes on to be judged on test rows."


def _score_fold(problem: Problem, train: pd.DataFrame, fold: Fold, contender: Contender) -> FoldResult:
    from sklearn.base import clone

    target = problem.target.name
    fit, scored = train.iloc[fold.fit], train.iloc[fold.score]
    started = time.thread_time()
    try:
        fitted = clone(contender.estimator).fit(fit, fit[target])
        probabilities = fitted.predict_proba(scored)[:, 1]
    except Exception as error:  # any family may break on any data; the others go on
        logger.warning("select: %s failed: %s", contender.name, error)
        return FoldResult({}, time.thread_time() - started, f"{type(error).__name__}: {error}")
    seconds = time.thread_time() - started
    outcomes = scored[target].to_numpy(dtype=np.float64)
    scores: dict[str, float] = {metric: score(metric, outcomes, probabilities) for metric in METRICS}
    scores["value_per_1000"] = _value_second_half(problem, scored, outcomes, probabilities)
    return FoldResult(scores, seconds)


def _value_second_half(problem: Problem, scored: pd.DataFrame, y: Any, p: Any) -> float:
    """Choose the threshold on the first half of the rows and return what it is worth on the second half."""
    half, times, business = len(y) // 2, scored["predicted_at"], problem.business
    threshold = choose_threshold(y[:half], p[:half], times.iloc[:half], business).threshold
    return value_per_1000(y[half:], p[half:], threshold, times.iloc[half:], business)


def _describe_entry(contender: Contender, results: Sequence[FoldResult]) -> Document:
    error = next((result.error for result in results if result.error), None)
    names = [] if error else list(results[0].scores)
    summaries = {name: summarise([result.scores[name] for result in results]) for name in names}
    return {
        "name": contender.name,
        "kind": contender.kind,
        "scores": {name: summary for name, summary in summaries.items() if name != "value_per_1000"},
        "value_per_1000": summaries.get("value_per_1000"),
        "fit_seconds": sum(result.seconds for result in results),
        "error": error,
    }


def _rank_entries(problem: Problem, entries: list[Document]) -> list[Document]:
    primary = problem.metrics.primary
    means = {entry["name"]: entry["scores"][primary]["mean"] for entry in entries if not entry["error"]}
    bars = [means[entry["name"]] for entry in entries if entry["kind"] != "candidate" and not entry["error"]]
    ranked = sorted(entries, key=lambda e: -gain(primary, means[e["name"]], 0) if e["name"] in means else np.inf)
    for rank, entry in enumerate(ranked, 1):
        mean = means.get(entry["name"])
        is_better = mean is not None and all(gain(primary, mean, bar) > 0 for bar in bars)
        entry |= {"rank": rank, "beats_baselines": entry["kind"] == "candidate" and is_better}
    return ranked
