"""The summary says what was decided with the numbers of the steps, and adds none of its own."""

from dataclasses import replace
from pathlib import Path

import pytest

from components.base import documents
from components.base.gate import Gate, Verdict
from components.base.statistics.resampling import Gain, Interval
from components.base.text.wording import say_plainly
from components.data.quality import Quality
from components.models.documents import ComparisonRecord, Evaluation, Leaderboard
from components.release.record import Deployment, Release
from components.reports.release.material import Material
from components.reports.release.summary import ReleaseSummary, summarise
from tests.unit.made_models import make_contender, make_evaluation
from tests.unit.reports import release_documents


def interval(estimate: float) -> Interval:
    return Interval(estimate, estimate - 1, estimate + 1)


def evaluation(verdict: Verdict) -> Evaluation:
    gain = ComparisonRecord(primary=Gain(0.1, -0.9, 1.1, -0.8), value_per_1000=Gain(400, 399, 401, 399.2))
    gate = Gate(name="beats_dummy", verdict="pass", value=1.0, limit=0.0, reason="It does.")
    return make_evaluation(
        verdict,
        contenders={"challenger": make_contender("logistic"), "current_solution": make_contender("rule")},
        comparisons={"current_solution": gain},
        gates=(gate,),
        reasons=("Every gate passed.",),
    )


def leaderboard() -> Leaderboard:
    described = release_documents.leaderboard()
    logistic, rule, failed = described["entries"]
    dummy = {**rule, "name": "prior", "kind": "dummy"}
    return Leaderboard.model_validate(described | {"entries": [logistic, dummy, failed]})


def material(outcome: str = "promoted", champion: str | None = "3", verdict: Verdict = "promote") -> Material:
    gate = {"name": "p99_milliseconds", "verdict": "pass", "value": 6.0, "limit": 50, "reason": "Fast."}
    changed = {"champion": champion, "reasons": ["p99 was 80 ms, above 50 ms."], "smoke_test": {"gates": [gate]}}
    return Material(
        release_documents.task(),
        "run",
        "2013-07-01",
        quality=Quality.model_validate(release_documents.quality()),
        leaderboard=leaderboard(),
        evaluation=evaluation(verdict),
        release=Release.model_validate(release_documents.release()),
        deployment=Deployment.model_validate(release_documents.deployment(outcome) | changed),
    )


def test_promotion_is_said_with_version_endpoint_and_gain() -> None:
    words = summarise(material()).verdict_in_words
    assert words == (
        "Version 3 is promoted: it answers at the endpoint flight-delays. It earns 400 USD more per 1,000 predictions "
        "than the current solution (95 % interval 399 to 401). Every gate passed. "
        "1 of 5 families failed and took no part: mlp (ran out of time)."
    )


@pytest.mark.parametrize(
    ("outcome", "verdict", "words"),
    [
        ("kept", "hold", "The new model is not deployed (hold). Version 2 stays champion."),
        ("refused", "promote", "the endpoint refused it. Version 2 stays champion."),
    ],
)
def test_champion_is_named_when_the_new_one_is_not_deployed(outcome: str, verdict: Verdict, words: str) -> None:
    assert words in summarise(material(outcome, "2", verdict)).verdict_in_words


def test_reasons_of_the_endpoint_are_given_when_it_refused() -> None:
    words = summarise(material("refused", "2")).verdict_in_words
    assert "p99 was 80 ms, above 50 ms." in words


def test_failed_candidate_is_listed_with_its_reason() -> None:
    board = summarise(material()).leaderboard
    assert [row.note for row in board] == ["chosen", "dummy", "ran out of time"]
    assert board[2].score is None


def test_failed_candidate_is_named_in_the_verdict() -> None:
    found = material()
    (failed,) = [entry for entry in found.leaderboard.entries if entry.error]
    words = summarise(found).verdict_in_words
    assert f"1 of 5 families failed and took no part: {say_plainly(failed.name)} (ran out of time)." in words
    late = [entry.model_copy(update={"is_cut_short": entry.error is not None}) for entry in found.leaderboard.entries]
    hasty = replace(found, leaderboard=found.leaderboard.model_copy(update={"entries": tuple(late)}))
    assert "failed" not in summarise(hasty).verdict_in_words


def test_gates_of_evaluation_and_endpoint_stand_in_one_list() -> None:
    gates = summarise(material()).gates
    assert [(gate.name, gate.verdict) for gate in gates] == [
        ("beats_dummy", "pass"),
        ("endpoint_p99_milliseconds", "pass"),
    ]


def test_summary_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    summary = summarise(material())
    documents.write(summary, tmp_path / "summary.json")
    assert documents.read(ReleaseSummary, tmp_path / "summary.json") == summary
