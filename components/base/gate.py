"""A gate: one check of a release with its outcome, in numbers and in words."""

from typing import Literal

from components.base.documents import Document

GateVerdict = Literal["pass", "fail", "hold", "not judged"]
"""`not judged`: there was nothing to measure, as without rows or requests; it stops nothing and proves nothing."""
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
    def blocks(self) -> bool:
        """Whether the release must not go on."""
        return self.verdict in ("fail", "hold")


def limit_gate(name: str, value: float, limit: float, reason: str) -> Gate:
    """Build a gate that passes when the value is at most the limit; not a number fails."""
    return Gate(name=name, verdict="pass" if value <= limit else "fail", value=value, limit=limit, reason=reason)
