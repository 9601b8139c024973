"""Plain words for the business: findings, rulings and uncertainty, without a technical term.

In: a finding's topic, a ruling, an estimate. Out: sentences. Called by the KPI report. The words of the governor are
for engineers: they are not repeated here.
"""

from typing import Literal

from components.base.text.wording import write_count, write_money
from components.governor.rulings import RulingRecord
from components.monitoring.results import Estimate

Sure = Literal["more", "less", "chance", "unknown"]
# What a finding means for those who neither train nor serve.
_TOPICS = {
    "traffic": "The number of {noun} that were predicted is not as expected.",
    "features": "Data that the decisions rest on came late or incomplete.",
    "data": "The data that come in are other ones than before.",
    "drift": "The {noun} are no longer like those that the model learned from.",
    "skew": "The data in daily use differ from the data that the model learned from.",
    "labels": "Outcomes are reported late or not at all, so that less is known of what was earned.",
    "performance": "The model predicts which {noun} will be {outcome} less well than required.",
    "value": "The decisions earned less than required.",
}
_CAUSES = {
    "PerformanceBelowLimit": "the model had become too weak",
    "ValueBelowLimit": "the decisions earned too little",
    "DataChanged": "the data had changed",
    "DriftMatters": "the cases had changed",
}
_HOLDS = {
    "cooldown": "the last attempt is too recent to judge",
    "daily_budget": "the attempts of the day are used up",
    "run_in_flight": "a new model is already being trained",
    "too_few_labels": "too few new outcomes are known to learn from",
    "labels_unknown": "it is not known how many new outcomes there are",
    "inputs_broken": "the data that it decides on are broken and must be fixed first",
    "paused": "a person has paused retraining",
    "on_trial": "the newest model is still on trial",
    "not_repeated": "the alarm was not repeated",
}
_ASKS = {
    "maximum_failures": "several new models in a row were not good enough",
    "not_cleared": "the new model did not help",
    "paused": "retraining is paused",
}
_ENDS = {
    "promoted": "It was better and is now in use.",
    "held": "It was not clearly better, so the model in use stays.",
    "refused": "It was not good enough, so the model in use stays.",
    "failed": "The training did not end well, so the model in use stays.",
}


def format_topic(topic: str, noun: str, outcome: str) -> str:
    """Format what a finding is about."""
    return _TOPICS[topic].format(noun=noun, outcome=outcome)


def format_ruling(ruling: RulingRecord) -> str:
    """Format what the governor ruled about retraining, and how the run ended."""
    cause = _CAUSES.get(ruling.name, "it was due" if ruling.cause == "schedule" else "")
    because = f" because {cause}" if cause else ""
    if ruling.choice == "run":
        end = _ENDS.get(ruling.run.state, "") if ruling.run else ""
        return f"A new model was trained{because}. {end or 'The result is not known yet.'}"
    if ruling.choice == "hold":
        why = _HOLDS.get(ruling.reason)
        return f"No new model is trained for now{f': {why}' if why else ''}."
    if ruling.choice == "escalate":
        why = _ASKS.get(ruling.reason)
        return f"A person must decide{f': {why}' if why else ''}."
    if ruling.choice == "closed":
        return "A matter is closed: nothing more has to be done about it."
    return "An alarm came in; nothing is decided yet."


def judge_gain(gain: Estimate | None) -> Sure:
    """Return whether a gain is sure: its whole interval is on one side of 0."""
    if gain is None or gain.low is None or gain.high is None:
        return "unknown"
    return "more" if gain.low > 0 else "less" if gain.high < 0 else "chance"


def format_gain(gain: Estimate, currency: str, other: str) -> str:
    """Format how much more or less was earned than by another, and how sure that is."""
    direction = "more" if gain.estimate >= 0 else "less"
    amount = f"{write_money(abs(gain.estimate), currency)} {direction} than {other}"
    sure = judge_gain(gain)
    if sure == "unknown" or gain.low is None or gain.high is None:
        return f"{amount} (too few outcomes are known to say how sure that is)"
    low, high = sorted((abs(gain.low), abs(gain.high)))
    if sure == "chance":
        ends = f"{write_money(abs(gain.low), currency)} less and {write_money(gain.high, currency)} more"
        return f"{amount} (between {ends}: it may be chance)"
    return f"{amount} (between {write_count(low)} and {write_money(high, currency)})"
