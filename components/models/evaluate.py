"""Judge the release on test rows, opened once: scores with intervals, slices, weak spots, gates and the verdict.

In: the contract, the prepared rows, the model and the champion. Out: `Judgement`: the `Evaluation`, the predictions of
every contender and the fitted current solution. Train rows fit the baselines again and validation rows give them their
policies, as for the challenger; only then are test rows read. The champion is scored here, on exactly these rows,
never by numbers stored with it, and not at all when it was fitted on any of them.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from components.base.dataset import Prepared
from components.base.gate import Gate
from components.base.statistics.capacity import number_days
from components.base.statistics.resampling import bound_interval
from components.models import gates as gating
from components.models.artifact import Model
from components.models.baselines import Baseline, fit_baselines
from components.models.champion import Champion, find_objection, fingerprint_test
from components.models.documents import (
    BootstrapRecord,
    ChampionRecord,
    ComparisonRecord,
    Contender,
    Evaluation,
    Generalisation,
    TestRecord,
)
from components.models.importance import list_worst_cases, permute_features
from components.models.parallel import quiet_fits, use_one_thread
from components.models.scorecard import (
    OpenedTest,
    Scorecard,
    compare,
    describe_scorecard,
    open_rows,
    score_contender,
    sum_by_day,
)
from components.models.slices import ReferenceCard, judge_fairness, judge_slices
from components.models.weak_spots import find_weak_spots

logger = logging.getLogger(__name__)

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Judgement:
    """What the evaluation found, and every contender's prediction of every test row."""

    evaluation: Evaluation
    predictions: pd.DataFrame
    current_solution: Baseline
    """As fitted on train and validation rows."""


def evaluate_model(
    prepared: Prepared, model: Model, champion: Champion | None = None, earlier_openings: int = 0
) -> Judgement:
    """Score the contenders on the test rows, pass the gates and give the verdict."""
    started, task = time.monotonic(), model.task
    with quiet_fits():
        use_one_thread()
        baselines = fit_baselines(task, prepared)
        opened = open_rows(task, prepared.read("test"))
        objection = find_objection(prepared, champion, opened.rows, task.problem) if champion else None
        models = {"challenger": model} | ({"champion": champion.model} if champion and not objection else {})
        cards: dict[Contender, Scorecard] = {
            role: score_contender(opened, one.family, one.predict(opened.rows), one.policy)  # type: ignore[misc]
            for role, one in models.items()
        }
        for role, baseline in baselines.items():
            output = task.predict(baseline.estimator, opened.rows)
            cards[role] = score_contender(opened, baseline.label, output, baseline.policy)
    challenger, features = cards["challenger"], prepared.feature_names
    evaluation = Evaluation(
        **_describe_contest(opened, prepared, cards, earlier_openings),
        **_judge_release(opened, model, cards, champion, objection),
        # Where the model is weak and what it leans on: nothing of this decides.
        policy_curve=task.trace_policies(opened.outcomes, challenger.output, opened.rows["predicted_at"]),
        weak_spots=find_weak_spots(opened, challenger.output, features),
        worst_cases=list_worst_cases(opened, challenger.output, features),
        importance=permute_features(opened, model),
        seconds=time.monotonic() - started,
    )
    logger.info("evaluate: %s. %s", evaluation.verdict, " ".join(evaluation.reasons))
    return Judgement(evaluation, tabulate_predictions(opened, cards), baselines["current_solution"])


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


def _describe_contest(
    opened: OpenedTest, prepared: Prepared, cards: Mapping[Contender, Scorecard], earlier_openings: int
) -> dict[str, Any]:
    task, times = opened.task, opened.rows["predicted_at"]
    return {
        "problem": task.problem.name,
        "metric": task.problem.metrics.primary,
        "higher_is_better": task.primary.higher_is_better,
        "currency": task.problem.business.currency,
        "opened": TestRecord(
            fingerprint=fingerprint_test(prepared),
            rows=len(opened.rows),
            days=len(np.unique(number_days(times))),
            start=times.min().isoformat(),
            end=times.max().isoformat(),
            outcome=task.describe_outcomes(opened.outcomes),
            earlier_openings=earlier_openings,
        ),
        "bootstrap": BootstrapRecord(
            resamples=len(opened.resamples.counts), unit=opened.resamples.unit, confidence=_CONFIDENCE
        ),
        "contenders": {role: describe_scorecard(opened, card) for role, card in cards.items()},
        "value_by_day": sum_by_day(opened, {role: card for role, card in cards.items() if role != "dummy"}),
    }


def _judge_release(
    opened: OpenedTest,
    model: Model,
    cards: Mapping[Contender, Scorecard],
    champion: Champion | None,
    objection: str | None,
) -> dict[str, Any]:
    """Compare, pass every gate and give the verdict."""
    task, challenger = opened.task, cards["challenger"]
    comparisons: dict[Contender, ComparisonRecord] = {
        role: compare(opened, challenger, other) for role, other in cards.items() if role != "challenger"
    }
    generalisation = _describe_generalisation(opened, model, challenger)
    reference: Contender = "champion" if "champion" in cards else "current_solution"
    slices, slice_gate = judge_slices(opened, challenger, ReferenceCard(reference, cards[reference]))
    fairness, fairness_gates = judge_fairness(opened, challenger)
    gates = [
        gating.gate_dummy(task, comparisons["dummy"]),
        gating.gate_current_solution(task, comparisons["current_solution"], len(opened.rows)),
        *_pass_champion(opened, comparisons, champion, objection),
        *_pass_guards(opened, challenger),
        gating.gate_generalisation(generalisation.gap, generalisation.limit),
        slice_gate,
        *fairness_gates,
    ]
    verdict, reasons = gating.decide_release(gates)
    return {
        "verdict": verdict,
        "reasons": reasons,
        "gates": gates,
        "comparisons": comparisons,
        "champion": _describe_champion(champion, objection),
        "generalisation": generalisation,
        "slices": slices,
        "fairness": fairness,
    }


def _pass_champion(
    opened: OpenedTest,
    comparisons: Mapping[Contender, ComparisonRecord],
    champion: Champion | None,
    objection: str | None,
) -> list[Gate]:
    """Return the gate of the champion; none when the problem has no champion yet."""
    if champion is None:
        return []
    if objection:
        return [gating.gate_incomparable(objection)]
    return [gating.gate_champion(opened.task, comparisons["champion"], champion.version, len(opened.rows))]


def _pass_guards(opened: OpenedTest, challenger: Scorecard) -> list[Gate]:
    task, gates = opened.task, []
    for guard in task.problem.metrics.guards:
        metric = task.metrics[guard.metric]
        value = metric.score(opened.outcomes, challenger.output, challenger.wanted)
        gates.append(gating.gate_guard(guard, metric.label, value))
    return gates


def _describe_generalisation(opened: OpenedTest, model: Model, challenger: Scorecard) -> Generalisation:
    """Return the fall from cross-validation to test; its interval is that of the test score."""
    metric, resamples = opened.task.primary, opened.resamples
    details = model.description.details
    expected = details.cross_validated.score if details else float("nan")
    falls = metric.direction * (expected - challenger.primary_draws)
    return Generalisation(
        cross_validated=expected,
        test=bound_interval(challenger.primary, challenger.primary_draws, resamples),
        gap=bound_interval(metric.gain(expected, challenger.primary), falls, resamples),
        limit=opened.task.problem.metrics.maximum_generalisation_gap,
    )


def _describe_champion(champion: Champion | None, objection: str | None) -> ChampionRecord | None:
    if champion is None:
        return None
    reason = objection or f"Version {champion.version} was fitted on none of the test rows and scored on all of them."
    return ChampionRecord(version=champion.version, comparable=objection is None, reason=reason)
