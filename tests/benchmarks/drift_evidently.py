"""Evidently's DataDriftPreset on two parquet files, as a program of its own environment, which lacks our packages.

`python drift_evidently.py WINDOW REFERENCE` reads both, compares them, and prints as JSON what that took after the
imports: seconds, CPU seconds of all threads, peak resident memory; and the distance that it found for each column.
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path

os.environ["DO_NOT_TRACK"] = "1"
warnings.simplefilter("ignore")

import pandas as pd  # noqa: E402
from evidently import Report  # noqa: E402
from evidently.presets import DataDriftPreset  # noqa: E402


def main() -> None:
    """Measure and print."""
    wall, cpu = time.perf_counter(), time.process_time()
    window, reference = (pd.read_parquet(path) for path in sys.argv[1:3])
    found = Report([DataDriftPreset()]).run(window, reference).dict()
    taken = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    lines = Path("/proc/self/status").read_text().splitlines()
    peak_kb = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    distances = {
        metric["config"]["column"]: float(metric["value"])
        for metric in found["metrics"]
        if "column" in metric.get("config", {})
    }
    print(json.dumps({**taken, "peak_mb": peak_kb / 1024, "distances": distances}))


if __name__ == "__main__":
    main()
