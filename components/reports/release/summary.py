"""Bring the results of all steps into one small JSON: what the terminal shows; `last-run.json` keeps a part.

In: the documents of the steps. Out: `summary.json`. Called by the `present` step; judges nothing.
"""

from typing import Any, Literal

from pydantic import Field

from components.base.documents import Document, Number
from components.base.errors import DataError
from components.base.gate import Gate, Verdict
from components.base.statistics.resampling import Interval
from components.base.text.wording import has_bounds, say_plainly, write_confidence
from components.data.quality import RowsByFate
from components.models.documents import (
    ComparisonRecord,
    Contender,
    ContenderRecord,
    Evaluation,
    Leaderboard,
)
from components.release.record import Deployment, Release
from components.reports.release.material import REFERENCES, Material


class LeaderboardRow(Document):
    """One contender of the selection."""

    name: str
    score: float | None
    """The primary metric, mean of the folds; None when the contender failed."""
    spread: float | None
    """Standard deviation between the folds."""
    fit_seconds: float
    note: str
    """What it is, or why it failed."""


class ContenderScores(Document):
    """One contender on the test rows; intervals are not numbers where the rows are too few."""

    role: Contender
    name: str
    score: Number
    """The primary metric."""
    score_interval: tuple[Number, Number]
    value: Number
    """Of its decisions per 1,000 predictions, in the contract's currency."""
    value_interval: tuple[Number, Number]
    scores: dict[str, Interval]
    """By metric."""
    policy: dict[str, Any]
    """As the task writes it."""


class ReleaseSummary(Document):
    """What a training run found, decided and deployed."""

    problem: str
    run_id: str
    as_of: str
    rows: RowsByFate
    primary_metric: str
    currency: str
    leaderboard: tuple[LeaderboardRow, ...]
    """Best first."""
    scores: tuple[ContenderScores, ...]
    comparisons: dict[Contender, ComparisonRecord]
    confidence: float = 0.95
    """Of every interval; less error is left where other models were judged on the same test rows before."""
    gates: tuple[Gate, ...]
    """Of the evaluation, then of the endpoint; the names of the latter begin with `endpoint_`."""
    verdict: Verdict
    reasons: tuple[str, ...]
    """Of the verdict."""
    model_version: str | None
    """In the registry; None for a refused model."""
    champion_version: str | None
    """The version that serves from now on."""
    deployment: Literal["promoted", "refused", "kept"]
    endpoint: str
    verdict_in_words: str
    fingerprints: dict[str, str] = Field(default={})
    """Of the output of each step, as the release has them."""
    served: str = ""
    """Which model the release serves, judged or fitted again, and why, in words."""
    cut_short: str | None = None
    """Why this run may differ from the next one of the same rows, in words."""


def summarise(material: Material) -> ReleaseSummary:
    """Build the summary of a run that left every document.

    Raises:
        DataError: a step left nothing.
    """
    problem = material.problem
    quality, leaderboard, evaluation = material.quality, material.leaderboard, material.evaluation
    release, deployment = material.release, material.deployment
    if quality is None or leaderboard is None or evaluation is None or release is None or deployment is None:
        raise DataError(
            f"present {problem.name}: quality report, leaderboard, evaluation, release and deployment must exist. "
            "Run their steps first."
        )
    smoke_tests = (gate.model_copy(update={"name": f"endpoint_{gate.name}"}) for gate in deployment.gates)
    return ReleaseSummary(
        problem=problem.name,
        run_id=material.run_id,
        as_of=material.as_of,
        rows=quality.rows,
        primary_metric=problem.metrics.primary,
        currency=problem.business.currency,
        leaderboard=_tabulate(leaderboard, problem.metrics.primary),
        scores=tuple(_describe(role, one, evaluation.metric) for role, one in evaluation.contenders.items()),
        comparisons=evaluation.comparisons,
        confidence=evaluation.bootstrap.confidence,
        gates=(*evaluation.gates, *smoke_tests),
        verdict=evaluation.verdict,
        reasons=evaluation.reasons,
        model_version=release.version,
        champion_version=deployment.champion,
        deployment=deployment.outcome,
        endpoint=deployment.endpoint,
        verdict_in_words=_format_verdict(material, release, evaluation, deployment),
        fingerprints=dict(release.fingerprints),
        served=material.refit.reason if material.refit else "",
        cut_short=material.cut_short,
    )


def _tabulate(leaderboard: Leaderboard, metric: str) -> tuple[LeaderboardRow, ...]:
    notes = {"current_solution": "current solution", "dummy": "dummy"}
    return tuple(
        LeaderboardRow(
            name=entry.name,
            score=entry.scores[metric].mean if entry.scores else None,
            spread=entry.scores[metric].std if entry.scores else None,
            fit_seconds=entry.fit_seconds,
            note=entry.error or notes.get(entry.kind, "chosen" if entry.chosen else ""),
        )
        for entry in leaderboard.entries
    )


def _describe(role: Contender, contender: ContenderRecord, metric: str) -> ContenderScores:
    score, value = contender.scores[metric], contender.value_per_1000
    return ContenderScores(
        role=role,
        name=f"{say_plainly(role)} ({contender.label})",
        score=score.estimate,
        score_interval=(score.low, score.high),
        value=value.estimate,
        value_interval=(value.low, value.high),
        scores=contender.scores,
        policy=contender.policy,
    )


def _format_verdict(material: Material, release: Release, evaluation: Evaluation, deployment: Deployment) -> str:
    """Write in sentences what was decided, why, and what it is worth against what it was compared with."""
    version = release.version
    decided = {
        "promoted": f"Version {version} is promoted: it answers at the endpoint {deployment.endpoint}.",
        "refused": f"Version {version} passed its evaluation, but the endpoint refused it.",
        "kept": f"The new model is not deployed ({evaluation.verdict}).",
    }[deployment.outcome]
    is_kept = deployment.outcome != "promoted" and deployment.champion
    kept = f" Version {deployment.champion} stays champion." if is_kept else ""
    reasons = deployment.reasons if deployment.outcome == "refused" else evaluation.reasons
    reference = next(role for role in REFERENCES if role in evaluation.comparisons)
    gain = evaluation.comparisons[reference].value_per_1000
    words = "more" if gain.estimate >= 0 else "less"
    confidence = write_confidence(evaluation.bootstrap.confidence).replace("%", " %")
    interval = f" ({confidence} interval {gain.low:,.0f} to {gain.high:,.0f})" if has_bounds(gain) else ""
    worth = (
        f"It earns {abs(gain.estimate):,.0f} {evaluation.currency} {words} per 1,000 predictions than the "
        f"{say_plainly(reference)}{interval}."
    )
    return " ".join([decided + kept, worth, *reasons, *filter(None, [material.failed, material.served])])
