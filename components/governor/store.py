"""Keep decisions and runs so that a kill at any point loses and doubles nothing.

In: rulings of a judge, starts and ends of runs. Out: episodes to judge, runs to start and to follow. Called by the
governor's worker; decides nothing. One method is one transaction.

A decision to run and the run that it means are committed together, before anything starts (an outbox): whoever comes
next finds the planned run, looks whether it was started, and starts it if not.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from components.governor.inbox import Times
from components.governor.rule import IN_FLIGHT, Choice, Episode, Reason, Run
from components.governor.schema import Database, episodes, history, problems, runs

# More than any rule looks back at: a day's budget and the failures in a row.
_RUNS = 200
_OPEN: tuple[Choice, ...] = ("received", "run", "hold", "escalate")


@dataclass(frozen=True)
class Ledger:
    """What the database knows of a problem when one of its episodes is judged."""

    paused_by: str | None
    answered_at: datetime | None
    runs: Sequence[Run]
    """The newest plan first."""


@dataclass(frozen=True)
class Ruling:
    """What a judge says: the verdict in words, and `as_of` when the episode is to run."""

    choice: Choice
    reason: Reason
    words: str
    as_of: datetime | None = None


Judge = Callable[[Episode, Ledger], Ruling | None]


class DecisionStore:
    """The part of the database that the worker writes."""

    def __init__(self, database: Database) -> None:
        """Take the governor's database."""
        self._database = database

    def list_open(self, problem: str) -> list[tuple[int, bool]]:
        """Return the episodes that may still change, the oldest first: their ids, and whether each has run."""
        joined = episodes.outerjoin(runs, runs.c.episode_id == episodes.c.id)
        chosen = select(episodes.c.id, runs.c.key).select_from(joined).order_by(episodes.c.id)
        with self._database.reading() as connection:
            found = connection.execute(chosen.where(episodes.c.problem == problem, episodes.c.choice.in_(_OPEN)))
            return [(int(row.id), row.key is not None) for row in found]

    def settle(self, episode_id: int, judge: Judge, times: Times) -> Ruling | None:
        """Let the judge rule on an episode and store the ruling, with the run that it means; None: nothing new.

        The problem's row is locked meanwhile, so that two rulings never count on the same budget.
        """
        chosen = select(episodes).where(episodes.c.id == episode_id)
        with self._database.writing() as connection:
            problem = connection.execute(chosen).one().problem
            ledger = _ledger(connection, problem, locked=True)
            # Read again: another governor may have ruled while this one waited for the lock.
            row = connection.execute(chosen).one()
            if row.choice not in _OPEN:
                return None
            episode = _episode(row, times.wall)
            ruling = judge(episode, ledger)
            if ruling is None:
                return None
            is_new = _write_ruling(connection, row, ruling, times)
            if ruling.as_of is not None:
                _plan(connection, episode, ruling.as_of, times)
            return ruling if is_new else None

    def begin_run(self, key: str, start: Callable[[], None], times: Times) -> bool:
        """Start a planned run while its row is locked; False when it was begun before.

        What `start` raises is raised, and the run stays planned.
        """
        with self._database.writing() as connection:
            state = connection.execute(select(runs.c.state).where(runs.c.key == key).with_for_update()).scalar_one()
            if state != "planned":
                return False
            start()
            change = {"state": "running", "started_at": times.now, "started_wall": times.wall}
            connection.execute(update(runs).where(runs.c.key == key).values(**change))
            return True

    def end_run(self, run: Run, now: datetime) -> None:
        """Record the state, version and reasons with which a run has ended; a second end changes nothing."""
        change = {"state": run.state, "version": run.version, "reasons": json.dumps(run.reasons), "ended_at": now}
        with self._database.writing() as connection:
            unended = (runs.c.key == run.key) & runs.c.state.in_(IN_FLIGHT)
            connection.execute(update(runs).where(unended).values(**change))

    def find_in_flight(self, problem: str) -> tuple[Run, datetime] | None:
        """Return the run that is planned or running, with the wall clock's time of its start, or else of its plan."""
        chosen = select(runs).where(runs.c.problem == problem, runs.c.state.in_(IN_FLIGHT))
        with self._database.reading() as connection:
            row = connection.execute(chosen).first()
            return (read_run(row), row.started_wall or row.planned_wall) if row else None

    def read_ledger(self, problem: str) -> Ledger:
        """Return what is known of a problem now."""
        with self._database.reading() as connection:
            return _ledger(connection, problem, locked=False)


def name_run(episode: Episode) -> str:
    """Return the key of the episode's run: the same episode has the same key, even in a database made anew."""
    identity = f"{episode.problem}\n{episode.fingerprint}\n{episode.starts_at}"
    return f"{episode.problem}-{episode.cause}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def read_run(row: Row[Any]) -> Run:
    """Read a row of the table `runs`."""
    return Run(
        key=row.key,
        episode_id=row.episode_id,
        problem=row.problem,
        as_of=row.as_of,
        state=row.state,
        planned_at=row.planned_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        version=row.version,
        reasons=tuple(json.loads(row.reasons)),
    )


def _episode(row: Row[Any], wall: datetime) -> Episode:
    silent_hours = (wall - row.heard_at).total_seconds() / 3600 if row.cause == "alert" else 0.0
    return Episode(
        id=row.id,
        problem=row.problem,
        cause=row.cause,
        name=row.name,
        fingerprint=row.fingerprint,
        starts_at=row.starts_at,
        opened_at=row.opened_at,
        is_firing=row.is_firing,
        silent_hours=silent_hours,
    )


def _ledger(connection: Connection, problem: str, locked: bool) -> Ledger:
    chosen = select(problems).where(problems.c.name == problem)
    row = connection.execute(chosen.with_for_update() if locked else chosen).one()
    newest = select(runs).where(runs.c.problem == problem).order_by(runs.c.number.desc()).limit(_RUNS)
    return Ledger(row.paused_by, row.answered_at, [read_run(run) for run in connection.execute(newest)])


def _write_ruling(connection: Connection, row: Row[Any], ruling: Ruling, times: Times) -> bool:
    """Store a ruling; tell whether it is another decision or the same with other numbers, which history leaves out."""
    if (row.choice, row.reason, row.words) == (ruling.choice, ruling.reason, ruling.words):
        return False
    said = {"choice": ruling.choice, "reason": ruling.reason, "words": ruling.words}
    connection.execute(update(episodes).where(episodes.c.id == row.id).values(decided_at=times.now, **said))
    if (row.choice, row.reason) == (ruling.choice, ruling.reason):
        return False
    connection.execute(insert(history).values(episode_id=row.id, at=times.now, recorded_at=times.wall, **said))
    return True


def _plan(connection: Connection, episode: Episode, as_of: datetime, times: Times) -> None:
    identity = {"key": name_run(episode), "episode_id": episode.id, "problem": episode.problem}
    planned = {"state": "planned", "planned_at": times.now, "planned_wall": times.wall, "reasons": "[]"}
    connection.execute(insert(runs).values(**identity, **planned, as_of=as_of))
