"""Read what was decided: for the API, the command line and the metrics.

In: the governor's database. Out: `DecisionRecord`s and counts. Writes nothing and decides nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Row, func, select

from components.governor.rule import Cause, Choice, Reason, RunState
from components.governor.schema import Database, episodes, history, problems, runs
from components.governor.store import read_run


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Change(_Frozen):
    """One step in the life of a decision."""

    at: datetime
    """By the governor's clock."""
    recorded_at: datetime
    """By the wall clock."""
    choice: Choice
    reason: Reason
    words: str


class RunRecord(_Frozen):
    """The run that a decision started."""

    key: str
    state: RunState
    as_of: datetime
    planned_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    version: str | None
    reasons: tuple[str, ...]


class DecisionRecord(_Frozen):
    """One episode and what was decided about it."""

    id: int
    problem: str
    cause: Cause
    name: str
    fingerprint: str
    starts_at: str
    opened_at: datetime
    received_at: datetime
    is_firing: bool
    repeats: int
    cleared_at: datetime | None
    decision: Choice
    reason: Reason
    words: str
    decided_at: datetime | None
    note: str | None
    run: RunRecord | None
    history: tuple[Change, ...]


class Archive:
    """The part of the database that readers see."""

    def __init__(self, database: Database) -> None:
        """Take the governor's database."""
        self._database = database

    def list_decisions(self, problem: str | None = None, limit: int = 100) -> list[DecisionRecord]:
        """Return decisions with their runs, the newest first; their history is left out."""
        chosen = select(episodes).order_by(episodes.c.id.desc()).limit(limit)
        chosen = chosen.where(episodes.c.problem == problem) if problem else chosen
        with self._database.reading() as connection:
            rows = connection.execute(chosen).all()
            found = connection.execute(select(runs).where(runs.c.episode_id.in_([row.id for row in rows])))
            by_episode = {run.episode_id: run for run in found}
        return [_decision(row, by_episode.get(row.id), ()) for row in rows]

    def find_decision(self, episode_id: int) -> DecisionRecord | None:
        """Return one decision with its history; None when there is none."""
        changes = select(history).where(history.c.episode_id == episode_id).order_by(history.c.id)
        with self._database.reading() as connection:
            row = connection.execute(select(episodes).where(episodes.c.id == episode_id)).first()
            run = connection.execute(select(runs).where(runs.c.episode_id == episode_id)).first()
            return _decision(row, run, connection.execute(changes).all()) if row else None

    def count_decisions(self) -> dict[tuple[str, str, str], int]:
        """Count the changes of decisions by problem, choice and reason."""
        columns = (episodes.c.problem, history.c.choice, history.c.reason)
        joined = history.join(episodes, history.c.episode_id == episodes.c.id)
        counted = select(*columns, func.count()).select_from(joined).group_by(*columns)
        with self._database.reading() as connection:
            return {(str(a), str(b), str(c)): int(n) for a, b, c, n in connection.execute(counted)}

    def count_runs(self) -> dict[tuple[str, str], int]:
        """Count the runs by problem and state."""
        counted = select(runs.c.problem, runs.c.state, func.count()).group_by(runs.c.problem, runs.c.state)
        with self._database.reading() as connection:
            return {(str(a), str(b)): int(n) for a, b, n in connection.execute(counted)}

    def count_escalations(self) -> dict[str, int]:
        """Count the decisions that ask for a person now, by problem."""
        counted = select(episodes.c.problem, func.count()).where(episodes.c.choice == "escalate")
        with self._database.reading() as connection:
            return {str(a): int(n) for a, n in connection.execute(counted.group_by(episodes.c.problem))}

    def check(self) -> None:
        """Return when the database answers; raises what `Database` raises when not."""
        with self._database.reading() as connection:
            connection.execute(select(func.count()).select_from(problems)).scalar_one()


def _decision(row: Row[Any], run: Row[Any] | None, changes: Sequence[Row[Any]]) -> DecisionRecord:
    fields = dict(row._mapping)
    choice = fields.pop("choice")
    return DecisionRecord(
        **{name: value for name, value in fields.items() if name != "heard_at"},
        decision=choice,
        run=_run(run) if run else None,
        history=tuple(Change(**{name: change._mapping[name] for name in Change.model_fields}) for change in changes),
    )


def _run(row: Row[Any]) -> RunRecord:
    run = read_run(row)
    return RunRecord(**{name: getattr(run, name) for name in RunRecord.model_fields})
