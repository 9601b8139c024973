"""Bring the results of all steps into one small JSON: what the terminal shows and `last-run.json` keeps.

In: the documents of the steps. Out: `summary.json`. Called by the `present` step; judges nothing.
"""

from typing import Any

from components.base.contract.problem import Problem
from components.base.errors import DataError
from components.base.gate import Gate
from components.release.record import Deployment
from components.reports.release.material import Material

Document = dict[str, Any]


def summarise(material: Material) -> Document:
    """Build the summary of a run that left every document."""
    problem, documents, evaluation = material.problem, material.documents, material["evaluation"]
    release, deployment, quality = material.release, material.deployment, material.quality
    if release is None or deployment is None or quality is None:
        raise DataError(
            f"present {problem.name}: a quality report, a release and its deployment must exist. Run their steps first."
        )
    summary: Document = {
        "problem": problem.name,
        "run_id": material.run_id,
        "as_of": material.as_of,
        "rows": quality.rows.model_dump(),
        "primary_metric": problem.metrics.primary,
        "currency": problem.business.currency,
        "leaderboard": _leaderboard(documents["leaderboard"], problem.metrics.primary),
        "scores": [_score(role, score, problem) for role, score in evaluation["contenders"].items()],
        "comparisons": evaluation["comparisons"],
        "gates": [*evaluation["gates"], *map(_deployment_gate, deployment.gates)],
        "verdict": evaluation["verdict"],
        "reasons": evaluation["reasons"],
        "model_version": release.version,
        "champion_version": deployment.champion,
        "deployment": deployment.outcome,
        "endpoint": deployment.endpoint,
    }
    return {**summary, "verdict_in_words": _words(summary, deployment)}


def _leaderboard(leaderboard: Document, metric: str) -> list[Document]:
    notes = {"current_solution": "current solution", "dumb": "dumb predictor"}
    return [
        {
            "name": entry["name"],
            "score": entry["scores"][metric]["mean"] if entry["scores"] else None,
            "spread": entry["scores"][metric]["std"] if entry["scores"] else None,
            "fit_seconds": entry["fit_seconds"],
            "note": entry["error"] or notes.get(entry["kind"], "chosen" if entry["chosen"] else ""),
        }
        for entry in leaderboard["entries"]
    ]


def _score(role: str, contender: Document, problem: Problem) -> Document:
    primary, value = contender["scores"][problem.metrics.primary], contender["value_per_1000"]
    return {
        "role": role,
        "name": f"{role.replace('_', ' ')} ({contender['label']})",
        "score": primary["estimate"],
        "score_interval": [primary["low"], primary["high"]],
        "value": value["estimate"],
        "value_interval": [value["low"], value["high"]],
        "scores": contender["scores"],
        "threshold": contender["threshold"],
    }


def _deployment_gate(gate: Gate) -> Document:
    return {**gate.model_dump(mode="json"), "name": f"endpoint_{gate.name}"}


def _words(summary: Document, deployment: Deployment) -> str:
    """Say in sentences what was decided, why, and what it is worth."""
    version = summary["model_version"]
    decided = {
        "promoted": f"Version {version} is promoted: it answers at the endpoint {summary['endpoint']}.",
        "refused": f"Version {version} passed its evaluation, but the endpoint refused it.",
        "kept": f"The new model is not deployed ({summary['verdict']}).",
    }[summary["deployment"]]
    champion = summary["champion_version"]
    kept = f" Version {champion} stays champion." if summary["deployment"] != "promoted" and champion else ""
    reasons = deployment.reasons if summary["deployment"] == "refused" else summary["reasons"]
    return " ".join([decided + kept, _gain(summary), *reasons])


def _gain(summary: Document) -> str:
    """Say what the challenger is worth against what it was compared with."""
    reference = next(name for name in ("champion", "current_solution") if name in summary["comparisons"])
    gain = summary["comparisons"][reference]["value_per_1000"]
    words = "more" if gain["estimate"] >= 0 else "less"
    interval = "" if gain["low"] is None else f" (95 % interval {gain['low']:,.0f} to {gain['high']:,.0f})"
    return (
        f"It earns {abs(gain['estimate']):,.0f} {summary['currency']} {words} per 1,000 predictions than the "
        f"{reference.replace('_', ' ')}{interval}."
    )
