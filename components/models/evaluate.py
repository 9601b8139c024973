"""Judge the release on test rows, opened once: scores with intervals, slices, weak spots, gates and the verdict.

In: the contract, the prepared rows, the model and the champion. Out: `Evaluation`: a JSON document, the predictions of
every contender and the fitted current solution. Train rows fit the baselines again and validation rows give them their
thresholds, as for the challenger; only then are test rows read. The champion is scored here, on exactly these rows,
never by numbers stored with it, and not at all when it was fitted on any of them.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from components.base.contract.problem import Problem
from components.base.dataset import Prepared
from components.base.statistics.decisions import number_days, trace_thresholds
from components.base.statistics.resampling import Interval, bound_interval
from components.base.statistics.scores import METRICS, gain, score
from components.models import gates as gating
from components.models import scorecard as judging
from components.models.artifact import Model
from components.models.baselines import Baseline, fit_baselines
from components.models.champion import Champion, find_objection, fingerprint_test
from components.models.gates import Gate
from components.models.importance import list_worst_cases, permute_features
from components.models.parallel import quiet_fits, use_one_thread
from components.models.scorecard import Comparison, Judged, OpenedTest
from components.models.slices import judge_fairness, judge_slices
from components.models.weak_spots import find_weak_spots

logger = logging.getLogger(__name__)

Document = dict[str, Any]

# Points of the value curve on test, which is shown and decides nothing.
_CURVE_THRESHOLDS = 60


@dataclass(frozen=True)
class Evaluation:
    """What the evaluation found, and every contender's prediction of every test row."""

    document: Document
    predictions: pd.DataFrame
    target: str
    """Column of `predictions` that holds the outcome."""
    current_solution: Baseline
    """As fitted on train and validation rows."""


def evaluate_model(
    problem: Problem, prepared: Prepared, model: Model, champion: Champion | None = None, earlier_openings: int = 0
) -> Evaluation:
    """Score the contenders on the test rows, pass the gates and give the verdict."""
    started = time.monotonic()
    with quiet_fits():
        use_one_thread()
        baselines = fit_baselines(problem, prepared)
        opened = judging.open_rows(problem, prepared.read("test"))
        contenders = {"challenger": judging.judge(opened, model.family, model.predict(opened.rows), model.threshold)}
        objection = find_objection(prepared, champion, opened.rows, problem) if champion else None
        if champion and not objection:
            probabilities, threshold = champion.model.predict(opened.rows), champion.model.threshold
            contenders["champion"] = judging.judge(opened, champion.model.family, probabilities, threshold)
        for role, baseline in baselines.items():
            contenders[role] = judging.judge(opened, baseline.label, baseline.predict(opened.rows), baseline.threshold)
    document = {
        **_describe_contest(opened, prepared, contenders, earlier_openings),
        **_judge_release(opened, model, contenders, champion, objection),
        **_look_closer(opened, prepared, model, contenders["challenger"]),
    }
    document["seconds"] = time.monotonic() - started
    logger.info("evaluate: %s. %s", document["verdict"], " ".join(document["reasons"]))
    predictions = tabulate_predictions(opened, contenders)
    return Evaluation(document, predictions, problem.target.name, baselines["current_solution"])


def tabulate_predictions(opened: OpenedTest, contenders: Mapping[str, Judged]) -> pd.DataFrame:
    """Return key, time, outcome, and probability and decision of every contender, one row a test row."""
    problem = opened.problem
    named = list(dict.fromkeys([*problem.examples.key, "predicted_at", problem.target.name]))
    columns: dict[str, Any] = {f"p_{role}": judged.probabilities for role, judged in contenders.items()}
    columns |= {f"decided_{role}": judged.decided for role, judged in contenders.items()}
    return opened.rows[named].assign(**columns)


def _describe_contest(
    opened: OpenedTest, prepared: Prepared, contenders: Mapping[str, Judged], earlier_openings: int
) -> Document:
    problem, times = opened.problem, opened.rows["predicted_at"]
    drawn = {role: judged for role, judged in contenders.items() if role != "dumb"}
    return {
        "problem": problem.name,
        "metric": problem.metrics.primary,
        "higher_is_better": METRICS[problem.metrics.primary].higher_is_better,
        "currency": problem.business.currency,
        "opened": {
            "test_fingerprint": fingerprint_test(prepared),
            "rows": len(opened.rows),
            "days": len(np.unique(number_days(times))),
            "from": times.min().isoformat(),
            "until": times.max().isoformat(),
            "positive_ratio": float(opened.outcomes.mean()),
            "earlier_openings": earlier_openings,
        },
        "bootstrap": {
            "resamples": len(opened.resamples.counts),
            "unit": opened.resamples.unit,
            "confidence": 0.95,
        },
        "contenders": {role: judging.describe_judged(opened, judged) for role, judged in contenders.items()},
        "calibration": {role: judging.describe_calibration(opened, judged) for role, judged in drawn.items()},
        "curves": {role: judging.trace_curves(opened, judged) for role, judged in drawn.items()},
        "value_by_day": judging.sum_by_day(opened, drawn),
    }


def _judge_release(
    opened: OpenedTest,
    model: Model,
    contenders: Mapping[str, Judged],
    champion: Champion | None,
    objection: str | None,
) -> Document:
    """Compare, pass every gate and give the verdict."""
    problem, challenger = opened.problem, contenders["challenger"]
    comparisons = {
        role: judging.compare(opened, challenger, other) for role, other in contenders.items() if role != "challenger"
    }
    generalisation = _describe_generalisation(opened, model, challenger)
    reference = "champion" if "champion" in contenders else "current_solution"
    slices, slice_gate = judge_slices(opened, challenger, contenders[reference], reference)
    fairness, fairness_gates = judge_fairness(opened, challenger)
    gates = [
        gating.gate_dumb(problem, comparisons["dumb"]),
        gating.gate_current_solution(problem, comparisons["current_solution"], len(opened.rows)),
        *_pass_champion(opened, comparisons, champion, objection),
        *(_pass_guard(opened, challenger, guard) for guard in problem.metrics.guards),
        gating.gate_generalisation(Interval(**generalisation["gap"]), problem.metrics.maximum_generalisation_gap),
        slice_gate,
        *fairness_gates,
    ]
    verdict, reasons = gating.decide_release(gates)
    return {
        "verdict": verdict,
        "reasons": reasons,
        "gates": [asdict(gate) for gate in gates],
        "comparisons": {role: asdict(comparison) for role, comparison in comparisons.items()},
        "champion": _describe_champion(champion, objection),
        "generalisation": generalisation,
        "slices": slices,
        "fairness": fairness,
    }


def _pass_champion(
    opened: OpenedTest, comparisons: Mapping[str, Comparison], champion: Champion | None, objection: str | None
) -> list[Gate]:
    """Return the gate of the champion; none when the problem has no champion yet."""
    if champion is None:
        return []
    if objection:
        return [gating.gate_incomparable(objection)]
    rows = len(opened.rows)
    return [gating.gate_champion(opened.problem, comparisons["champion"], champion.version, rows)]


def _look_closer(opened: OpenedTest, prepared: Prepared, model: Model, challenger: Judged) -> Document:
    """Describe where the model is weak and what it leans on; nothing of this decides."""
    features, times, business = prepared.feature_names, opened.rows["predicted_at"], opened.problem.business
    points = trace_thresholds(opened.outcomes, challenger.probabilities, times, business, _CURVE_THRESHOLDS)
    return {
        "thresholds": [asdict(point) for point in points],
        "worst_slices": find_weak_spots(opened, challenger.probabilities, features),
        "worst_cases": list_worst_cases(opened, challenger.probabilities, features),
        "importance": permute_features(opened, model),
    }


def _pass_guard(opened: OpenedTest, challenger: Judged, guard: Any) -> Gate:
    value = score(guard.metric, opened.outcomes, challenger.probabilities, challenger.threshold)
    return gating.gate_guard(guard, value)


def _describe_generalisation(opened: OpenedTest, model: Model, challenger: Judged) -> Document:
    """Return the fall from cross-validation to test; its interval is that of the test score."""
    metric, resamples = opened.problem.metrics.primary, opened.resamples
    expected = float(model.details["cross_validated"]["score"])
    direction = 1 if METRICS[metric].higher_is_better else -1
    gap = bound_interval(
        gain(metric, expected, challenger.primary), direction * (expected - challenger.primary_draws), resamples
    )
    return {
        "cross_validated": expected,
        "test": asdict(bound_interval(challenger.primary, challenger.primary_draws, resamples)),
        "gap": asdict(gap),
        "limit": opened.problem.metrics.maximum_generalisation_gap,
    }


def _describe_champion(champion: Champion | None, objection: str | None) -> Document | None:
    if champion is None:
        return None
    reason = objection or f"Version {champion.version} was fitted on none of the test rows and scored on all of them."
    return {"version": champion.version, "comparable": objection is None, "reason": reason}
