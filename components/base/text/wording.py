"""Numbers in words: how percentages, money, counts and spans are written for people, the same in every report.

In: plain numbers. Out: text with thousands separators and units. Called by the findings, the report and the model card.
"""

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

MISSING = "n/a"


class Bounded(Protocol):
    """An estimate whose bounds may be unknown: None, or not a number."""

    @property
    def low(self) -> float | None:
        """Lower bound."""

    @property
    def high(self) -> float | None:
        """Upper bound."""


def has_bounds(estimate: Bounded | None) -> bool:
    """Return whether both bounds of an estimate are known."""
    return estimate is not None and not (_is_unknown(estimate.low) or _is_unknown(estimate.high))


def write_confidence(confidence: float) -> str:
    """Write the confidence of an interval with the digits that it needs: 0.9875 -> `98.75%`."""
    return f"{round(confidence * 100, 6):.10g}%"


def write_bounds(estimate: Bounded | None, write: Callable[[float | None], str], confidence: float = 0.95) -> str:
    """Write the bounds of an interval, or that the rows cannot tell."""
    if estimate is None or not has_bounds(estimate):
        return "no interval: too few rows"
    return f"{write_confidence(confidence)} interval {write(estimate.low)} to {write(estimate.high)}"


def write_count(number: float | None) -> str:
    """Write a whole number with thousands separators: 112034 -> `112,034`."""
    return MISSING if _is_unknown(number) else f"{number:,.0f}"


def write_percent(ratio: float | None, digits: int = 1) -> str:
    """Write a ratio as a percentage: 0.2341 -> `23.4%`; what would round to 0 but is not gets two digits more."""
    if ratio is None or math.isnan(ratio):
        return MISSING
    too_small = 0 < abs(ratio) * 100 < 10**-digits
    return f"{ratio * 100:,.{digits + 2 if too_small else digits}f}%"


def write_points(difference: float | None) -> str:
    """Write a difference of ratios in percentage points, with its sign: 0.034 -> `+3.4 points`."""
    return MISSING if difference is None or math.isnan(difference) else f"{difference * 100:+,.1f} points"


def write_money(amount: float | None, currency: str) -> str:
    """Write whole units of a currency: 81234.5, USD -> `81,234 USD`."""
    return MISSING if _is_unknown(amount) else f"{amount:,.0f} {currency}".replace("-0 ", "0 ")


def write_gain(amount: float | None, currency: str) -> str:
    """Write an amount with its sign: 8420.2, USD -> `+8,420 USD`."""
    return f"{'+' if amount is not None and amount >= 0.5 else ''}{write_money(amount, currency)}"


def write_number(number: float | None, digits: int = 3) -> str:
    """Write at least `digits` significant digits, all whole ones, no trailing zeros: 1016.31 -> `1,016`."""
    if number is None or math.isnan(number):
        return MISSING
    if number == 0 or math.isinf(number):
        return f"{number:g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(number))))
    text = f"{number:,.{min(decimals, 12)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def write_quantity(number: float | None, unit: str | None) -> str:
    """Write a number with its unit; shares of something are written as percentages."""
    if unit and unit.startswith("share"):
        return write_percent(number)
    return f"{write_number(number)} {unit}" if unit else write_number(number)


def write_score(score: float | None, digits: int = 3) -> str:
    """Write a score with a fixed number of decimals: 0.5 -> `0.500`."""
    return MISSING if score is None or math.isnan(score) else f"{score:,.{digits}f}"


def write_date(time: str | datetime | None) -> str:
    """Write the day of an ISO 8601 time: `2013-07-01T00:00:00+00:00` -> `1 July 2013`."""
    if not time:
        return MISSING
    day = time if isinstance(time, datetime) else datetime.fromisoformat(time)
    return f"{day.day} {day:%B %Y}"


def format_time(time: str | datetime | None) -> str:
    """Format an ISO 8601 time to the minute: `2013-07-01T04:00:00+00:00` -> `1 July 2013, 04:00`."""
    if not time:
        return MISSING
    time = time if isinstance(time, datetime) else datetime.fromisoformat(time)
    return f"{write_date(time)}, {time:%H:%M}"


def write_span(seconds: float | None) -> str:
    """Write how long something lasts in its largest unit: 151200 -> `1.8 days`."""
    if _is_unknown(seconds) or seconds is None:
        return MISSING
    for unit, factor in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        if seconds >= factor:
            text = write_number(round(seconds / factor, 1))
            return f"{text} {unit}" if text == "1" else f"{text} {unit}s"
    return "0 seconds"


def write_capacity(per_day: int, periods: int) -> str:
    """Write how many actions can be taken: 288 in 24 periods -> `288 actions a day, 12 in each of 24 periods`."""
    day = f"{write_count(per_day)} actions a day"
    return day if periods == 1 else f"{day}, {write_count(per_day // periods)} in each of {periods} periods"


def write_bytes(size_bytes: float) -> str:
    """Write a size: 1300000 -> `1.3 MB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes:.0f} B"


def join_words(words: Sequence[str]) -> str:
    """Join as in a sentence: `a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def name_first(words: Sequence[str], shown: int = 5) -> str:
    """Join the first words as in a sentence and count the others: `a, b and 7 more`."""
    more = len(words) - shown
    return join_words([*words[:shown], f"{more:,} more"] if more > 0 else words)


def say_plainly(name: str) -> str:
    """Turn a name of the code into words: `beats_current_solution` -> `beats current solution`."""
    return name.replace("_", " ").strip()


def _is_unknown(number: float | None) -> bool:
    return number is None or not math.isfinite(number)
