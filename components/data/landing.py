"""Find the deliveries of a problem in the landing zone: the files that had landed at `as_of`, in the order of landing.

In: the contract's sources and the objects below `landing/<problem>/`. Out: `Delivery`s. Called by ingest. A file is
named by the first day of its period, `2013-06.csv` or `2013-06-15-corrected.csv`; that name, not the object's time,
defines when it landed, so that a run with a past `as_of` finds the files of that time.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import PurePosixPath

from components.base.adapters.s3 import StoredObject
from components.base.contract.problem import Problem, Source
from components.base.errors import DataError, raise_faults, suggest_name
from components.data.file_kinds import find_kind_fault

_UNNAMED = "the name must begin with its period such as 2013-06, but does not. Rename it."
_PERIOD = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?")


@dataclass(frozen=True)
class Delivery:
    """One delivered file."""

    source: str
    key: str
    etag: str
    period: date
    """First day of the period that it delivers."""


def landing_prefix(problem: Problem) -> str:
    """Return the prefix below which the deliveries of a problem land."""
    return f"landing/{problem.name}/"


def find_deliveries(problem: Problem, objects: Sequence[StoredObject], as_of: datetime) -> dict[str, list[Delivery]]:
    """Return the deliveries of each source whose period began before `as_of`, oldest first; of a snapshot the newest.

    Raises:
        DataError: with all faults: a source without a delivery, a delivery whose name has no period.
    """
    faults: list[str] = []
    found: dict[str, list[Delivery]] = {}
    for name, source in problem.sources.items():
        deliveries, unnamed = _deliveries_of(problem, name, objects)
        landed = sorted(
            (d for d in deliveries if datetime(d.period.year, d.period.month, d.period.day, tzinfo=UTC) < as_of),
            key=_landing_order,
        )
        faults += unnamed
        if not landed and not unnamed:
            faults.append(_explain_absence(problem, name, source, deliveries, objects, as_of))
        found[name] = landed if source.kind == "events" else landed[-1:]
    raise_faults(DataError, f"ingest {problem.name}", faults)
    return found


def read_period(key: str) -> date | None:
    """Return the first day of the period that a file is named by; None when its name does not begin with one."""
    named = _PERIOD.match(PurePosixPath(key).name)
    try:
        return date(*map(int, named.groups(default="1"))) if named else None
    except ValueError:
        return None


def match_sources(problem: Problem, name: str) -> list[str]:
    """Return the sources that take a file of this name below the landing zone of the problem."""
    key = PurePosixPath(landing_prefix(problem) + name)
    return [one for one, source in problem.sources.items() if key.match(landing_prefix(problem) + source.path)]


def find_landing_faults(problem: Problem, name: str, head: bytes) -> Iterator[str]:
    """Yield why a file must not land: it is of no source, of no period, or not what its source delivers.

    Args:
        problem: The contract.
        name: Below the landing zone of the problem, such as `sales/2026-10.csv`.
        head: The first `HEAD_BYTES` of its content.
    """
    sources = match_sources(problem, name)
    paths = {source.path: one for one, source in problem.sources.items()}
    if not sources:
        hint = suggest_name(name, paths)
        yield f"{name}: it must match the path of a source ({', '.join(paths)}), but matches none.{hint}"
    elif read_period(name) is None:
        yield f"{name}: {_UNNAMED}"
    for source in sources:
        if fault := find_kind_fault(head, problem.sources[source]):
            yield f"{name}: {fault}"


def _deliveries_of(problem: Problem, name: str, objects: Sequence[StoredObject]) -> tuple[list[Delivery], list[str]]:
    pattern = landing_prefix(problem) + problem.sources[name].path
    deliveries, faults = [], []
    for entry in objects:
        if not PurePosixPath(entry.key).match(pattern):
            continue
        period = read_period(entry.key)
        if period is None:
            faults.append(f"{entry.key}: {_UNNAMED}")
        else:
            deliveries.append(Delivery(name, entry.key, entry.etag, period))
    return deliveries, faults


def _landing_order(delivery: Delivery) -> tuple[date, str]:
    # The stem, so that `2013-06-corrected.csv` comes after `2013-06.csv`.
    return delivery.period, str(PurePosixPath(delivery.key).with_suffix(""))


def _explain_absence(
    problem: Problem,
    name: str,
    source: Source,
    deliveries: list[Delivery],
    objects: Sequence[StoredObject],
    as_of: datetime,
) -> str:
    place = f"{name}: a delivery must have landed as {landing_prefix(problem)}{source.path} by {as_of:%Y-%m-%d}"
    if deliveries:
        oldest = min(deliveries, key=_landing_order)
        return f"{place}, but the oldest is {oldest.key}. Choose a later as_of."
    folders = {PurePosixPath(entry.key.removeprefix(landing_prefix(problem))).parent.as_posix() for entry in objects}
    hint = suggest_name(PurePosixPath(source.path).parent.as_posix(), sorted(folders))
    return f"{place}, but none has.{hint or ' Land it, or correct the path of the source in the contract.'}"


def missing_months(deliveries: Sequence[Delivery], as_of: datetime) -> Iterator[str]:
    """Yield the months (YYYY-MM) between the first delivery and `as_of` for which no delivery has landed."""
    if not deliveries:
        return
    months = {(delivery.period.year, delivery.period.month) for delivery in deliveries}
    year, month = min(months)
    while datetime(year, month, 1, tzinfo=UTC) < as_of:
        if (year, month) not in months:
            yield f"{year}-{month:02d}"
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
