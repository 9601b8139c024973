"""Put a verdict of the governor into words, with the numbers that made it.

In: episode, policy, facts and verdict. Out: one or two sentences. Called by the worker, which stores them beside the
verdict; the API, `make decisions` and the log show them as they are. Decides nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from components.base.text.wording import write_count, write_date
from components.governor.rule import SILENCE_HOURS, Episode, Facts, Policy, Reason, Run, Verdict

_OUTCOMES = {
    "planned": "is about to start",
    "running": "runs",
    "promoted": "promoted",
    "held": "held",
    "refused": "refused",
    "failed": "failed",
}
_GAPS = {
    "none_yet": "there is no monitoring result yet",
    "out_of_reach": "the object store did not give the newest monitoring result",
    "older_than_model": "the newest monitoring result is older than the model in charge",
    None: "the newest monitoring result does not tell",
}


@dataclass(frozen=True)
class _Case:
    episode: Episode
    policy: Policy
    facts: Facts
    verdict: Verdict


def explain(episode: Episode, policy: Policy, facts: Facts, verdict: Verdict) -> str:
    """Say what was decided, why, by which numbers, and what comes next."""
    body = _WORDS[verdict.reason](_Case(episode, policy, facts, verdict))
    if verdict.choice == "hold":
        return f"hold: {body} {_look_again(episode)}"
    if verdict.choice == "escalate":
        return f"escalate: {body} Asked: {policy.contact}; then {policy.escalation}."
    return f"{verdict.choice}: {body}"


def write_moment(moment: datetime | None) -> str:
    """Write a moment to the minute: `1 July 2013, 04:00 UTC`."""
    return f"{write_date(moment)}, {moment:%H:%M} UTC" if moment else "an unknown moment"


def _look_again(episode: Episode) -> str:
    if episode.cause == "alert":
        return "The alert is looked at again with each repeat and as time passes, while it fires."
    return "It is looked at again as time passes."


def _name(run: Run | None) -> str:
    if run is None:
        return "a run"
    version = f" of version {run.version}" if run.version else ""
    return f"run {run.key}{version}"


def _end(run: Run | None) -> str:
    return _OUTCOMES[run.state] if run else "unknown"


def _why(run: Run | None) -> str:
    """Return the first reason of a run, cut to what a row holds."""
    reason = " ".join(run.reasons[0].split()) if run and run.reasons else ""
    return f" {reason[:300]}" if reason else ""


def _worth_it(case: _Case) -> str:
    labels = case.facts.labels
    asked = f"{write_count(case.policy.minimum_new_labels)} are asked"
    came = f"{write_count(labels.count)} new labels have come{_since(case.facts)}, {asked}. " if labels.count else ""
    cause = {
        "alert": f"{case.episode.name} fires. ",
        "schedule": f"the schedule was due at {case.episode.starts_at[:16].replace('T', ' ')} UTC. ",
        "person": f"{case.episode.name} asked for it. ",
    }[case.episode.cause]
    budget = f"the day's budget of {case.policy.daily_budget} is not used up"
    return f"{cause}{came}No run is in flight, the cooldown is over, and {budget}."


def _since(facts: Facts) -> str:
    labels = facts.labels
    as_of = f" as of {write_date(labels.trained_as_of)}" if labels.trained_as_of else ""
    return f" since version {labels.version} was trained{as_of}" if labels.version else ""


def _paused(case: _Case) -> str:
    return f"retraining of {case.policy.problem} is paused by {case.facts.paused_by}, until somebody resumes it."


def _in_flight(case: _Case) -> str:
    run = case.verdict.run
    state = _OUTCOMES[run.state] if run else "runs"
    return f"{_name(run)} {state} since {write_moment(run.began_at if run else None)}; one runs at a time."


def _cooldown(case: _Case) -> str:
    began = write_moment(case.verdict.run.began_at if case.verdict.run else None)
    return (
        f"the last run began at {began}; after it come {case.policy.cooldown_hours:g} hours of rest, "
        f"until {write_moment(case.verdict.until)}."
    )


def _budget(case: _Case) -> str:
    return f"{case.verdict.count} of {case.policy.daily_budget} runs of {write_date(case.facts.now)} (UTC) are used."


def _too_few(case: _Case) -> str:
    wanted = write_count(case.policy.minimum_new_labels)
    return f"{write_count(case.verdict.count)} of {wanted} new labels have come{_since(case.facts)}."


def _unknown(case: _Case) -> str:
    wanted = write_count(case.policy.minimum_new_labels)
    return f"{wanted} new labels are asked, and how many have come is not known: {_GAPS[case.facts.labels.gap]}."


def _broken(case: _Case) -> str:
    return f"the features are broken, and a model must not learn from that: {case.facts.labels.broken}"


def _not_repeated(case: _Case) -> str:
    return (
        f"{case.episode.name} was last heard of {case.episode.silent_hours:.0f} hours ago, and what fires is repeated "
        f"sooner than every {SILENCE_HOURS:g}: it may be over."
    )


def _on_trial(case: _Case) -> str:
    run, until, alert = case.verdict.run, write_moment(case.verdict.until), case.episode.name
    if run and run.state != "promoted":
        again = f"An episode runs once; when {alert} still fires after {until}, a person is asked."
        return f"{_name(run)} ended: {_end(run)}.{_why(run)} {again}"
    return f"{_name(run)} was promoted; {alert} must be silent by {until}, or a person is asked."


def _failures(case: _Case) -> str:
    run, allowed = case.verdict.run, case.policy.maximum_failures
    return (
        f"{case.verdict.count} releases in a row were not promoted, and {allowed} are enough; nothing runs until a "
        f"person resumes retraining or orders a run. The last, {_name(run)}: {_end(run)}.{_why(run)}"
    )


def _not_cleared(case: _Case) -> str:
    run, hours = case.verdict.run, case.policy.clear_within_hours
    if run and run.state != "promoted":
        return f"{case.episode.name} still fires, and its {_name(run)} ended: {_end(run)}.{_why(run)}"
    ended = write_moment(run.ended_at if run else None)
    return (
        f"{case.episode.name} still fires more than {hours:g} hours after {_name(run)} ended ({_end(run)}, {ended}); "
        "training again does not help."
    )


def _cleared(case: _Case) -> str:
    if case.verdict.run:
        return f"{case.episode.name} cleared; its {_name(case.verdict.run)} ended: {_end(case.verdict.run)}."
    return f"{case.episode.name} cleared before anything ran."


def _answered(case: _Case) -> str:
    return f"{_name(case.verdict.run)} trained meanwhile: {_end(case.verdict.run)}."


def _finished(case: _Case) -> str:
    return f"{_name(case.verdict.run)} ended: {_end(case.verdict.run)}.{_why(case.verdict.run)}"


def _superseded(_: _Case) -> str:
    return "a newer moment of the schedule came before this one could run; one run makes up for all."


def _received(_: _Case) -> str:
    return "stored, not yet decided."


_WORDS: dict[Reason, Callable[[_Case], str]] = {
    "received": _received,
    "worth_it": _worth_it,
    "paused": _paused,
    "run_in_flight": _in_flight,
    "cooldown": _cooldown,
    "daily_budget": _budget,
    "too_few_labels": _too_few,
    "labels_unknown": _unknown,
    "inputs_broken": _broken,
    "not_repeated": _not_repeated,
    "on_trial": _on_trial,
    "maximum_failures": _failures,
    "not_cleared": _not_cleared,
    "cleared": _cleared,
    "answered": _answered,
    "superseded": _superseded,
    "finished": _finished,
}
