"""How refresh and monitoring grow with the history: half a year, and ten times as long with the same end.

A third of the flights of 2013 is landed again for later years, so that both histories end with the same months. An
earlier ingest has converted the deliveries; the refresh after it, half a day later, is measured. Monitoring judges one
month of predictions; its log, its ledger of labels, its flights and its feature tables hold one month, or ten.

Seconds are those of the processors of this process: the machine's load does not count. The target is a growth by less
than half where `refresh.history_days` is set; without it, the numbers are what it was before.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from components.base.adapters.s3 import ObjectStore, open_store
from components.base.contract.load import load_problem
from components.base.contract.problem import Problem
from components.base.settings import Settings, load_settings
from components.data.history import find_since
from components.data.ingest import ingest_sources
from components.data.validate import validate_snapshot
from components.features.build import publish_features
from components.features.feast.feature_store import declared_views
from components.features.online.materialize import fill_online_store
from components.monitoring.labels import update_labels
from components.monitoring.monitor import monitor_window
from components.monitoring.predictions import fetch_predictions
from components.monitoring.results import Window
from components.tasks import open_task
from pipelines.runners.services import embedded_services
from pipelines.simulation.demo_data import list_deliveries
from tests.unit.monitoring.flights_world import FEATURES, START, log_rows, make_flights, put_flights, put_log
from tests.unit.monitoring.models_world import RISK, promote_model, write_features

CONTRACT = Path("pipelines") / "problems" / "flight-delays.yaml"
AS_OF = datetime(2018, 1, 1, tzinfo=UTC)
# Of history, once and ten times.
MONTHS = {"refresh": (6, 60), "monitor": (1, 10)}
FLIGHTS_A_DAY = 900
Seconds = dict[str, float]


def main() -> None:
    """Measure and print one row a step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--measure", choices=MEASURES)
    parser.add_argument("--months", type=int)
    parser.add_argument("--days", type=int, help="history_days; without it everything is read")
    options = parser.parse_args()
    if options.measure:
        problem = load_problem(CONTRACT)
        refresh = problem.refresh.model_copy(update={"history_days": options.days})
        print(json.dumps(MEASURES[options.measure](problem.model_copy(update={"refresh": refresh}), options.months)))
        return
    table = Table(title="Processor seconds, history once and ten times as long", box=None)
    for column in ("step", "reads", "1x", "10x", "times", "target"):
        table.add_column(column, justify="left" if column in {"step", "reads"} else "right", no_wrap=True)
    for measure, months in MONTHS.items():
        for reads, days in (("everything", ()), ("history_days: 120", ("--days", "120"))):
            short, long = (_measure(measure, number, days) for number in months)
            for step in short:
                verdict = "" if not days else "holds" if long[step] <= 1.5 * short[step] else "MISSED"
                seconds = f"{short[step]:.2f}", f"{long[step]:.2f}", f"{long[step] / short[step]:.1f}"
                table.add_row(step, reads, *seconds, verdict)
    Console(width=100).print(table)


def _measure(measure: str, months: int, days: Sequence[str]) -> Seconds:
    """Measure in a process of its own: clients keep the credentials of the object store that they met first."""
    command = [sys.executable, "-m", __spec__.name, "--measure", measure, "--months", str(months), *days]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds: Seconds = json.loads(done.stdout.splitlines()[-1])
    Console(stderr=True).print(measure, months, *days, seconds)
    return seconds


def _measure_refresh(problem: Problem, months: int) -> Seconds:
    """Ingest, refresh half a day later, and return the seconds of each step of the refresh."""
    with _platform() as (settings, store, home):
        _land_history(store, months)
        before = AS_OF - timedelta(hours=12)
        ingest_sources(problem, before, store, find_since(problem, "refresh", before, settings))
        seconds: Seconds = {}
        with _timed(seconds, "ingest"):
            snapshot = ingest_sources(problem, AS_OF, store, find_since(problem, "refresh", AS_OF, settings))
        with _timed(seconds, "validate"):
            validate_snapshot(problem, snapshot, home / "accepted")
        with _timed(seconds, "build"):
            features_uri = publish_features(problem, home / "accepted", store, snapshot.since)
        with _timed(seconds, "materialize"):
            fill_online_store(settings, problem, features_uri, AS_OF)
        return {**seconds, "refresh": sum(seconds.values())}


def _measure_monitor(problem: Problem, months: int) -> Seconds:
    """Monitor the last of so many months and return the seconds, that of the steps before it left out."""
    task, end = open_task(problem), START + timedelta(days=30)
    with _platform() as (settings, store, home):
        promote_model(settings, home / "model")
        start = end - timedelta(days=30 * months)
        flights = make_flights(days=30 * months, per_day=FLIGHTS_A_DAY, start=start)
        names, views = [feature for feature in FEATURES if feature.kind == "numeric"], declared_views(problem)
        put_log(store, log_rows(flights, "1", features=names, views=[view.name for view in views]))
        since = find_since(problem, "monitoring", end, settings)
        for until in pd.date_range(start + timedelta(days=30), end - timedelta(days=1), freq="30D"):
            known = flights[flights["outcome_at"] <= until]
            window = Window(start=until.to_pydatetime() - timedelta(days=30), end=until.to_pydatetime())
            predictions = fetch_predictions(task, store, window, home / f"{until:%Y%m%d}")
            accepted = put_flights(home / f"{until:%Y%m%d}", known)
            update_labels(task, accepted, [predictions], window.end, store)
        recent = flights[(flights["outcome_at"] <= end) & (flights["outcome_at"] >= (since or start))]
        accepted = put_flights(home / "accepted", recent)
        features = write_features(home / "features", recent.rename(columns={RISK: "risk"}), views)
        # Not counted: what is loaded once a process.
        monitor_window(task, accepted, features, end, settings, since)
        seconds: Seconds = {}
        with _timed(seconds, "monitor"):
            monitor_window(task, accepted, features, end, settings, since)
        return seconds


def _land_history(store: ObjectStore, months: int) -> None:
    """Land so many months of flights and weather that end with the last year; 2013 stands for each year."""
    first = AS_OF.year * 12 - months
    for name, content in list_deliveries(None, 1):
        source, month = name.split("/")[0], int(name.split("-")[1][:2])
        for year in range(2013, AS_OF.year):
            if source not in {"flights", "weather"}:
                store.put_bytes(f"landing/flight-delays/{name}", content)
            elif year * 12 + month - 1 >= first:
                header, *rows = content.splitlines(keepends=True)
                thinned = b"".join([header, *(rows[::3] if source == "flights" else rows)])
                moved = re.sub(rb"(?m)^2013,", b"%d," % year, thinned)
                moved = re.sub(rb",2013(?=-\d\d-)", b",%d" % year, moved)
                store.put_bytes(f"landing/flight-delays/{source}/{year}-{month:02d}.csv", moved)


@contextmanager
def _platform() -> Iterator[tuple[Settings, ObjectStore, Path]]:
    """Open an object store, a registry and a home that are thrown away."""
    with tempfile.TemporaryDirectory(prefix="history-") as folder:
        home = Path(folder)
        os.environ["TIDEMILL_HOME"] = folder
        try:
            with embedded_services(load_settings()):
                settings = load_settings()
                yield settings, open_store(settings), home
        finally:
            del os.environ["TIDEMILL_HOME"]


@contextmanager
def _timed(seconds: Seconds, step: str) -> Iterator[None]:
    started = time.process_time()
    yield
    seconds[step] = time.process_time() - started


MEASURES = {"refresh": _measure_refresh, "monitor": _measure_monitor}

if __name__ == "__main__":
    main()
