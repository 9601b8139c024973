"""Explain a ruling of the governor in words, with the numbers behind it.

In: episode, contract, facts and ruling. Out: one or two sentences. Called by the worker, which stores them beside the
ruling; the API, the list of rulings, the reports and the log show them unchanged. Decides nothing.

`_SENTENCES` holds every sentence, by the reason of the ruling. `/` separates the variant of a reason that reads
differently: by cause, by whether a run was promoted, or without a run.
"""

from components.base.contract.problem import Problem
from components.base.text.wording import format_time, write_count, write_date
from components.governor.rule import SILENCE_HOURS, Episode, Facts, Ruling, TrainingRun

_SENTENCES = {
    "worth_it/alert": "{episode.name} fires. {labels}{allowed}",
    "worth_it/schedule": "The schedule was due at {due} UTC. {labels}{allowed}",
    "worth_it/person": "{episode.name} requested a run. {labels}{allowed}",
    "paused": "{facts.paused_by} has paused retraining of {problem.name}; nothing runs until a person resumes it.",
    "run_in_flight": "{run} {state} since {began}; one runs at a time.",
    "cooldown": "The last run started at {began}; the cooldown of {rule.cooldown_hours:g} hours lasts until {until}.",
    "daily_budget": "{ruling.count} of {rule.daily_budget} runs of {today} (UTC) are used.",
    "too_few_labels": "{new_labels} of {minimum} new labels have arrived{since}.",
    "labels_unknown": "{minimum} new labels are required, and their number is unknown: {gap}.",
    "inputs_broken": "The features are broken, and a model must not learn from them: {facts.labels.broken}",
    "not_repeated": "{episode.name} was last received {silent_hours:.0f} hours ago. Alerts that fire are repeated "
    "at least every {silence:g} hours: it may have ended.",
    "on_trial": "{run} was promoted; {episode.name} must clear by {until}, or the governor escalates.",
    "on_trial/failed": "{run} ended: {state}.{why} An episode runs once; if {episode.name} still fires after {until}, "
    "the governor escalates.",
    "maximum_failures": "{ruling.count} releases in a row were not promoted, and the limit is {rule.maximum_failures}; "
    "nothing runs until a person resumes retraining or requests a run. The last, {run}: {state}.{why}",
    "not_cleared": "{episode.name} still fires more than {rule.clear_within_hours:g} hours after {run} ended "
    "({state}, {ended}); another training is unlikely to help.",
    "not_cleared/failed": "{episode.name} still fires, and its {run} ended: {state}.{why}",
    "cleared": "{episode.name} cleared; its {run} ended: {state}.",
    "cleared/no run": "{episode.name} cleared before a run started.",
    "answered": "{run} has trained since then: {state}.",
    "superseded": "A newer due time came before this one could run; one run covers both.",
    "finished": "{run} ended: {state}.{why}",
}
_ALLOWED = "No run is in flight, the cooldown is over, and the daily budget of {rule.daily_budget} is not used up."
_STATES = {"planned": "is about to start", "running": "runs"}
_GAPS = {
    "none_yet": "there is no monitoring result yet",
    "out_of_reach": "the newest monitoring result could not be read from the object store",
    "older_than_model": "the newest monitoring result is older than the champion",
    None: "the newest monitoring result does not contain it",
}


def explain(episode: Episode, problem: Problem, facts: Facts, ruling: Ruling) -> str:
    """Return the sentences of a ruling: why, by which numbers, and what comes next."""
    rule, run = problem.retraining, ruling.run
    labels, since = facts.labels, ""
    if labels.version is not None:
        as_of = f" as of {write_date(labels.trained_as_of)}" if labels.trained_as_of else ""
        since = f" since version {labels.version} was trained{as_of}"
    minimum, new_labels = write_count(rule.minimum_new_labels), write_count(labels.count)
    arrived = f"{new_labels} new labels have arrived{since}, {minimum} are required. " if labels.count else ""
    body = _SENTENCES[_choose_sentence(episode, ruling)].format(
        episode=episode,
        problem=problem,
        rule=rule,
        facts=facts,
        ruling=ruling,
        allowed=_ALLOWED.format(rule=rule),
        due=episode.starts_at[:16].replace("T", " "),
        labels=arrived,
        new_labels=new_labels,
        minimum=minimum,
        since=since,
        gap=_GAPS[labels.gap],
        today=write_date(facts.now),
        until=f"{format_time(ruling.until)} UTC",
        silent_hours=(facts.wall - episode.heard_at).total_seconds() / 3600,
        silence=SILENCE_HOURS,
        **_describe(run),
    )
    text = body[:1].upper() + body[1:] if body.startswith("run ") else body
    if ruling.choice == "hold":
        return f"{text} The governor checks again at every pass{' while it fires' if episode.cause == 'alert' else ''}."
    if ruling.choice == "escalate":
        return f"{text} Escalated to {problem.owner.contact}, then to {problem.owner.escalation}."
    return text


def _choose_sentence(episode: Episode, ruling: Ruling) -> str:
    if ruling.reason == "worth_it":
        return f"worth_it/{episode.cause}"
    if ruling.reason == "cleared" and ruling.run is None:
        return "cleared/no run"
    is_failed = ruling.run is not None and ruling.run.state != "promoted"
    return f"{ruling.reason}/failed" if is_failed and ruling.reason in ("on_trial", "not_cleared") else ruling.reason


def _describe(run: TrainingRun | None) -> dict[str, str]:
    """Format a run, how it ended, and its first reason, cut to what a row of a table holds."""
    if run is None:
        return {}
    reason = " ".join(run.reasons[0].split())[:300] if run.reasons else ""
    return {
        "run": f"run {run.key} of version {run.version}" if run.version else f"run {run.key}",
        "state": _STATES.get(run.state, run.state),
        "began": f"{format_time(run.began_at)} UTC",
        "ended": f"{format_time(run.ended_at)} UTC",
        "why": f" {reason}" if reason else "",
    }
