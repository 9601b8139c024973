"""Cron arithmetic: when a schedule of the contract was due last, is due next, and its longest gap. All times are UTC.

In: a cron line of five fields (minute, hour, day of month, month, day of week), and times with a zone. Out: times in
UTC, on full minutes. Called by the contract's rules, the alerts and the governor. Knows no problem and reads no clock.

Raises:
    ContractError: from every function, when the line is no cron line or no time ever matches it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from cronsim import CronSim, CronSimError

from components.base.errors import ContractError

# Gaps are looked for in five years that hold two leap days, and in what follows until the next due day.
_START, _YEARS = datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=5 * 365 + 2)
_SECOND = timedelta(seconds=1)


def find_previous(schedule: str, time: datetime) -> datetime:
    """Return the newest due time that is not after `time`."""
    after = time.astimezone(UTC).replace(microsecond=0) + _SECOND
    return next(_iterate(schedule, after, reverse=True))


def find_next(schedule: str, time: datetime) -> datetime:
    """Return the first due time after `time`."""
    return next(_iterate(schedule, time.astimezone(UTC)))


def find_longest_gap(schedule: str) -> timedelta:
    """Return the longest time between two due times in a row.

    Every due day has the same due times, so that the gap is either within a day, or from the last due time of a day to
    the first of the next due day. At most 1,440 times and 1,827 days are looked at, however often the schedule is due.
    """
    minute, hour, *days = schedule.split()
    times = _list_due(f"{minute} {hour} * * *", timedelta(days=1))
    due_days = _list_due(" ".join(("0 0", *days)), _YEARS)
    between_days = max(later - earlier for earlier, later in pairwise(due_days)) - (times[-2] - times[0])
    return max([between_days, *(later - earlier for earlier, later in pairwise(times[:-1]))])


def _list_due(schedule: str, span: timedelta) -> list[datetime]:
    """Return the due times of the span after `_START`, and the one after it."""
    found = []
    for due in _iterate(schedule, _START - _SECOND):
        found.append(due)
        if due >= _START + span:
            break
    return found


def _iterate(schedule: str, start: datetime, reverse: bool = False) -> Iterator[datetime]:
    """Yield the due times after `start`, or before it; there is always one more."""
    try:
        yield from CronSim(schedule, start, reverse=reverse)
    except CronSimError as error:
        raise _build_error(schedule) from error
    raise _build_error(schedule)


def _build_error(schedule: str) -> ContractError:
    return ContractError(
        f"schedule: it must be five cron fields that come true, but got {schedule!r}. "
        "Write `0 4 1 * *` for 04:00 UTC on the first of each month."
    )
