"""Keep rulings and runs so that a kill at any point loses and doubles nothing.

In: the rule, starts and ends of runs. Out: episodes to rule on, runs to start and to follow. Called by the
governor's worker; decides nothing. One method is one transaction.

A ruling that orders a run and the planned run are committed together, before anything starts (an outbox): after a
crash the next pass finds the planned run, checks whether it was started, and starts it if not.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from components.governor.inbox import Times
from components.governor.rule import IN_FLIGHT, Choice, Episode, Ruling, TrainingRun
from components.governor.schema import Database, EpisodeRow, ProblemRow, RulingRow, RunRow

# More than any rule looks back at: a day's budget and the failures in a row.
_RUNS = 200
_OPEN: tuple[Choice, ...] = ("received", "run", "hold", "escalate")


@dataclass(frozen=True)
class Ledger:
    """What the database knows of a problem when it rules on one of its episodes."""

    paused_by: str | None
    answered_at: datetime | None
    runs: Sequence[TrainingRun]
    """The newest plan first."""


Rule = Callable[[Episode, Ledger], Ruling | None]


class RulingStore:
    """The part of the database that the worker writes."""

    def __init__(self, database: Database) -> None:
        """Take the governor's database."""
        self._database = database

    def list_open(self, problem: str) -> list[tuple[int, bool]]:
        """Return the episodes that may still change, the oldest first: their ids, and whether each has a run."""
        chosen = select(EpisodeRow.id, RunRow.key).outerjoin(EpisodeRow.run).order_by(EpisodeRow.id)
        chosen = chosen.where(EpisodeRow.problem == problem, EpisodeRow.choice.in_(_OPEN))
        with self._database.reading() as session:
            return [(row.id, row.key is not None) for row in session.execute(chosen)]

    def settle(self, episode_id: int, rule: Rule, times: Times) -> Ruling | None:
        """Rule on an episode; store the ruling and the run that it orders.

        The problem's row is locked meanwhile, so that two rulings never use the same budget. Returns None without a
        ruling, or when only the words have changed: history leaves that out.
        """
        with self._database.writing() as session:
            row = session.get_one(EpisodeRow, episode_id)
            ledger = _read_ledger(session, row.problem, is_locked=True)
            # Read again: another governor may have ruled while this one waited for the lock.
            session.refresh(row)
            ruling = rule(Episode.model_validate(row), ledger) if row.choice in _OPEN else None
            if ruling is None:
                return None
            is_new = (row.choice, row.reason) != (ruling.choice, ruling.reason)
            if is_new or row.words != ruling.words:
                row.choice, row.reason, row.words = ruling.choice, ruling.reason, ruling.words
                row.decided_at = times.now
            if is_new:
                ruled = {"choice": ruling.choice, "reason": ruling.reason, "words": ruling.words}
                session.add(RulingRow(episode_id=row.id, at=times.now, recorded_at=times.wall, **ruled))
            if ruling.orders_run:
                # The same episode has the same key, even in a new database.
                identity = f"{row.problem}\n{row.fingerprint}\n{row.starts_at}"
                key = f"{row.problem}-{row.cause}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
                run = RunRow(key=key, episode_id=row.id, problem=row.problem, as_of=times.now, state="planned")
                run.planned_at, run.planned_wall = times.now, times.wall
                session.add(run)
            return ruling if is_new else None

    def begin_run(self, key: str, start: Callable[[], None], times: Times) -> bool:
        """Start a planned run while its row is locked; return False if it was started before.

        An error of `start` passes through, and the run stays planned.
        """
        with self._database.writing() as session:
            run = session.scalars(select(RunRow).where(RunRow.key == key).with_for_update()).one()
            if run.state != "planned":
                return False
            start()
            run.state, run.started_at, run.started_wall = "running", times.now, times.wall
            return True

    def end_run(self, run: TrainingRun, now: datetime) -> None:
        """Record the state, version and reasons with which a run has ended; a second end changes nothing."""
        change = {"state": run.state, "version": run.version, "reasons": run.reasons, "ended_at": now}
        with self._database.writing() as session:
            session.execute(update(RunRow).where(RunRow.key == run.key, RunRow.state.in_(IN_FLIGHT)).values(**change))

    def find_in_flight(self, problem: str) -> tuple[TrainingRun, datetime] | None:
        """Return the run that is planned or running, with the wall clock's time of its start, or else of its plan."""
        chosen = select(RunRow).where(RunRow.problem == problem, RunRow.state.in_(IN_FLIGHT))
        with self._database.reading() as session:
            row = session.scalars(chosen).first()
            return (TrainingRun.model_validate(row), row.started_wall or row.planned_wall) if row else None

    def read_ledger(self, problem: str) -> Ledger:
        """Return what is known of a problem now."""
        with self._database.reading() as session:
            return _read_ledger(session, problem, is_locked=False)


def _read_ledger(session: Session, problem: str, is_locked: bool) -> Ledger:
    row = session.get_one(ProblemRow, problem, with_for_update=is_locked)
    newest = select(RunRow).where(RunRow.problem == problem).order_by(RunRow.number.desc()).limit(_RUNS)
    runs = [TrainingRun.model_validate(run) for run in session.scalars(newest)]
    return Ledger(row.paused_by, row.answered_at, runs)
