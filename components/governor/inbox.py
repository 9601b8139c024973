"""Take in what asks for a run: alerts, due moments of the schedule, wishes of persons; and a person's stop and go.

In: signals, moments, names. Out: episodes in the database, each once. Called by the app, the worker and the command
line; decides nothing. One method is one transaction, and what has returned is stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, func, select, update

from components.governor.rule import Cause
from components.governor.schema import Database, episodes, problems

SignalResult = Literal["accepted", "duplicate", "cleared", "late"]


@dataclass(frozen=True)
class Signal:
    """One alert of a notification that may start a run."""

    problem: str
    name: str
    fingerprint: str
    starts_at: str
    """ISO 8601 in UTC with microseconds, so that texts sort like moments."""
    is_firing: bool


@dataclass(frozen=True)
class Times:
    """Now, twice."""

    now: datetime
    """By the governor's clock, which a replay sets: what decisions reckon with."""
    wall: datetime
    """What people and Prometheus reckon with."""


class Inbox:
    """The part of the database that callers from outside write."""

    def __init__(self, database: Database) -> None:
        """Take the governor's database."""
        self._database = database

    def add_problem(self, name: str, now: datetime) -> None:
        """Know a problem; its schedule counts from now on."""
        with self._database.writing() as connection:
            self._database.insert_once(connection, problems, name=name, schedule_seen_at=now)

    def record_signals(self, signals: Sequence[Signal], times: Times) -> list[SignalResult]:
        """Store the alerts of one notification, in an order that keeps writers from deadlock; say what each was."""
        ordered = sorted(signals, key=lambda signal: (signal.problem, signal.fingerprint, signal.starts_at))
        with self._database.writing() as connection:
            return [self._record(connection, signal, times) for signal in ordered]

    def open_due(self, problem: str, due: datetime, times: Times) -> bool:
        """Open the episode of a due moment in the place of those before it; False when it was opened before."""
        with self._database.writing() as connection:
            chosen = select(problems.c.schedule_seen_at).where(problems.c.name == problem)
            if due <= connection.execute(chosen.with_for_update()).scalar_one():
                return False
            connection.execute(update(problems).where(problems.c.name == problem).values(schedule_seen_at=times.now))
            _end(connection, (episodes.c.problem == problem) & (episodes.c.cause == "schedule"), times.now)
            identity = {"name": "schedule", "fingerprint": "schedule", "starts_at": due.isoformat()}
            return self._open(connection, problem, "schedule", times, **identity)

    def open_wish(self, problem: str, person: str, note: str, times: Times) -> int:
        """Open the episode of a person's wish and return its id."""
        starts_at = times.wall.isoformat()
        identity = {"name": person, "fingerprint": f"person:{person}", "starts_at": starts_at}
        with self._database.writing() as connection:
            self._open(connection, problem, "person", times, note=note, **identity)
            same = (episodes.c.problem == problem) & (episodes.c.fingerprint == identity["fingerprint"])
            chosen = select(episodes.c.id).where(same & (episodes.c.starts_at == starts_at))
            return int(connection.execute(chosen).scalar_one())

    def pause(self, problem: str, person: str, note: str) -> None:
        """Start nothing for the problem until somebody resumes it."""
        self._change(problem, paused_by=person, pause_reason=note)

    def resume(self, problem: str, person: str, now: datetime) -> None:
        """Go on: no pause, and what failed so far counts no more."""
        self._change(problem, paused_by=None, pause_reason=None, answered_by=person, answered_at=now)

    def seen_schedule(self, problem: str) -> datetime:
        """Return the moment up to which the schedule has been looked at."""
        chosen = select(problems.c.schedule_seen_at).where(problems.c.name == problem)
        with self._database.reading() as connection:
            seen: datetime = connection.execute(chosen).scalar_one()
            return seen

    def _change(self, problem: str, **values: Any) -> None:
        with self._database.writing() as connection:
            connection.execute(update(problems).where(problems.c.name == problem).values(**values))

    def _record(self, connection: Connection, signal: Signal, times: Times) -> SignalResult:
        same = (episodes.c.problem == signal.problem) & (episodes.c.fingerprint == signal.fingerprint)
        this = same & (episodes.c.starts_at == signal.starts_at)
        identity = {"name": signal.name, "fingerprint": signal.fingerprint, "starts_at": signal.starts_at}
        # Looked up first, so that replays use up no ids; the insert decides between two that come at once.
        is_known = connection.execute(select(episodes.c.id).where(this)).first() is not None
        if is_known or not self._open(connection, signal.problem, "alert", times, **identity):
            return _repeat(connection, this, signal, times)
        newest = connection.execute(select(func.max(episodes.c.starts_at)).where(same)).scalar_one()
        if newest > signal.starts_at or not signal.is_firing:
            _end(connection, this, times.now)
            return "late" if signal.is_firing else "cleared"
        # One set of labels fires once: what fired before it has ended, though nobody was told.
        _end(connection, same & (episodes.c.starts_at < signal.starts_at), times.now)
        return "accepted"

    def _open(self, connection: Connection, problem: str, cause: Cause, times: Times, **values: Any) -> bool:
        """Insert an episode unless it is there; tell whether it is new."""
        moments = {"opened_at": times.now, "received_at": times.wall, "heard_at": times.wall}
        row = {"problem": problem, "cause": cause, "is_firing": True, **moments, **values}
        return self._database.insert_once(connection, episodes, **row)


def _repeat(
    connection: Connection, this: ColumnElement[bool], signal: Signal, times: Times
) -> Literal["duplicate", "late", "cleared"]:
    """Take note of an alert that is known; what has ended stays ended."""
    is_open = bool(connection.execute(select(episodes.c.is_firing).where(this)).scalar_one())
    if not signal.is_firing:
        _end(connection, this, times.now)
        return "cleared" if is_open else "duplicate"
    heard = {"heard_at": times.wall} if is_open else {}
    connection.execute(update(episodes).where(this).values(repeats=episodes.c.repeats + 1, **heard))
    return "duplicate" if is_open else "late"


def _end(connection: Connection, which: ColumnElement[bool], now: datetime) -> None:
    change = {"is_firing": False, "cleared_at": now}
    connection.execute(update(episodes).where(which & episodes.c.is_firing).values(**change))
