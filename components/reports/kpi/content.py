"""What the KPI report says: the answer, five numbers, what moved, what is done and what to decide.

In: a `History`. Out: a `Kpi`, in words and texts for a reader who knows the business and no statistics. Called by the
KPI report; every number comes from the monitoring results.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from components.base.text.wording import MISSING, join_words, write_count, write_gain, write_money, write_percent
from components.monitoring.results import Contender, Estimate, MonitoringResult
from components.reports.daily.tiles import Tone
from components.reports.earnings import Earnings, count_right, find_contender, measure_capacity_used, sum_earnings
from components.reports.history import History, Read, tile_windows
from components.reports.kpi.words import format_gain, format_ruling, format_topic, judge_gain

# Above it more actions could have been taken than were possible; below the other, many were left.
_CAPACITY_FULL, _CAPACITY_IDLE = 0.98, 0.5


@dataclass(frozen=True)
class KpiTile:
    """One number, and what it means."""

    label: str
    number: str
    note: str


@dataclass(frozen=True)
class KpiRow:
    """One number in this period and the one before, with its trend."""

    label: str
    now: str
    before: str
    change: str
    trend: tuple[float | None, ...]


@dataclass(frozen=True)
class Kpi:
    """What a business owner reads."""

    tone: Tone
    title: str
    sentences: tuple[str, ...]
    tiles: tuple[KpiTile, ...]
    rows: tuple[KpiRow, ...]
    happened: tuple[str, ...]
    done: tuple[str, ...]
    advice: tuple[str, ...]


def build_kpi(history: History) -> Kpi:
    """Put the newest window, and all of them, into words for the business."""
    window, beginning = sum_earnings([history.newest]), sum_earnings(tile_windows(history.results))
    tone, title = _judge(history, window)
    return Kpi(
        tone=tone,
        title=title,
        sentences=_format_earned(history, window, beginning),
        tiles=_build_tiles(history, window, beginning),
        rows=_compare(history),
        happened=_format_happened(history),
        done=tuple(dict.fromkeys(format_ruling(one) for one in history.recent_rulings)),
        advice=_advise(history, window),
    )


def _judge(history: History, window: Earnings | None) -> tuple[Tone, str]:
    if window is None:
        return "note", "What was earned is not known yet"
    return _judge_loss(history, window.more_than_nothing) or _judge_gain(history, window)


def _judge_loss(history: History, gain: Estimate | None) -> tuple[Tone, str] | None:
    """Say that acting lost money against doing nothing, which no current solution makes good; None if it did not."""
    if gain is None or gain.estimate >= 0:
        return None
    loss = write_money(abs(gain.estimate), history.currency)
    if judge_gain(gain) == "less":
        return "bad", f"The decisions lost {loss} against doing nothing"
    return "hold", f"The decisions earned {loss} less than doing nothing, which may be chance"


def _judge_gain(history: History, window: Earnings) -> tuple[Tone, str]:
    gain, currency = window.more_than_current, history.currency
    if gain is None:
        return "hold", f"The decisions earned {write_money(window.earned, currency)}"
    sure, amount = judge_gain(gain), write_money(abs(gain.estimate), currency)
    if sure == "less":
        return "bad", f"The decisions earned {amount} less than the current solution"
    if sure == "more":
        grave = any(one.severity == "critical" for one in history.newest.findings)
        return "hold" if grave else "good", f"The decisions earned {amount} more than the current solution"
    if sure == "unknown":
        return "hold", f"The decisions earned {write_money(window.earned, currency)}"
    return "hold", "The decisions earned about as much as the current solution"


def _format_earned(history: History, window: Earnings | None, beginning: Earnings | None) -> tuple[str, ...]:
    """Format what was earned in this period and since the beginning, and how much more that is than others earn."""
    noun, currency = history.problem.noun, history.currency
    sentences = []
    if window is None:
        rows = write_count(history.newest.traffic.rows)
        sentences.append(f"Of the {rows} {noun} of this period too few outcomes are known to say what was earned.")
    else:
        earned, rows = write_money(window.earned, currency), write_count(window.rows)
        text = f"In this period the decisions earned {earned} on {rows} {noun} with a known outcome"
        sentences.append(f"{text}{_format_others(history, window)}")
    if beginning and beginning.windows > 1:
        earned = write_money(beginning.earned, currency)
        text = f"Since the beginning, over {beginning.windows} periods, they earned {earned}"
        sentences.append(f"{text}{_format_others(history, beginning)}")
    return tuple(sentences)


def _format_others(history: History, earnings: Earnings) -> str:
    others = {
        "doing nothing": earnings.more_than_nothing,
        "the current solution": earnings.more_than_current,
        "the model before": earnings.more_than_previous,
    }
    compared = [format_gain(gain, history.currency, name) for name, gain in others.items() if gain]
    return f": {join_words(compared)}." if compared else "."


def _build_tiles(history: History, window: Earnings | None, beginning: Earnings | None) -> tuple[KpiTile, ...]:
    newest, currency = history.newest, history.currency
    right, other = count_right(newest), count_right(newest, "current_solution")
    used = measure_capacity_used(history, newest)
    gains = (window.more_than_current, window.more_than_nothing) if window else (None, None)
    compared = "" if other is None else f"; with the current solution {other:.0f} of 100"
    possible = f" of {write_count(newest.traffic.actions / used)} possible ones" if used else ""
    total = f"{write_money(beginning.earned, currency)} since the beginning" if beginning else "not known yet"
    actions, served = write_count(newest.traffic.actions), find_contender(newest, "served")
    taken = f"{write_count(served.actions)} actions with a known outcome" if served else "no outcome is known yet"
    return (
        KpiTile("Earned in this period", write_money(window.earned if window else None, currency), total),
        *(
            KpiTile(
                f"More than {name}",
                write_gain(gain.estimate if gain else None, currency),
                f"between {write_count(gain.low)} and {write_count(gain.high)}"
                if gain and gain.low is not None
                else "too few outcomes to say how sure",
            )
            for name, gain in zip(("the current solution", "doing nothing"), gains, strict=True)
        ),
        KpiTile("Right actions", MISSING if right is None else f"{right:.0f} of 100", f"{taken}{compared}"),
        KpiTile("Possible actions used", write_percent(used, 0), f"{actions} actions taken{possible}"),
    )


def _compare(history: History) -> tuple[KpiRow, ...]:
    """Compare this period with the one before, number by number."""
    noun, currency = history.problem.noun, history.currency

    def read_earned(result: MonitoringResult) -> float | None:
        served = find_contender(result, "served")
        return served.total if served else None

    def read_gain(result: MonitoringResult, name: Contender = "current_solution") -> float | None:
        gain = result.value.find_gain(name) if result.value else None
        return gain.estimate if gain else None

    def read_used(result: MonitoringResult) -> float | None:
        used = measure_capacity_used(history, result)
        return None if used is None else used * 100

    than = f"{currency} per 1,000 {noun}"
    return (
        _row(history, f"{noun} predicted".capitalize(), lambda result: result.traffic.rows, write_count),
        _row(history, "Actions taken", lambda result: result.traffic.actions, write_count),
        _row(history, "Right actions of 100", count_right, lambda number: f"{number:.0f}"),
        _row(history, f"Earned, {currency}", read_earned, write_count),
        _row(history, f"More than the current solution, {than}", read_gain, write_count),
        _row(history, f"More than doing nothing, {than}", partial(read_gain, name="no_action"), write_count),
        _row(history, "Possible actions used, %", read_used, write_count),
    )


def _row(history: History, label: str, read: Read, write: Callable[[float], str]) -> KpiRow:
    now, before = read(history.newest), read(history.previous) if history.previous else None
    change = MISSING
    if now is not None and before is not None:
        moved = f"{'+' if now > before else ''}{write(now - before)}"
        change = moved if re.search("[1-9]", moved) else "as before"
    return KpiRow(
        label=label,
        now=MISSING if now is None else write(now),
        before=MISSING if before is None else write(before),
        change=change,
        trend=tuple(history.trend(read)),
    )


def _format_happened(history: History) -> tuple[str, ...]:
    """Format what was found, in words of the business, and whether another model is in use."""
    newest, previous = history.newest, history.previous
    said = [
        format_topic(one.topic, history.problem.noun, history.problem.outcome)
        for one in newest.findings
        if one.severity != "note"
    ]
    if previous and previous.model_version != newest.model_version:
        said.insert(0, f"Model {newest.model_version} is in use; model {previous.model_version} was before.")
    return tuple(dict.fromkeys(said))


def _advise(history: History, window: Earnings | None) -> tuple[str, ...]:
    """Format what the business should know or decide, most urgent first."""
    said, owner = [], history.problem.owner
    if any(one.choice == "escalate" for one in history.recent_rulings):
        said.append(f"Decide how to go on: the platform has stopped by itself and waits for {owner.contact}.")
    loss = window.more_than_nothing if window else None
    if judge_gain(loss) == "less":
        said.append("Stop acting on the answers until a better model is in use: each action costs more than it earns.")
    elif history.newest.value and history.newest.value.is_below_limit:
        now = history.problem.decision.current_solution
        said.append(
            "Watch the next report: a better model has taken over, and it must earn more than the current solution."
            if any(one.run and one.run.state == "promoted" for one in history.recent_rulings)
            else "Decide whether to go back to the current solution until a better model is in use: "
            f"{now[:1].lower()}{now[1:]}."
        )
    used = measure_capacity_used(history, history.newest)
    if used is not None and used >= _CAPACITY_FULL:
        said.append("Every possible action was taken: more capacity may earn more. The release report shows how much.")
    enough = history.newest.traffic.rows >= history.problem.monitoring.minimum_rows
    if used is not None and used < _CAPACITY_IDLE and enough:
        said.append("Less than half of the possible actions were taken: capacity is free for other work.")
    if window is None:
        said.append("Wait for more outcomes before you judge this period.")
    return tuple(said) or ("Nothing has to be decided now.",)
