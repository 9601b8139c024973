"""The summary says what was decided with the numbers of the steps, and adds none of its own."""

from pathlib import Path
from typing import Any

import pytest

from components.base.contract.load import load_problem
from components.data.quality import Quality
from components.release.record import Deployment, Release
from components.reports.release.material import Material
from components.reports.release.summary import summarise
from tests.unit.reports import release_documents

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml")


def interval(estimate: float) -> dict[str, float]:
    return {"estimate": estimate, "low": estimate - 1, "high": estimate + 1}


def contender(label: str, score: float, value: float) -> dict[str, Any]:
    scores = {"average_precision": interval(score), "roc_auc": interval(0.7)}
    return {"label": label, "threshold": 0.4, "scores": scores, "value_per_1000": interval(value)}


def documents(verdict: str) -> dict[str, Any]:
    entry = {"scores": {"average_precision": {"mean": 0.5, "std": 0.01}}, "fit_seconds": 1.0, "error": None}
    failed = {"scores": {}, "fit_seconds": 9.0, "error": "out of time"}
    return {
        "leaderboard": {
            "entries": [
                {**entry, "name": "logistic", "kind": "candidate", "chosen": True},
                {**entry, "name": "prior", "kind": "dumb", "chosen": False},
                {**failed, "name": "mlp", "kind": "candidate", "chosen": False},
            ]
        },
        "evaluation": {
            "contenders": {
                "challenger": contender("logistic", 0.5, 900),
                "current_solution": contender("rule", 0.4, 500),
            },
            "comparisons": {"current_solution": {"primary": interval(0.1), "value_per_1000": interval(400)}},
            "gates": [{"name": "beats_dumb", "verdict": "pass", "value": 1.0, "limit": 0.0, "reason": "It does."}],
            "verdict": verdict,
            "reasons": ["Every gate passed."],
        },
    }


def material(outcome: str = "promoted", champion: str | None = "3", verdict: str = "promote") -> Material:
    deployment = release_documents.deployment(outcome) | {
        "champion": champion,
        "reasons": ["p99 was 80 ms, above 50 ms."],
        "smoke_test": {
            "gates": [{"name": "p99_milliseconds", "verdict": "pass", "value": 6.0, "limit": 50, "reason": "Fast."}]
        },
    }
    return Material(
        PROBLEM,
        "run",
        "2013-07-01",
        documents(verdict),
        Release.model_validate(release_documents.release()),
        Deployment.model_validate(deployment),
        Quality.model_validate(release_documents.quality()),
    )


def test_promotion_is_said_with_version_endpoint_and_gain() -> None:
    words = summarise(material())["verdict_in_words"]
    assert words == (
        "Version 3 is promoted: it answers at the endpoint flight-delays. It earns 400 USD more per 1,000 predictions "
        "than the current solution (95 % interval 399 to 401). Every gate passed."
    )


@pytest.mark.parametrize(
    ("outcome", "verdict", "words"),
    [
        ("kept", "hold", "The new model is not deployed (hold). Version 2 stays champion."),
        ("refused", "promote", "the endpoint refused it. Version 2 stays champion."),
    ],
)
def test_champion_is_named_when_the_new_one_is_not_deployed(outcome: str, verdict: str, words: str) -> None:
    assert words in summarise(material(outcome, "2", verdict))["verdict_in_words"]


def test_reasons_of_the_endpoint_are_given_when_it_refused() -> None:
    words = summarise(material("refused", "2"))["verdict_in_words"]
    assert "p99 was 80 ms, above 50 ms." in words


def test_failed_candidate_is_listed_with_its_reason() -> None:
    board = summarise(material())["leaderboard"]
    assert [row["note"] for row in board] == ["chosen", "dumb predictor", "out of time"]
    assert board[2]["score"] is None


def test_gates_of_evaluation_and_endpoint_stand_in_one_list() -> None:
    gates = summarise(material())["gates"]
    assert [(gate["name"], gate["verdict"]) for gate in gates] == [
        ("beats_dumb", "pass"),
        ("endpoint_p99_milliseconds", "pass"),
    ]
