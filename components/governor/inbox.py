"""Take in the reasons for a run: alerts, due times of the schedule, requests of persons; and pause and resume.

In: signals, times, names. Out: episodes in the database, each once. Called by the app, the worker and the command
line; decides nothing. One method is one transaction, and after its return everything is stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from components.governor.rule import Cause
from components.governor.schema import Database, EpisodeRow, ProblemRow

SignalResult = Literal["accepted", "duplicate", "cleared", "late"]
UNKNOWN_START = "0001-01-01T00:00:00.000000+00:00"
"""Go's time zero: the sender does not know when the alert began."""


@dataclass(frozen=True)
class Signal:
    """One alert of a notification that may start a run."""

    problem: str
    name: str
    fingerprint: str
    """Of the labels, by one sender: another one neither repeats nor ends what this one fires."""
    starts_at: str
    """ISO 8601 in UTC with microseconds, so that texts sort like times."""
    is_firing: bool


@dataclass(frozen=True)
class Times:
    """The same time on two clocks."""

    now: datetime
    """By the governor's clock, which a simulation sets: rulings use it."""
    wall: datetime
    """By the wall clock, which people and Prometheus use."""


class Inbox:
    """The part of the database that callers from outside write."""

    def __init__(self, database: Database) -> None:
        """Take the governor's database."""
        self._database = database

    def add_problem(self, name: str, now: datetime) -> None:
        """Add a problem unless it is known; its schedule counts from now on."""
        with self._database.writing() as session:
            self._database.insert_once(session, ProblemRow, name=name, schedule_seen_at=now)

    def record_signals(self, signals: Sequence[Signal], times: Times) -> list[SignalResult]:
        """Store the alerts of one notification; return what each was, by problem, fingerprint and start."""
        # One order for all writers, or two of them would wait for each other's rows.
        ordered = sorted(signals, key=lambda signal: (signal.problem, signal.fingerprint, signal.starts_at))
        with self._database.writing() as session:
            return [self._record(session, signal, times) for signal in ordered]

    def open_due(self, problem: str, due: datetime, times: Times) -> bool:
        """Open the episode of a due time and close those before it; return False if it was opened before."""
        with self._database.writing() as session:
            row = session.get_one(ProblemRow, problem, with_for_update=True)
            if due <= row.schedule_seen_at:
                return False
            row.schedule_seen_at = times.now
            _end(session, (EpisodeRow.problem == problem) & (EpisodeRow.cause == "schedule"), times.now)
            identity = {"name": "schedule", "fingerprint": "schedule", "starts_at": due.isoformat()}
            return self._open(session, problem, "schedule", times, **identity)

    def open_request(self, problem: str, person: str, note: str, times: Times) -> int:
        """Open the episode of a person's request and return its id."""
        identity = {"fingerprint": f"person:{person}", "starts_at": times.wall.isoformat()}
        with self._database.writing() as session:
            self._open(session, problem, "person", times, name=person, note=note, **identity)
            return session.scalars(select(EpisodeRow.id).filter_by(problem=problem, **identity)).one()

    def pause(self, problem: str, person: str, note: str) -> None:
        """Start no run of the problem until a person resumes it."""
        with self._database.writing() as session:
            row = session.get_one(ProblemRow, problem)
            row.paused_by, row.pause_reason = person, note

    def resume(self, problem: str, person: str, now: datetime) -> None:
        """End the pause; failures until now do not count any more."""
        with self._database.writing() as session:
            row = session.get_one(ProblemRow, problem)
            row.paused_by = row.pause_reason = None
            row.answered_by, row.answered_at = person, now

    def read_schedule_seen_at(self, problem: str) -> datetime:
        """Return the time up to which due times are handled."""
        with self._database.reading() as session:
            return session.get_one(ProblemRow, problem).schedule_seen_at

    def _record(self, session: Session, signal: Signal, times: Times) -> SignalResult:
        same = (EpisodeRow.problem == signal.problem) & (EpisodeRow.fingerprint == signal.fingerprint)
        if signal.starts_at == UNKNOWN_START:
            # Of what fires, it repeats or ends the newest; else it begins or ended now.
            which = same & EpisodeRow.is_firing if signal.is_firing else same
            newest = session.scalars(select(func.max(EpisodeRow.starts_at)).where(which)).one()
            signal = replace(signal, starts_at=newest or times.wall.isoformat(timespec="microseconds"))
        record = self._fire if signal.is_firing else self._clear
        return record(session, signal, same, times)

    def _fire(self, session: Session, signal: Signal, same: ColumnElement[bool], times: Times) -> SignalResult:
        this = same & (EpisodeRow.starts_at == signal.starts_at)
        if not self._open_alert(session, signal, this, times):
            # An alert that has ended stays ended.
            is_open = session.scalars(select(EpisodeRow.is_firing).where(this)).one()
            heard = {"heard_at": times.wall} if is_open else {}
            session.execute(update(EpisodeRow).where(this).values(repeats=EpisodeRow.repeats + 1, **heard))
            return "duplicate" if is_open else "late"
        newest = session.scalars(select(func.max(EpisodeRow.starts_at)).where(same)).one()
        if newest > signal.starts_at:
            _end(session, this, times.now)
            return "late"
        # A new start for the same labels: the alert before has ended, even if no "resolved" message arrived.
        _end(session, same & (EpisodeRow.starts_at < signal.starts_at), times.now)
        return "accepted"

    def _clear(self, session: Session, signal: Signal, same: ColumnElement[bool], times: Times) -> SignalResult:
        """End every episode that began until the signal's start, which Grafana 12 moves to the end of the alert."""
        until = same & (EpisodeRow.starts_at <= signal.starts_at)
        if _end(session, until, times.now):
            return "cleared"
        # An end that comes before its beginning is kept, so that the beginning starts nothing.
        this = same & (EpisodeRow.starts_at == signal.starts_at)
        is_kept = self._open_alert(session, signal, this, times, is_firing=False, cleared_at=times.now)
        # Another transaction may have opened it meanwhile.
        return "cleared" if is_kept or _end(session, until, times.now) else "duplicate"

    def _open_alert(
        self, session: Session, signal: Signal, this: ColumnElement[bool], times: Times, **values: Any
    ) -> bool:
        """Insert the episode of an alert unless it is there; return whether it is new."""
        # Looked up first, so that repeats use up no ids; the insert decides between two that come at once.
        if session.scalar(select(EpisodeRow.id).where(this)) is not None:
            return False
        identity = {"name": signal.name, "fingerprint": signal.fingerprint, "starts_at": signal.starts_at}
        return self._open(session, signal.problem, "alert", times, **identity, **values)

    def _open(self, session: Session, problem: str, cause: Cause, times: Times, **values: Any) -> bool:
        """Insert an episode unless it is there; return whether it is new."""
        received = {"opened_at": times.now, "received_at": times.wall, "heard_at": times.wall}
        row = {"problem": problem, "cause": cause, "is_firing": True, **received, **values}
        return self._database.insert_once(session, EpisodeRow, **row)


def _end(session: Session, which: ColumnElement[bool], now: datetime) -> bool:
    """End the episodes among these that fire; return whether there was one."""
    change = {"is_firing": False, "cleared_at": now}
    ended = update(EpisodeRow).where(which, EpisodeRow.is_firing).values(**change).returning(EpisodeRow.id)
    return bool(session.scalars(ended).all())
