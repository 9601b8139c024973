"""A gate: one check of a release with its outcome, in numbers and in words."""

from typing import Literal

from components.base.documents import Document

GateVerdict = Literal["pass", "fail", "hold"]
Verdict = Literal["promote", "hold", "refuse"]
"""Of a release, made of the verdicts of its gates."""


class Gate(Document):
    """One check with its outcome."""

    name: str
    verdict: GateVerdict
    value: float | None
    """What was measured; None where there is no number."""
    limit: float | None
    reason: str
    """What was measured, what is required, in words."""

    @property
    def passed(self) -> bool:
        """Whether the release may go on."""
        return self.verdict == "pass"


def limit_gate(name: str, value: float, limit: float, reason: str) -> Gate:
    """Build a gate that passes when the value is at most the limit; not a number fails."""
    return Gate(name=name, verdict="pass" if value <= limit else "fail", value=value, limit=limit, reason=reason)
