"""The governor's decisions as reports show them, whoever lists them.

In: one mapping a decision, as the governor's API gives it. Out: `Decided`, newest first. Called by `history`; decides
nothing and knows no database.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_WORDS_IN_FRONT = ("run", "hold", "escalate", "closed", "received")


@dataclass(frozen=True)
class Decided:
    """One decision."""

    decided_at: datetime
    """By the governor's clock."""
    cause: str
    """`alert`, `schedule` or `person`."""
    name: str
    """Of the alert, or of who asked."""
    decision: str
    """`run`, `hold`, `escalate` or `closed`."""
    reason: str
    words: str
    run: str
    outcome: str
    """How the run ended, empty without one or before its end."""


def read_decisions(problem: str, decisions: Sequence[Mapping[str, Any]]) -> list[Decided]:
    """Read the decisions of a problem, the newest first; what is not decided yet is left out."""
    own = [one for one in decisions if one.get("problem", problem) == problem and one.get("decided_at")]
    return sorted(map(_read, own), key=lambda one: one.decided_at, reverse=True)


def _read(decision: Mapping[str, Any]) -> Decided:
    """Read one decision; its run may be told by name, or as the governor's record of it."""
    run = decision.get("run")
    record = run if isinstance(run, Mapping) else {"key": run, "state": decision.get("outcome")}
    return Decided(
        decided_at=_read_moment(decision["decided_at"]),
        cause=str(decision.get("cause") or ""),
        name=str(decision.get("alert") or decision.get("name") or ""),
        decision=str(decision.get("decision") or ""),
        reason=str(decision.get("reason") or ""),
        words=_read_words(str(decision.get("words") or "")),
        run=str(record.get("key") or ""),
        outcome=str(record.get("state") or ""),
    )


def _read_moment(told: Any) -> datetime:
    moment = told if isinstance(told, datetime) else datetime.fromisoformat(str(told))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _read_words(words: str) -> str:
    """Drop the decision in front of the words: it has a place of its own."""
    front, colon, rest = words.partition(": ")
    text = rest if colon and front in _WORDS_IN_FRONT else words
    return text[:1].upper() + text[1:] if text is rest else text
