"""The first screen of the daily report: is it well, what changed, what is being done, and six numbers.

In: a `History`. Out: a `Status`, in words and texts. Called by the daily report and by the summary of a run. What is
well or not is judged by the monitor, against the contract; only its verdicts and limits are read here.
"""

from dataclasses import dataclass

from components.base.text.wording import join_words, write_count
from components.monitoring.results import MonitoringResult
from components.reports.daily.tiles import StatusTile, Tone, build_tiles
from components.reports.history import History, compare_findings

_TONES: dict[str, Tone] = {"critical": "bad", "warning": "hold", "note": "good"}


@dataclass(frozen=True)
class Status:
    """What an engineer reads first."""

    tone: Tone
    title: str
    well: str
    changed: str
    done: str
    tiles: tuple[StatusTile, ...]


def build_status(history: History) -> Status:
    """Put the newest window into three answers and six numbers."""
    tone = judge_window(history.newest)
    graves = [one.title for one in history.newest.findings if _TONES[one.severity] == tone]
    others = f", and {_count(len(graves) - 1, 'finding')} more" if len(graves) > 1 else ""
    return Status(
        tone=tone,
        title="All is well" if tone == "good" else f"{graves[0]}{others}",
        well=_format_well(history),
        changed=_format_changed(history),
        done=_format_done(history),
        tiles=build_tiles(history),
    )


def judge_window(result: MonitoringResult) -> Tone:
    """Return the tone of the gravest finding."""
    tones = [_TONES[one.severity] for one in result.findings]
    return next((tone for tone in ("bad", "hold") if tone in tones), "good")


def _count(number: int, thing: str) -> str:
    return f"{write_count(number)} {thing}{'' if number == 1 else 's'}"


def _format_well(history: History) -> str:
    findings = history.newest.findings
    numbers = {name: sum(one.severity == name for one in findings) for name in _TONES}
    counts = [f"{number} {name}" for name, number in numbers.items() if number and name != "note"]
    if numbers["note"]:
        counts.append(_count(numbers["note"], "note"))
    judged = (
        "" if history.newest.performance else f" Too few known outcomes: the {history.problem.noun} are not scored."
    )
    if not counts:
        return f"Yes: nothing was found.{judged}"
    answer = "Yes" if judge_window(history.newest) == "good" else "No"
    gravest = "" if findings[0].severity == "note" else f" {findings[0].text}"
    return f"{answer}: {join_words(counts)}.{gravest}{judged}"


def _format_changed(history: History) -> str:
    previous, newest = history.previous, history.newest
    if previous is None:
        return "This is the first window: there is nothing to compare with."
    words = []
    if previous.model_version != newest.model_version:
        words.append(f"Version {newest.model_version} is the champion instead of version {previous.model_version}.")
    new, gone = compare_findings(history)
    for found, what in ((new, "New"), (gone, "Gone")):
        titles = "; ".join(one.title for one in found[:3])
        more = f", and {len(found) - 3} more" if len(found) > 3 else ""
        if found:
            words.append(f"{what}: {titles}{more}.")
    return " ".join(words) or "The same findings, the same model as in the window before."


def _format_done(history: History) -> str:
    recent = history.recent_rulings
    if recent:
        run = next((one for one in recent if one.choice in {"run", "escalate"}), recent[0])
        more = f" ({_count(len(recent) - 1, 'more ruling')} below.)" if len(recent) > 1 else ""
        ended = f" The run ended: {run.run.state}." if run.run else ""
        return f"{run.choice.capitalize()}: {run.words}{ended}{more}"
    graves = [one.action for one in history.newest.findings if one.severity != "note"]
    if graves:
        return f"There is no ruling of the governor since the window before. To do: {graves[0]}"
    return "Nothing has to be done; there is no ruling of the governor since the window before."
