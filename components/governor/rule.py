"""Decide what becomes of one episode: run, hold, escalate or close. A pure rule; it reads no clock and no database.

In come an `Episode` (an alert that fires, a due moment of the schedule, a person's wish), the `Policy` of the contract
and the `Facts` of the moment; out goes a `Verdict`. Called by the governor's worker, which stores the verdict and
starts what it says. The words of each verdict are in `govern_words.py`.

Invariants, whatever comes in
    an episode runs at most once; no run while another is in flight, within the cooldown, or beyond the daily budget
    `maximum_failures` releases in a row without a promotion: a person is asked, nothing runs but on a person's word
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from components.base.contract.problem import Problem

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
# Alertmanager and Grafana repeat what fires every 4 hours; six missed repeats are no accident.
SILENCE_HOURS = 24.0


@dataclass(frozen=True)
class Policy:
    """What the contract says about retraining, and whom to ask."""

    problem: str
    cooldown_hours: float
    daily_budget: int
    minimum_new_labels: int
    maximum_failures: int
    clear_within_hours: float
    contact: str
    escalation: str

    @classmethod
    def of(cls, problem: Problem) -> "Policy":
        """Take the policy out of a contract."""
        told = problem.retraining
        return cls(
            problem=problem.name,
            cooldown_hours=told.cooldown_hours,
            daily_budget=told.daily_budget,
            minimum_new_labels=told.minimum_new_labels,
            maximum_failures=told.maximum_failures,
            clear_within_hours=told.clear_within_hours,
            contact=problem.owner.contact,
            escalation=problem.owner.escalation,
        )


@dataclass(frozen=True)
class Episode:
    """One reason to retrain, as it is stored."""

    id: int
    problem: str
    cause: Cause
    name: str
    """Name of the alert, `schedule`, or who asked."""
    fingerprint: str
    starts_at: str
    """With problem and fingerprint what makes the episode one: an alert that fires again begins anew."""
    opened_at: datetime
    """When it first came, by the governor's clock."""
    is_firing: bool
    """False: the alert has cleared, or a newer moment of the schedule has come."""
    silent_hours: float = 0.0
    """Hours of the wall clock since it was last heard of; 0 for what is no alert."""


@dataclass(frozen=True)
class Run:
    """One run of the training pipeline that the governor decided on; moments are of the governor's clock."""

    key: str
    episode_id: int
    problem: str
    as_of: datetime
    state: RunState
    planned_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    version: str | None = None
    reasons: tuple[str, ...] = ()

    @property
    def began_at(self) -> datetime:
        """When it started; when it was planned, as long as it has not."""
        return self.started_at or self.planned_at


@dataclass(frozen=True)
class LabelFacts:
    """Labels that have come since the model in charge was trained, by the newest monitoring result."""

    count: int | None
    """None: not known, for the reason in `gap`."""
    version: str | None = None
    trained_as_of: datetime | None = None
    gap: Literal["none_yet", "out_of_reach", "older_than_model"] | None = None
    broken: str | None = None
    """What is critically wrong with the features as served, in words; None when nothing is."""


@dataclass(frozen=True)
class Facts:
    """What is so at the moment of the decision."""

    now: datetime
    runs: Sequence[Run]
    """Of the problem, the newest plan first."""
    labels: LabelFacts
    paused_by: str | None = None
    answered_at: datetime | None = None
    """When a person last said go on: failures and promotions before it count no more."""


@dataclass(frozen=True)
class Verdict:
    """What becomes of the episode; `run` means the run or the moment that the words are about."""

    choice: Choice
    reason: Reason
    run: Run | None = None
    until: datetime | None = None
    count: int | None = None


def decide(episode: Episode, policy: Policy, facts: Facts) -> Verdict | None:
    """Return what becomes of the episode now; None while its own run is in flight."""
    own = next((run for run in facts.runs if run.episode_id == episode.id), None)
    if own:
        return None if own.state in IN_FLIGHT else _review(episode, own, policy, facts)
    return _close(episode, facts) or _restrain(episode, policy, facts) or Verdict("run", "worth_it")


def count_failures(facts: Facts) -> int:
    """Count the runs that ended without a promotion since the last one that did, or since a person said go on."""
    count = 0
    for run in _ended_since_answer(facts):
        if run.state == "promoted":
            break
        count += 1
    return count


def count_today(runs: Sequence[Run], now: datetime) -> int:
    """Count the runs of this day of UTC, whether planned or started in it."""
    return sum(now.date() in (run.planned_at.date(), run.began_at.date()) for run in runs)


def find_in_flight(facts: Facts) -> Run | None:
    """Return the run that is planned or running."""
    return next((run for run in facts.runs if run.state in IN_FLIGHT), None)


def _review(episode: Episode, run: Run, policy: Policy, facts: Facts) -> Verdict:
    """Judge an episode whose run has ended: did it help?"""
    if not episode.is_firing:
        return Verdict("closed", "cleared" if episode.cause == "alert" else "finished", run)
    failures = count_failures(facts)
    if run.state != "promoted" and failures >= policy.maximum_failures:
        return Verdict("escalate", "maximum_failures", run, count=failures)
    if episode.cause != "alert":
        return Verdict("closed", "finished", run)
    # What was not promoted cannot silence the alert: a person is asked as soon as another run could have come.
    patience = policy.clear_within_hours if run.state == "promoted" else policy.cooldown_hours
    until = (run.ended_at or run.began_at) + timedelta(hours=patience)
    if facts.now > until:
        return Verdict("escalate", "not_cleared", run, until)
    return Verdict("run", "on_trial", run, until)


def _close(episode: Episode, facts: Facts) -> Verdict | None:
    if not episode.is_firing:
        return Verdict("closed", "superseded" if episode.cause == "schedule" else "cleared")
    if episode.cause == "alert":
        return None
    answers = [run for run in facts.runs if run.planned_at >= episode.opened_at and run.state in _TRAINED]
    return Verdict("closed", "answered", answers[0]) if answers else None


_TRAINED: tuple[RunState, ...] = ("promoted", "held", "refused")


def _restrain(episode: Episode, policy: Policy, facts: Facts) -> Verdict | None:
    """Return why the episode must not run now; the reason that a person would want to hear first."""
    in_flight = find_in_flight(facts)
    if facts.paused_by is not None:
        return Verdict("hold", "paused")
    if in_flight:
        return Verdict("hold", "run_in_flight", in_flight)
    failures = count_failures(facts)
    if failures >= policy.maximum_failures and episode.cause != "person":
        return Verdict("escalate", "maximum_failures", facts.runs[0], count=failures)
    waits = _wait_for_alert(episode, policy, facts) or _rest(policy, facts)
    return waits or _mend_first(episode, facts) or _want_labels(episode, policy, facts)


def _wait_for_alert(episode: Episode, policy: Policy, facts: Facts) -> Verdict | None:
    """Give a promotion the time to silence the alerts that were there before it; a silent alert may not fire at all."""
    if episode.cause != "alert":
        return None
    if episode.silent_hours > SILENCE_HOURS:
        return Verdict("hold", "not_repeated")
    for run in _ended_since_answer(facts):
        if run.state == "promoted" and run.ended_at and run.ended_at >= episode.opened_at:
            until = run.ended_at + timedelta(hours=policy.clear_within_hours)
            choice: Choice = "escalate" if facts.now > until else "hold"
            return Verdict(choice, "not_cleared" if choice == "escalate" else "on_trial", run, until)
    return None


def _rest(policy: Policy, facts: Facts) -> Verdict | None:
    for run in facts.runs:
        until = run.began_at + timedelta(hours=policy.cooldown_hours)
        if facts.now < until:
            return Verdict("hold", "cooldown", run, until)
    today = count_today(facts.runs, facts.now)
    return Verdict("hold", "daily_budget", count=today) if today >= policy.daily_budget else None


def _mend_first(episode: Episode, facts: Facts) -> Verdict | None:
    """Hold while the features are broken: a model would learn to live with it; a person may know better."""
    return Verdict("hold", "inputs_broken") if facts.labels.broken and episode.cause != "person" else None


def _want_labels(episode: Episode, policy: Policy, facts: Facts) -> Verdict | None:
    """Hold what would train on nearly the same rows; a person may know better, a first model has no labels yet."""
    labels = facts.labels
    if episode.cause == "person" or policy.minimum_new_labels == 0:
        return None
    if labels.count is None:
        is_first = episode.cause == "schedule" and labels.gap == "none_yet"
        return None if is_first else Verdict("hold", "labels_unknown")
    too_few = labels.count < policy.minimum_new_labels
    return Verdict("hold", "too_few_labels", count=labels.count) if too_few else None


def _ended_since_answer(facts: Facts) -> list[Run]:
    """Return the runs that have ended and that no person has answered for yet, the newest first."""
    answered = facts.answered_at
    return [
        run
        for run in facts.runs
        if run.state not in IN_FLIGHT and (answered is None or (run.ended_at or run.began_at) > answered)
    ]
