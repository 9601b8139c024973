"""What the governor publishes of an episode: the ruling in force, its run, and the rulings before it.

In: mapped rows (`schema.py`), or the API's JSON. Out: frozen models. Called by the archive, the API, the command line,
the reports and the simulation. Knows no database.
"""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from components.governor.rule import Cause, Choice, Reason, TrainingRun


class RulingChange(BaseModel):
    """One ruling in the life of an episode."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    at: datetime
    """By the governor's clock."""
    recorded_at: datetime
    """By the wall clock."""
    choice: Choice
    reason: Reason
    words: str


class RulingRecord(BaseModel):
    """One episode and the ruling in force."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: int
    problem: str
    cause: Cause
    name: str
    """Name of the alert or of the person; `schedule` for a due time."""
    fingerprint: str
    starts_at: str
    opened_at: datetime
    received_at: datetime
    is_firing: bool
    repeats: int
    cleared_at: datetime | None
    choice: Choice
    reason: Reason
    words: str
    decided_at: datetime | None
    """By the governor's clock; None before the first ruling."""
    note: str | None
    run: TrainingRun | None
    history: tuple[RulingChange, ...] = ()
    """The oldest first; empty in a list of rulings."""

    @model_validator(mode="before")
    @classmethod
    def _complete_run(cls, fields: Any) -> Any:
        """Give the run its episode and its problem, which its JSON leaves out because the record has them."""
        if not isinstance(fields, dict) or not isinstance(fields.get("run"), dict):
            return fields
        known = {"episode_id": fields.get("id"), "problem": fields.get("problem")}
        return {**fields, "run": {**known, **fields["run"]}}

    @property
    def ruled_at(self) -> datetime:
        """Time of the ruling in force; before the first one, time of the opening."""
        return self.decided_at or self.opened_at
