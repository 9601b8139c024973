"""Records of local runs: one JSON per run, `last-run.json` for the newest one. `tidemill runs` lists them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class LocalRun:
    """What one run did; the shape of `last-run.json`, where the fields of `summary` are beside the others."""

    name: str
    pipeline: str
    problem: str
    as_of: str
    status: str
    """`done` or `failed`."""
    started: str
    """ISO 8601, UTC."""
    seconds: float
    peak_memory_bytes: int
    """Largest resident set of a step or of the command so far; the object store still runs and is not in it."""
    steps: list[dict[str, Any]]
    """`name`, `status` (done, reused, failed), `seconds` and `message` of each step, in order."""
    error: str | None
    log: str
    report: str | None
    summary: dict[str, Any]
    """What the pipeline presents as `summary.json`; empty for a failed run, and for one that presents nothing."""


def write_record(home: Path, record: LocalRun) -> Path:
    """Write the record beside the run's log and as `last-run.json`; return the latter."""
    fields = asdict(record)
    content = json.dumps({**fields.pop("summary"), **fields}, indent=1)
    (Path(record.log).parent / "run.json").write_text(content)
    last = home / "last-run.json"
    partial = last.with_suffix(".tmp")
    partial.write_text(content)
    partial.replace(last)
    return last


def read_records(home: Path) -> list[dict[str, Any]]:
    """Read the records of all runs, oldest first."""
    files = home.glob("runs/*/run.json")
    return sorted((json.loads(file.read_text()) for file in files), key=lambda record: str(record["started"]))
