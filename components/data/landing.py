"""Find the drops of a problem in the landing zone: what had landed at a moment, in the order of landing.

In: the contract's sources and the objects below `landing/<problem>/`. Out: `Drop`s. Called by ingest. A drop is named
by the first day of its period, `2013-06.csv` or `2013-06-15-corrected.csv`; that name, not the object's time, says
when it landed, so that a replay of the past finds what the past had.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import PurePosixPath

from components.base.adapters.s3 import StoredObject
from components.base.contract.problem import Problem, Source
from components.base.errors import DataError, raise_faults, suggest_name

_PERIOD = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?")


@dataclass(frozen=True)
class Drop:
    """One delivered file."""

    source: str
    key: str
    etag: str
    period: date
    """First day of the period that it delivers."""


def landing_prefix(problem: Problem) -> str:
    """Return the prefix below which the drops of a problem land."""
    return f"landing/{problem.name}/"


def find_drops(problem: Problem, objects: Sequence[StoredObject], as_of: datetime) -> dict[str, list[Drop]]:
    """Return the drops of each source whose period began before `as_of`, oldest first; of a snapshot the newest alone.

    Raises:
        DataError: with all faults: a source without a drop, a drop whose name tells no period.
    """
    faults: list[str] = []
    found: dict[str, list[Drop]] = {}
    for name, source in problem.sources.items():
        drops, unnamed = _drops_of(problem, name, objects)
        landed = sorted((drop for drop in drops if _began_before(drop, as_of)), key=_landing_order)
        faults += unnamed
        if not landed and not unnamed:
            faults.append(_absence(problem, name, source, drops, objects, as_of))
        found[name] = landed if source.kind == "events" else landed[-1:]
    raise_faults(DataError, f"ingest {problem.name}", faults)
    return found


def _drops_of(problem: Problem, name: str, objects: Sequence[StoredObject]) -> tuple[list[Drop], list[str]]:
    pattern = landing_prefix(problem) + problem.sources[name].path
    drops, faults = [], []
    for entry in objects:
        if not PurePosixPath(entry.key).match(pattern):
            continue
        period = _period(entry.key)
        if period is None:
            faults.append(f"{entry.key}: the name must begin with its period such as 2013-06, but does not. Rename it.")
        else:
            drops.append(Drop(name, entry.key, entry.etag, period))
    return drops, faults


def _period(key: str) -> date | None:
    match = _PERIOD.match(PurePosixPath(key).name)
    if match is None:
        return None
    year, month, day = match.groups(default="1")
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _began_before(drop: Drop, as_of: datetime) -> bool:
    return datetime(drop.period.year, drop.period.month, drop.period.day, tzinfo=UTC) < as_of


def _landing_order(drop: Drop) -> tuple[date, str]:
    # The stem, so that `2013-06-corrected.csv` comes after `2013-06.csv`.
    return drop.period, str(PurePosixPath(drop.key).with_suffix(""))


def _absence(
    problem: Problem, name: str, source: Source, drops: list[Drop], objects: Sequence[StoredObject], as_of: datetime
) -> str:
    place = f"{name}: a drop must have landed as {landing_prefix(problem)}{source.path} by {as_of:%Y-%m-%d}"
    if drops:
        oldest = min(drops, key=_landing_order)
        return f"{place}, but the oldest is {oldest.key}. Choose a later as_of."
    return f"{place}, but none has.{_nearest_folder(problem, source, objects)}"


def _nearest_folder(problem: Problem, source: Source, objects: Sequence[StoredObject]) -> str:
    folders = {PurePosixPath(entry.key.removeprefix(landing_prefix(problem))).parent.as_posix() for entry in objects}
    hint = suggest_name(PurePosixPath(source.path).parent.as_posix(), sorted(folders))
    return hint or " Land it, or correct the source's path in the contract."


def missing_months(drops: Sequence[Drop], as_of: datetime) -> Iterator[str]:
    """Yield the months (YYYY-MM) between the first drop and `as_of` for which no drop has landed."""
    if not drops:
        return
    months = {(drop.period.year, drop.period.month) for drop in drops}
    year, month = min(months)
    while datetime(year, month, 1, tzinfo=UTC) < as_of:
        if (year, month) not in months:
            yield f"{year}-{month:02d}"
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
