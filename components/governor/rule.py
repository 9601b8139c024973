"""Rule on one episode: run, hold, escalate or close. A pure function of its arguments: no clock, no database.

In: an `Episode` (an alert that fires, a due time of the schedule, a request of a person), the contract's `Retraining`
and the `Facts`. Out: a `Ruling`. Called by the governor's worker, which stores the ruling and starts the run that it
orders. `words.py` explains each ruling in a sentence.

Invariants, for all inputs
    an episode runs at most once; no run while another is in flight, within the cooldown, or beyond the daily budget
    `maximum_failures` releases in a row without a promotion: escalate; after that only a request of a person runs
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from components.base.contract.monitoring import Retraining

Cause = Literal["alert", "schedule", "person"]
Choice = Literal["received", "run", "hold", "escalate", "closed"]
RunState = Literal["planned", "running", "promoted", "held", "refused", "failed"]
Reason = Literal[
    "received",
    "worth_it",
    "paused",
    "run_in_flight",
    "cooldown",
    "daily_budget",
    "too_few_labels",
    "labels_unknown",
    "inputs_broken",
    "not_repeated",
    "on_trial",
    "maximum_failures",
    "not_cleared",
    "cleared",
    "answered",
    "superseded",
    "finished",
]
IN_FLIGHT: tuple[RunState, ...] = ("planned", "running")
# Alertmanager and Grafana repeat a firing alert every 4 hours; six missed repeats are no accident.
SILENCE_HOURS = 24.0


class Episode(BaseModel):
    """One reason to retrain, as it is stored."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: int
    problem: str
    cause: Cause
    name: str
    """Name of the alert or of the person; `schedule` for a due time."""
    fingerprint: str
    starts_at: str
    """Unique with problem and fingerprint: an alert that fires again opens a new episode."""
    opened_at: datetime
    """By the governor's clock."""
    heard_at: datetime
    """When a sender last repeated the alert, by the wall clock."""
    is_firing: bool
    """False: the alert has cleared, or a newer due time has come."""


class TrainingRun(BaseModel):
    """One run of the training pipeline that the governor ordered. Times are of the governor's clock."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    key: str
    episode_id: int = Field(exclude=True)
    problem: str = Field(exclude=True)
    state: RunState
    as_of: datetime
    planned_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    version: str | None = None
    reasons: tuple[str, ...] = ()

    @property
    def began_at(self) -> datetime:
        """Time of the start; before it, time of the plan."""
        return self.started_at or self.planned_at


@dataclass(frozen=True)
class LabelFacts:
    """Labels that have arrived since the champion was trained, by the newest monitoring result."""

    count: int | None
    """None: unknown, for the reason in `gap`."""
    version: str | None = None
    trained_as_of: datetime | None = None
    gap: Literal["none_yet", "out_of_reach", "older_than_model"] | None = None
    broken: str | None = None
    """Critical findings on the features as served; None without one."""


@dataclass(frozen=True)
class Facts:
    """What is known at the time of the ruling."""

    now: datetime
    """By the governor's clock."""
    wall: datetime
    """By the wall clock."""
    runs: Sequence[TrainingRun]
    """Of the problem, the newest plan first."""
    labels: LabelFacts
    paused_by: str | None = None
    answered_at: datetime | None = None
    """When a person last resumed retraining: failures and promotions before it do not count."""


@dataclass(frozen=True)
class Ruling:
    """What becomes of the episode, with the run, the time and the number that are the reason."""

    choice: Choice
    reason: Reason
    run: TrainingRun | None = None
    until: datetime | None = None
    count: int | None = None
    words: str = ""
    """The ruling in a sentence; `decide` leaves it empty."""

    @property
    def orders_run(self) -> bool:
        """Whether it orders a run now; an episode whose run was ordered before keeps the choice `run`."""
        return self.reason == "worth_it"


def decide(episode: Episode, retraining: Retraining, facts: Facts) -> Ruling | None:
    """Return the ruling on the episode; None while its own run is in flight."""
    own = next((run for run in facts.runs if run.episode_id == episode.id), None)
    if own:
        return None if own.state in IN_FLIGHT else _review(episode, own, retraining, facts)
    if not episode.is_firing:
        return Ruling("closed", "superseded" if episode.cause == "schedule" else "cleared")
    trained = (run for run in facts.runs if run.state in ("promoted", "held", "refused"))
    answer = next((run for run in trained if run.planned_at >= episode.opened_at), None)
    if answer and episode.cause != "alert":
        return Ruling("closed", "answered", answer)
    return _hold(episode, retraining, facts) or Ruling("run", "worth_it")


def count_failures(facts: Facts) -> int:
    """Count the runs without a promotion that ended since the last promotion, or since a person resumed retraining."""
    count = 0
    for run in _list_ended(facts):
        if run.state == "promoted":
            break
        count += 1
    return count


def count_today(runs: Sequence[TrainingRun], now: datetime) -> int:
    """Count the runs that were planned or started on this day in UTC."""
    return sum(now.date() in (run.planned_at.date(), run.began_at.date()) for run in runs)


def count_left(runs: Sequence[TrainingRun], retraining: Retraining, now: datetime) -> int:
    """Count the runs that the daily budget still allows."""
    return max(0, retraining.daily_budget - count_today(runs, now))


def _review(episode: Episode, run: TrainingRun, retraining: Retraining, facts: Facts) -> Ruling:
    """Rule on an episode whose own run has ended: has it helped?"""
    if not episode.is_firing:
        return Ruling("closed", "cleared" if episode.cause == "alert" else "finished", run)
    failures = count_failures(facts)
    if run.state != "promoted" and failures >= retraining.maximum_failures:
        return Ruling("escalate", "maximum_failures", run, count=failures)
    if episode.cause != "alert":
        return Ruling("closed", "finished", run)
    # A release that was not promoted cannot clear the alert: escalate as soon as another run could have started.
    patience = retraining.clear_within_hours if run.state == "promoted" else retraining.cooldown_hours
    until = (run.ended_at or run.began_at) + timedelta(hours=patience)
    if facts.now > until:
        return Ruling("escalate", "not_cleared", run, until)
    return Ruling("run", "on_trial", run, until)


def _hold(episode: Episode, retraining: Retraining, facts: Facts) -> Ruling | None:
    """Return the first reason against a run now, the one that a person should know first."""
    if facts.paused_by is not None:
        return Ruling("hold", "paused")
    in_flight = next((run for run in facts.runs if run.state in IN_FLIGHT), None)
    if in_flight:
        return Ruling("hold", "run_in_flight", in_flight)
    failures = count_failures(facts)
    if failures >= retraining.maximum_failures and episode.cause != "person":
        return Ruling("escalate", "maximum_failures", facts.runs[0], count=failures)
    return _wait_for_time(episode, retraining, facts) or _wait_for_data(episode, retraining, facts)


def _wait_for_time(episode: Episode, retraining: Retraining, facts: Facts) -> Ruling | None:
    """Give a promotion time to clear the alerts that are older, and keep the cooldown and the daily budget."""
    if episode.cause == "alert":
        if facts.wall - episode.heard_at > timedelta(hours=SILENCE_HOURS):
            # An alert without repeats may have ended.
            return Ruling("hold", "not_repeated")
        promoted = (run for run in _list_ended(facts) if run.state == "promoted")
        newer = next((run for run in promoted if run.ended_at and run.ended_at >= episode.opened_at), None)
        if newer and newer.ended_at:
            until = newer.ended_at + timedelta(hours=retraining.clear_within_hours)
            if facts.now > until:
                return Ruling("escalate", "not_cleared", newer, until)
            return Ruling("hold", "on_trial", newer, until)
    for run in facts.runs:
        until = run.began_at + timedelta(hours=retraining.cooldown_hours)
        if facts.now < until:
            return Ruling("hold", "cooldown", run, until)
    today = count_today(facts.runs, facts.now)
    return Ruling("hold", "daily_budget", count=today) if today >= retraining.daily_budget else None


def _wait_for_data(episode: Episode, retraining: Retraining, facts: Facts) -> Ruling | None:
    """Hold a run on broken features, or on nearly the same rows as before; a person may overrule both."""
    labels = facts.labels
    if episode.cause == "person":
        return None
    if labels.broken:
        return Ruling("hold", "inputs_broken")
    if retraining.minimum_new_labels == 0:
        return None
    if labels.count is None:
        # Before the first model there are neither predictions nor labels: the schedule trains it.
        is_first = episode.cause == "schedule" and labels.gap == "none_yet"
        return None if is_first else Ruling("hold", "labels_unknown")
    too_few = labels.count < retraining.minimum_new_labels
    return Ruling("hold", "too_few_labels", count=labels.count) if too_few else None


def _list_ended(facts: Facts) -> list[TrainingRun]:
    """Return the runs that ended since a person last resumed retraining, the newest first."""
    since = facts.answered_at
    ended = [run for run in facts.runs if run.state not in IN_FLIGHT]
    return [run for run in ended if since is None or (run.ended_at or run.began_at) > since]
