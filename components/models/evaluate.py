"""Evaluate the model on test rows, opened once: scores with intervals, slices, weak spots, gates and the verdict.

In: the contract, the prepared rows, the model and the champion. Out: `EvaluationResult`: the `Evaluation`, the
predictions of every contender and the fitted current solution, and their files. Called by the `evaluate` step.

Train rows fit the baselines again and validation rows give them their policies, as for the challenger; only then are
test rows read. The champion is scored here, on exactly these rows, never by numbers stored with it, and not at all when
it was fitted on any of them.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from components.base.dataset import Prepared
from components.base.documents import write
from components.base.gate import Gate
from components.base.statistics.capacity import number_days
from components.base.statistics.resampling import bound_interval
from components.base.tables import write_table
from components.base.task import Task
from components.base.text.wording import say_plainly
from components.models import gates as gating
from components.models.artifact import Model
from components.models.baselines import Baseline, fit_baselines, save_current_solution
from components.models.champion import Champion, describe_met, find_objection, fingerprint_test, pick_model
from components.models.documents import (
    BootstrapRecord,
    ChampionRecord,
    ComparisonRecord,
    Contender,
    Evaluation,
    FairnessRecord,
    Generalisation,
    SliceRecord,
    TestRecord,
    WeakSpot,
)
from components.models.importance import list_worst_cases, permute_features
from components.models.parallel import quiet_fits, use_one_thread
from components.models.scorecard import (
    OpenedTest,
    Scorecard,
    compare,
    compare_constants,
    describe_scorecard,
    find_constant,
    open_rows,
    score_contender,
    sum_by_day,
)
from components.models.slices import ReferenceCard, compare_fairness, compare_slices
from components.models.weak_spots import find_weak_spots

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationResult:
    """What the evaluation found, and every contender's prediction of every test row."""

    evaluation: Evaluation
    predictions: pd.DataFrame
    current_solution: Baseline
    """As fitted on train and validation rows."""


@dataclass(frozen=True)
class _Contest:
    """The contenders on the opened test rows."""

    opened: OpenedTest
    cards: dict[Contender, Scorecard]
    current_solution: Baseline
    champion: ChampionRecord | None


class _Gated(NamedTuple):
    """The gates that the challenger met, with what they measured."""

    gates: tuple[Gate, ...]
    comparisons: dict[Contender, ComparisonRecord]
    generalisation: Generalisation
    slices: tuple[SliceRecord, ...]
    fairness: tuple[FairnessRecord, ...]
    weak_spots: tuple[WeakSpot, ...]


def evaluate_model(
    prepared: Prepared, model: Model, champion: Champion | None = None, earlier_openings: int = 0
) -> EvaluationResult:
    """Score the contenders on the test rows, pass the gates and give the verdict.

    Args:
        prepared: The prepared rows with those of test.
        model: The challenger.
        champion: What it must beat; None before the first release.
        earlier_openings: How many other models were judged on these test rows before: each widens every interval.
    """
    started, task = time.monotonic(), model.task
    contest = _score_contenders(prepared, model, champion, earlier_openings)
    opened, cards, challenger = contest.opened, contest.cards, contest.cards["challenger"]
    resamples, features = opened.resamples, prepared.feature_names
    gated = _pass_gates(contest, model, features)
    verdict, reasons = gating.decide_release(gated.gates)
    reasons += gating.tell_openings(earlier_openings, resamples.confidence)
    evaluation = Evaluation(
        problem=task.problem.name,
        metric=task.problem.metrics.primary,
        higher_is_better=task.primary.higher_is_better,
        currency=task.problem.business.currency,
        opened=_describe_test(opened, prepared, earlier_openings),
        bootstrap=BootstrapRecord(
            resamples=len(resamples.counts), unit=resamples.unit, confidence=resamples.confidence
        ),
        contenders={role: describe_scorecard(opened, card) for role, card in cards.items()},
        value_by_day=sum_by_day(opened, {role: card for role, card in cards.items() if role != "dummy"}),
        verdict=verdict,
        reasons=tuple(reasons),
        gates=gated.gates,
        comparisons=gated.comparisons,
        champion=contest.champion,
        generalisation=gated.generalisation,
        slices=gated.slices,
        fairness=gated.fairness,
        weak_spots=gated.weak_spots,
        # What the model leans on and where it errs most: nothing of this decides.
        policy_curve=tuple(task.trace_policies(opened.outcomes, challenger.output, opened.rows["predicted_at"])),
        worst_cases=list_worst_cases(opened, challenger.output, features),
        importance=permute_features(opened, model),
        seconds=time.monotonic() - started,
    )
    logger.info("evaluate: %s. %s", verdict, " ".join(reasons))
    return EvaluationResult(evaluation, tabulate_predictions(opened, cards), contest.current_solution)


def tabulate_predictions(opened: OpenedTest, cards: Mapping[Contender, Scorecard]) -> pd.DataFrame:
    """Return key, time, outcome, and output and decision of every contender, one row a test row.

    Columns of outputs are `<role>__<column of the output>`, those of decisions `<role>__decision`.
    """
    problem = opened.task.problem
    named = list(dict.fromkeys([*problem.examples.key, "predicted_at", problem.target.name]))
    columns: dict[str, Any] = {}
    for role, card in cards.items():
        columns |= {f"{role}__{name}": card.output[:, place] for place, name in enumerate(opened.task.output_columns)}
        columns[f"{role}__decision"] = card.decided
    return opened.rows[named].assign(**columns)


def save_evaluation(task: Task, result: EvaluationResult, folder: Path | str) -> None:
    """Write `predictions.parquet` and `baseline.json`, then `evaluation.json`."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    write_table(result.predictions, place / "predictions.parquet")
    save_current_solution(task, result.current_solution, place / "baseline.json")
    write(result.evaluation, place / "evaluation.json")


def list_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Return the scores and the value of every contender for the Kubeflow UI, by `<contender>_<metric>`."""
    metrics: dict[str, float] = {}
    for role, contender in evaluation.contenders.items():
        intervals = {**contender.scores, "value_per_1000": contender.value_per_1000}
        metrics |= {
            f"{role}_{name}": found.estimate for name, found in intervals.items() if np.isfinite(found.estimate)
        }
    return metrics


def _score_contenders(prepared: Prepared, model: Model, champion: Champion | None, earlier_openings: int) -> _Contest:
    """Fit the baselines, open the test rows, and score every contender on them."""
    task = model.task
    with quiet_fits():
        use_one_thread()
        baselines = fit_baselines(task, prepared)
        opened = open_rows(task, prepared.read("test"), earlier_openings)
        models: dict[Contender, Model] = {"challenger": model}
        record = None
        if champion:
            met = pick_model(prepared, champion)
            objection = find_objection(prepared, met, opened.rows, task.problem)
            if objection is None:
                models["champion"] = met.model
            reason = objection or describe_met(champion, met)
            record = ChampionRecord(version=champion.version, comparable=objection is None, reason=reason)
        cards = {
            role: score_contender(opened, one.family, one.predict(opened.rows), one.policy)
            for role, one in models.items()
        }
        for role, baseline in baselines.items():
            output = task.predict(baseline.estimator, opened.rows)
            cards[role] = score_contender(opened, baseline.label, output, baseline.policy)
    return _Contest(opened, cards, baselines["current_solution"], record)


def _describe_test(opened: OpenedTest, prepared: Prepared, earlier_openings: int) -> TestRecord:
    times = opened.rows["predicted_at"]
    return TestRecord(
        fingerprint=fingerprint_test(prepared),
        rows=len(opened.rows),
        days=len(np.unique(number_days(times))),
        start=times.min().isoformat(),
        end=times.max().isoformat(),
        outcome=opened.task.describe_outcomes(opened.outcomes),
        earlier_openings=earlier_openings,
    )


def _pass_gates(contest: _Contest, model: Model, features: Sequence[str]) -> _Gated:
    """Compare the challenger with every other contender, and pass every gate."""
    opened, cards, champion = contest.opened, contest.cards, contest.champion
    task, challenger, rows = opened.task, cards["challenger"], len(opened.rows)
    comparisons: dict[Contender, ComparisonRecord] = {
        role: compare(opened, challenger, other) for role, other in cards.items() if role != "challenger"
    }
    gates = [
        gating.gate_dummy(task, comparisons["dummy"]),
        gating.gate_current_solution(task, comparisons["current_solution"], rows),
    ]
    if gains := compare_constants(opened, challenger):
        gates.append(gating.gate_constants(task, gains, find_constant(opened, challenger), rows))
    if champion and champion.comparable:
        gates.append(gating.gate_champion(task, comparisons["champion"], champion.version, rows))
    elif champion:
        gates.append(gating.gate_incomparable(champion.reason))
    for guard in task.problem.metrics.guards:
        guarded = task.metrics[guard.metric]
        value = guarded.score(opened.outcomes, challenger.output, challenger.wanted)
        gates.append(gating.gate_guard(guard, guarded.label, value))
    # The fall from cross-validation to test; its interval is that of the test score.
    metric, draws, details = task.primary, challenger.primary_draws, model.description.details
    expected = details.cross_validated.score if details else float("nan")
    falls = metric.direction * (expected - draws)
    generalisation = Generalisation(
        cross_validated=expected,
        test=bound_interval(challenger.primary, draws, opened.resamples),
        gap=bound_interval(metric.gain(expected, challenger.primary), falls, opened.resamples),
        limit=task.problem.metrics.maximum_generalisation_gap,
    )
    reference: Contender = "champion" if "champion" in cards else "current_solution"
    slices, slice_gate = compare_slices(opened, challenger, ReferenceCard(reference, cards[reference]))
    fairness, fairness_gates = compare_fairness(opened, challenger)
    spots = find_weak_spots(opened, challenger.output, features, cards[reference].output)
    gates += [
        gating.gate_generalisation(generalisation.gap, generalisation.limit),
        slice_gate,
        gating.gate_weak_spots(spots, say_plainly(reference), task.problem.metrics.maximum_weak_spot_loss),
        *fairness_gates,
    ]
    return _Gated(tuple(gates), comparisons, generalisation, slices, fairness, spots)
