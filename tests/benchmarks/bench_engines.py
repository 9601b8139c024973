"""Build and the point-in-time join on DuckDB and on Spark: time, processor time and memory, the same rows.

Half a year of flights once and several times; each engine in a process of its own, with all the processes that it
starts. Spark runs on two threads of this machine, so that the ratio is what its machinery costs: it is made for more
machines than one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

AS_OF = "2013-07-01T00:00:00+00:00"
ENGINES = ("duckdb", "spark")
STEPS = ("build", "join")
_POLL_SECONDS = 0.2


def main() -> None:
    """Measure and print one row a step and size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--step", choices=STEPS)
    parser.add_argument("--engine", choices=ENGINES)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--multiples", type=int, nargs="+", default=[1, 5])
    options = parser.parse_args()
    if options.step:
        run_step(options.step, options.engine, options.folder)
        return
    table = Table(title="DuckDB and Spark, two threads each", box=None)
    for column in (
        "step",
        "rows",
        *(f"{engine} {unit}" for unit in ("s", "CPU s", "MB") for engine in ENGINES),
        "CPU ratio",
    ):
        table.add_column(column, justify="left" if column == "step" else "right", no_wrap=True)
    for multiple in options.multiples:
        with tempfile.TemporaryDirectory(prefix="engines-") as home:
            rows = write_accepted(Path(home), multiple)
            for step in STEPS:
                found = {engine: measure(step, engine, Path(home)) for engine in ENGINES}
                numbers = [
                    f"{found[engine][unit]:,.1f}"
                    for unit in ("seconds", "processor", "megabytes")
                    for engine in ENGINES
                ]
                ratio = found["spark"]["processor"] / found["duckdb"]["processor"]
                table.add_row(step, f"{rows:,}", *numbers, f"{ratio:.1f}")
    Console(width=130).print(table)


def write_accepted(home: Path, multiple: int) -> int:
    """Land so many times the flights, accept them, and return the rows of flights."""
    import pyarrow.parquet as pq

    from components.base.adapters.s3 import open_store
    from components.base.settings import load_settings
    from components.data.ingest import ingest_sources
    from components.data.validate import validate_snapshot
    from pipelines.runners.services import embedded_services
    from pipelines.simulation.demo_data import land_deliveries

    os.environ["TIDEMILL_HOME"] = str(home / "home")
    try:
        with embedded_services(load_settings()):
            land_deliveries("flight-delays", AS_OF, multiple)
            snapshot = ingest_sources(problem("duckdb"), datetime.fromisoformat(AS_OF), open_store(load_settings()))
            validate_snapshot(problem("duckdb"), snapshot, home / "accepted")
    finally:
        del os.environ["TIDEMILL_HOME"]
    return int(pq.read_metadata(home / "accepted" / "flights.parquet").num_rows)


def problem(engine):
    """Return the contract of the flights on an engine."""
    from components.base.contract.load import load_problem

    loaded = load_problem(Path("pipelines") / "problems" / "flight-delays.yaml")
    return loaded.model_copy(update={"data": loaded.data.model_copy(update={"engine": engine})})


def measure(step: str, engine: str, home: Path) -> dict:
    """Run a step in a process; return its seconds, and processor seconds and peak memory of all its processes."""
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.bench_engines",
        "--step",
        step,
        "--engine",
        engine,
        "--folder",
        home,
    ]
    started = time.monotonic()
    peak, processor = 0, {}
    with psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        while process.poll() is None:
            members = []
            for member in [process, *process.children(recursive=True)]:
                try:
                    processor[member.pid] = sum(member.cpu_times()[:2])
                    members.append(member.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue
            peak = max(peak, sum(members))
            time.sleep(_POLL_SECONDS)
        reported = json.loads(process.stdout.read().splitlines()[-1])
    if process.returncode:
        raise SystemExit(f"{step} on {engine} ended with {process.returncode}.")
    seconds = time.monotonic() - started
    return {"seconds": seconds, "processor": sum(processor.values()), "megabytes": peak / 2**20, **reported}


def run_step(step: str, engine: str, home: Path) -> None:
    """Run a step on an engine over the accepted rows in `home`."""
    from components.features.build import build_tables

    tables = home / "features"
    if step == "build":
        build_tables(problem(engine), home / "accepted", tables if engine == "duckdb" else home / "features-spark")
        print(json.dumps({}))
        return
    import pyarrow.parquet as pq

    from components.base.engine import open_engine
    from components.features.feast.asof import AsOfView, join_features
    from components.features.feast.feature_store import declared_views

    rows = pq.read_table(
        home / "accepted" / "flights.parquet", columns=["carrier", "origin", "tailnum", "predicted_at"]
    )
    views = [
        AsOfView(
            path=str(tables / f"{view.name}.parquet"),
            keys={key: key for key in view.keys},
            features={feature.name: feature.name for feature in view.features},
            time="event_timestamp",
            created="created_timestamp",
            ttl_us=int(view.ttl_seconds * 1e6) if view.ttl_seconds else None,
        )
        for view in declared_views(problem(engine))
        if set(view.keys) <= set(rows.column_names)
    ]
    with closing(open_engine(engine)) as opened:
        joined = join_features(opened, rows, rows["predicted_at"].combine_chunks(), views)
        count = sum(batch.num_rows for batch in joined)
    print(json.dumps({"joined": count}))


if __name__ == "__main__":
    main()
