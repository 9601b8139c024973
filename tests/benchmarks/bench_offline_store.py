"""The point-in-time join: our offline store, the same join written by hand, and Feast's own DuckDB store.

One million entity rows, three views, ten features, ttl 30 days. `sparse` has 5, 5 and 2 feature rows a key, `dense`
100, 300 and 10; `revised` is dense with ties that the created time breaks. Every measurement is a process of its own
that prints what the join alone took: seconds, CPU seconds of all threads, and peak memory above what was in use before.

Targets: at most 1.3 times the time and 1.5 times the memory of the join by hand; on `dense` a tenth of the CPU of
Feast's store; the same values in every row. Ours alone must also keep the order of the rows.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from rich.console import Console
from rich.table import Table

VIEW_SHAPES = {
    "sparse": ((1_000_000, 5), (300_000, 5), (400_000, 2)),
    "dense": ((1_000_000, 100), (300_000, 300), (100_000, 10)),
    "revised": ((1_000_000, 100), (300_000, 300), (100_000, 10)),
}
FEATURE_COUNTS = (4, 3, 3)
TTL_DAYS = 30
# Shape, contenders, and the fraction of the rows. Feast's own store joins every pair of an entity row and an earlier
# feature row: with all rows it took 255 s, 184 CPU s and 13.8 GB here (91 times the CPU of ours), so it gets a fifth.
CASES = (
    ("sparse", ("by hand", "ours"), 1.0),
    ("dense", ("by hand", "ours"), 1.0),
    ("revised", ("by hand", "ours"), 1.0),
    ("dense", ("by hand", "ours", "feast duckdb"), 0.2),
)
LIMIT_SECONDS = 900


def main() -> None:
    """Measure all contenders, or, with --contender, one in this process."""
    options = read_options()
    if options.contender:
        json.dump(measure(options), sys.stdout)
        return
    table = Table(title="Point-in-time join", box=None, padding=(0, 1, 0, 0))
    table.add_column("history", no_wrap=True)
    table.add_column("contender", no_wrap=True)
    for column in ("rows", "s", "CPU s", "peak MB", "time x", "CPU x", "memory x", "same"):
        table.add_column(column, justify="right", no_wrap=True)
    for shape, contenders, fraction in CASES:
        rows = int(options.rows * fraction)
        with tempfile.TemporaryDirectory() as folder:
            write_tables(Path(folder), shape, rows)
            results = run_rounds(contenders, shape, folder, options.rounds)
        for name, result in results.items():
            table.add_row(shape, name, f"{rows:,}", *describe(result, results["by hand"]))
    Console().print(table)


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="entity rows; feature rows shrink in proportion")
    parser.add_argument("--rounds", type=int, default=3, help="processes a contender, of which the least counts")
    parser.add_argument("--contender", choices=sorted(JOINS))
    parser.add_argument("--shape", choices=sorted(VIEW_SHAPES))
    parser.add_argument("--folder", type=Path)
    return parser.parse_args()


def run_rounds(contenders: tuple[str, ...], shape: str, folder: str, rounds: int) -> dict[str, dict]:
    """Measure the contenders by turns, so that all meet the same machine; take the least of each number."""
    results: dict[str, list[dict]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name in contenders:
            if number == 0 or name != "feast duckdb":
                results[name].append(run_once(name, shape, folder))
    return {name: {key: min(run[key] for run in runs) for key in runs[0]} for name, runs in results.items()}


def run_once(contender: str, shape: str, folder: str) -> dict:
    """Measure a contender in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, "--contender", contender, "--shape", shape, "--folder", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def describe(result: dict, by_hand: dict) -> list[str]:
    """Write the numbers and their ratios to the join by hand."""
    numbers = ("seconds", "cpu_seconds", "peak_mb")
    ratios = [f"{result[name] / by_hand[name]:.2f}" for name in numbers]
    same = "yes" if result["digest"] == by_hand["digest"] else "NO"
    seconds, cpu_seconds, peak_mb = (result[name] for name in numbers)
    return [f"{seconds:.2f}", f"{cpu_seconds:.2f}", f"{peak_mb:.0f}", *ratios, same]


def write_tables(folder: Path, shape: str, row_count: int) -> None:
    """Write the entity frame and the three views as parquet."""
    random = np.random.default_rng(0)

    def draw_times(count: int) -> pd.DatetimeIndex:
        microseconds = random.integers(0, 90 * 86_400 * 10**6, count)
        return pd.DatetimeIndex(np.datetime64("2013-01-01", "us") + microseconds.astype("timedelta64[us]"), tz="UTC")

    entities = {"row": np.arange(row_count), "event_timestamp": draw_times(row_count)}
    for view, (full_rows, rows_a_key) in enumerate(VIEW_SHAPES[shape]):
        count = max(full_rows * row_count // 1_000_000, rows_a_key)
        key_count = count // rows_a_key
        entities[f"key{view}"] = random.integers(0, key_count, row_count)
        columns = {f"key{view}": random.integers(0, key_count, count), "event_timestamp": draw_times(count)}
        if shape == "revised":
            # Half of the moments twice, each time written at another time.
            columns["event_timestamp"] = columns["event_timestamp"].take(np.arange(count) // 2)
            columns[f"key{view}"] = columns[f"key{view}"][np.arange(count) // 2]
            columns["created"] = pd.DatetimeIndex(
                pd.Timestamp("2013-06-01", tz="UTC") + pd.to_timedelta(random.permutation(count), unit="s")
            ).as_unit("us")
        for feature in range(FEATURE_COUNTS[view]):
            columns[f"view{view}_{feature}"] = random.normal(size=count)
        pd.DataFrame(columns).to_parquet(folder / f"{shape}_view{view}.parquet", index=False)
    pd.DataFrame(entities).to_parquet(folder / f"{shape}_entities.parquet", index=False)


def measure(options: argparse.Namespace) -> dict:
    """Prepare the contender, then measure the join alone."""
    warnings.simplefilter("ignore")
    entities = pd.read_parquet(options.folder / f"{options.shape}_entities.parquet")
    join = JOINS[options.contender](options.folder, options.shape)
    resident = reset_peak()
    wall, cpu = time.perf_counter(), time.process_time()
    joined = join(entities)
    seconds, cpu_seconds, peak = time.perf_counter() - wall, time.process_time() - cpu, read_memory("VmHWM")
    ordered = joined if options.contender == "ours" else joined.sort_by("row")
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mb": peak - resident, "digest": digest(ordered)}


def reset_peak() -> float:
    """Forget the peak memory of the process so far; give the memory in use, in MB."""
    Path("/proc/self/clear_refs").write_text("5")
    return read_memory("VmRSS")


def read_memory(name: str) -> float:
    """Read a number of /proc/self/status in MB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def digest(joined: pa.Table) -> str:
    """Sum up every value of every row, in the order of the rows."""
    total = hashlib.sha256()
    for name in ("row", "key0", "key1", "key2", *feature_names()):
        # No feature has this value: it stands for a missing one.
        total.update(joined[name].fill_null(-(10**9)).to_numpy().tobytes())
    return total.hexdigest()


def feature_names() -> list[str]:
    """Name the features of all views."""
    return [f"view{view}_{feature}" for view, count in enumerate(FEATURE_COUNTS) for feature in range(count)]


def prepare_by_hand(folder: Path, shape: str) -> Callable[[pd.DataFrame], pa.Table]:
    """Write the SQL that a data scientist would; it leaves the order of the rows open."""
    import duckdb

    connection = duckdb.connect()
    values, joins = [], []
    for view, count in enumerate(FEATURE_COUNTS):
        source = f"'{folder}/{shape}_view{view}.parquet'"
        if shape == "revised":
            source = (
                f"(FROM {source} QUALIFY row_number() OVER "
                f"(PARTITION BY key{view}, event_timestamp ORDER BY created DESC) = 1)"
            )
        fresh = f"v{view}.event_timestamp >= e.event_timestamp - INTERVAL {TTL_DAYS} DAY"
        values += [f"CASE WHEN {fresh} THEN view{view}_{i} END AS view{view}_{i}" for i in range(count)]
        joins.append(
            f"ASOF LEFT JOIN {source} v{view} "
            f"ON e.key{view} = v{view}.key{view} AND e.event_timestamp >= v{view}.event_timestamp"
        )
    query = f"SELECT e.*, {', '.join(values)} FROM entities e {' '.join(joins)}"

    def join(entities: pd.DataFrame) -> pa.Table:
        connection.register("entities", entities)
        return connection.sql(query).to_arrow_table()

    return join


def prepare_ours(folder: Path, shape: str) -> Callable[[pd.DataFrame], pa.Table]:
    """Open Feast with our offline store."""
    return prepare_feast(
        folder, shape, {"type": "components.features.feast.offline_store.AsOfOfflineStore", "root": str(folder)}
    )


def prepare_feasts_own(folder: Path, shape: str) -> Callable[[pd.DataFrame], pa.Table]:
    """Open Feast with its own DuckDB store."""
    return prepare_feast(folder, shape, {"type": "duckdb"})


def prepare_feast(folder: Path, shape: str, offline_store: dict) -> Callable[[pd.DataFrame], pa.Table]:
    """Open Feast and register the views."""
    from feast import FeatureStore, RepoConfig

    state = tempfile.mkdtemp(dir=folder)
    store = FeatureStore(
        config=RepoConfig(
            project="benchmark",
            provider="local",
            registry=f"{state}/registry.db",
            online_store={"type": "sqlite", "path": f"{state}/online.db"},
            offline_store=offline_store,
            entity_key_serialization_version=3,
        )
    )
    declared = [declare_view(folder, shape, view) for view in range(len(FEATURE_COUNTS))]
    store.apply([item for pair in declared for item in pair])
    names = [f"{name.split('_')[0]}:{name}" for name in feature_names()]
    return lambda entities: store.get_historical_features(entity_df=entities, features=names).to_arrow()


def declare_view(folder: Path, shape: str, view: int) -> tuple:
    """Declare one entity and its view."""
    from datetime import timedelta

    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.types import Float64, Int64

    entity = Entity(name=f"key{view}", join_keys=[f"key{view}"], value_type=ValueType.INT64)
    features = [Field(name=f"view{view}_{i}", dtype=Float64) for i in range(FEATURE_COUNTS[view])]
    source = FileSource(
        path=str(folder / f"{shape}_view{view}.parquet"),
        timestamp_field="event_timestamp",
        created_timestamp_column="created" if shape == "revised" else "",
    )
    feature_view = FeatureView(
        name=f"view{view}",
        entities=[entity],
        ttl=timedelta(days=TTL_DAYS),
        schema=[Field(name=f"key{view}", dtype=Int64), *features],
        source=source,
    )
    return entity, feature_view


JOINS = {"by hand": prepare_by_hand, "ours": prepare_ours, "feast duckdb": prepare_feasts_own}

if __name__ == "__main__":
    main()
