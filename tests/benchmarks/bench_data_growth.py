"""How time and memory of ingest and validate grow with the rows: half a year of flights, once and ten times.

Each step runs in a process of its own, as in a pipeline, on an object store and a home that are thrown away. `ingest
again` finds every drop converted. A growth above that of the rows is a fault.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

UNTIL = "2013-07-01"
CONTRACT = Path("pipelines") / "problems" / "flight-delays.yaml"
MULTIPLES = (1, 10)
STEPS = ("ingest", "ingest again", "validate")


def main() -> None:
    """Measure and print one row per step."""
    if len(sys.argv) > 1:
        run_step(sys.argv[1], Path(sys.argv[2]))
        return
    measured = [_measure(multiple) for multiple in MULTIPLES]
    small, large = (f"{entry['rows'] / 1e6:.2f} M rows" for entry in measured)
    table = Table(title=f"Growth of the data phase, {small} and {large}", box=None, padding=(0, 2, 0, 0))
    for column in ("step", "s", "s", "times", "MB", "MB", "times"):
        table.add_column(column, justify="left" if column == "step" else "right", no_wrap=True)
    for step in STEPS:
        before, after = (entry[step] for entry in measured)
        seconds = (before["seconds"], after["seconds"], after["seconds"] / before["seconds"])
        memory = (before["megabytes"], after["megabytes"], after["megabytes"] / before["megabytes"])
        table.add_row(step, *(f"{number:.1f}" for number in seconds), *(f"{number:.1f}" for number in memory))
    console = Console()
    console.print(table)
    console.print(f"rows grow {measured[1]['rows'] / measured[0]['rows']:.1f} times")


def _measure(multiple: int) -> dict:
    """Seed so many times the flights, then run each step; return its seconds and peak resident memory."""
    from components.base.settings import load_settings
    from pipelines.seed import seed
    from pipelines.services import embedded_services

    with tempfile.TemporaryDirectory(prefix="growth-") as home:
        os.environ["TIDEMILL_HOME"] = home
        try:
            with embedded_services(load_settings()):
                seed("flight-delays", UNTIL, multiple)
                measured = {step: _run(step.removesuffix(" again"), Path(home) / "accepted") for step in STEPS}
        finally:
            del os.environ["TIDEMILL_HOME"]
    return {"rows": measured["ingest"]["rows"], **measured}


def _run(step: str, accepted: Path) -> dict:
    started = time.monotonic()
    command = [sys.executable, "-m", "tests.benchmarks.bench_data_growth", step, str(accepted)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {**json.loads(done.stdout.splitlines()[-1]), "seconds": time.monotonic() - started}


def run_step(step: str, accepted: Path) -> None:
    """Run one step in this process and print its rows and peak memory as JSON."""
    from components.base.problem import load_problem
    from components.base.settings import load_settings
    from components.base.store import open_store
    from components.data.ingest import ingest_sources
    from components.data.snapshot import parse_moment, read_snapshot
    from components.data.validate import validate_snapshot

    problem, store = load_problem(CONTRACT), open_store(load_settings())
    if step == "ingest":
        snapshot = ingest_sources(problem, parse_moment(UNTIL), store)
        accepted.with_suffix(".snapshot").write_text(snapshot.prefix)
        rows = sum(source.rows for source in snapshot.sources.values())
    else:
        snapshot = read_snapshot(store, accepted.with_suffix(".snapshot").read_text())
        rows = validate_snapshot(problem, snapshot, accepted)["rows"]["in"]
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": rows, "megabytes": megabytes}))


if __name__ == "__main__":
    main()
