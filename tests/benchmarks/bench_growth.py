"""How time and memory of the steps grow with the rows: half a year of flights, once and ten times.

Each step runs in a process of its own, as in a pipeline, on an object store and a home that are thrown away. `ingest
again` finds every drop converted; select and tune work on samples of fixed size. The target is a growth of time and
memory that is no larger than that of the rows.
"""

import argparse
import importlib
import inspect
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

AS_OF = "2013-07-01T00:00:00+00:00"
CONTRACT = Path("pipelines") / "problems" / "flight-delays.yaml"
STEPS = {
    "frame": "base",
    "ingest": "data",
    "ingest again": "data",
    "validate": "data",
    "build": "features",
    "materialize": "features",
    "prepare": "features",
    "explore": "features",
    "recall": "models",
    "select": "models",
    "tune": "models",
    "ensemble": "models",
    "evaluate": "models",
}
# What a step returns is the parameter of this name for later ones.
RETURNED = {"frame": "contract", "ingest": "snapshot", "build": "features_uri", "recall": "champion"}


def main() -> None:
    """Measure and print one row per step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--step")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--multiply", type=int, default=10)
    options = parser.parse_args()
    if options.step:
        run_step(options.step, options.home)
        return
    small, large = (_measure(multiple) for multiple in (1, options.multiply))
    growth = large["rows"] / small["rows"]
    table = Table(title=f"Growth from {small['rows']:,} to {large['rows']:,} rows, {growth:.1f} times", box=None)
    for column in ("step", "s", "s", "times", "MB", "MB", "times", "target"):
        table.add_column(column, justify="left" if column == "step" else "right", no_wrap=True)
    for step in STEPS:
        seconds = (small[step]["seconds"], large[step]["seconds"])
        memory = (small[step]["megabytes"], large[step]["megabytes"])
        times = (seconds[1] / seconds[0], memory[1] / memory[0])
        numbers = (*seconds, times[0], *memory, times[1])
        table.add_row(step, *(f"{number:.1f}" for number in numbers), "holds" if max(times) <= growth else "MISSED")
    Console(width=100).print(table)


def _measure(multiple: int) -> dict:
    """Seed so many times the flights, then run each step; return its seconds and peak resident memory."""
    from components.base.settings import load_settings
    from pipelines.runners.services import embedded_services
    from pipelines.simulation.demo_data import land_deliveries

    with tempfile.TemporaryDirectory(prefix="growth-") as home:
        os.environ["TIDEMILL_HOME"] = home
        try:
            with embedded_services(load_settings()):
                land_deliveries("flight-delays", AS_OF, multiple)
                measured = {step: _run(step, home) for step in STEPS}
                accepted = json.loads((Path(home) / "accepted" / "quality.json").read_text())["rows"]["in"]
        finally:
            del os.environ["TIDEMILL_HOME"]
    return {"rows": accepted, **measured}


def _run(step: str, home: str) -> dict:
    started = time.monotonic()
    name = step.removesuffix(" again")
    command = [sys.executable, "-m", "tests.benchmarks.bench_growth", "--step", name, "--home", home]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return {**json.loads(done.stdout.splitlines()[-1]), "seconds": time.monotonic() - started}


def run_step(step: str, home: Path) -> None:
    """Run one step's wrapper in this process, on files in `home`, and print its peak memory as JSON."""
    from kfp import dsl

    function = getattr(importlib.import_module(f"components.{STEPS[step]}.steps"), step).python_func
    known = {"problem": CONTRACT.stem, "as_of": AS_OF, "due": AS_OF, "pipeline": "training"}
    arguments = {}
    for name, parameter in inspect.signature(function).parameters.items():
        kept = home / f"{name}.txt"
        if name in known:
            arguments[name] = known[name]
        elif parameter.annotation is str:
            arguments[name] = kept.read_text()
        elif name == "metrics":
            arguments[name] = dsl.Metrics(uri=str(home / name))
        elif name == "classification":
            arguments[name] = dsl.ClassificationMetrics(uri=str(home / name))
        else:
            arguments[name] = dsl.Artifact(uri=str(home / name))
    returned = function(**arguments)
    if step in RETURNED:
        # frame returns the time as well.
        (home / f"{RETURNED[step]}.txt").write_text(returned if isinstance(returned, str) else returned[0])
    print(json.dumps({"megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
