"""What the prediction log costs a request: the same predictor with the log, without it, and without it once more.

All three are up together and are loaded in short turns of changing order, over a real object store to which segments
are uploaded every five seconds, 60 times as often as by default. A machine that does other work only ever adds time, so
that the lower quartile over turns counts. Read the ratios to the turns of both predictors without a log; theirs say how
much of a ratio is noise. Target: with the log the p99 of one row is at most 1.05 times that without.
"""

import dataclasses
import json
import selectors
import socket
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from components.base.adapters.s3 import ObjectStore
from components.base.adapters.seaweedfs import running_object_store
from components.base.settings import Settings, load_settings
from components.serving.prediction_log.schema import predictions_prefix
from tests.benchmarks.endpoint_peers import Tidemill
from tests.benchmarks.endpoint_world import World, build_world

_SECONDS = 0.5
_ROUNDS = 80
_QUIET_PERCENT = 25
_TARGET = 1.05
_SEGMENT_SECONDS = 5.0
_RESAMPLES = 2000
_CASES = (1, 8)
_SERVERS = {"without": False, "with the log": True, "without, again": False}


@dataclass
class Turns:
    """What a server did in its turns of one case: one entry a turn."""

    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    requests: int = 0


def main() -> None:
    """Print p50, p99 and CPU with their ratios, and say whether the target holds."""
    console = Console(width=150)
    with tempfile.TemporaryDirectory(prefix="bench-prediction-log-") as name:
        folder = Path(name)
        world = build_world(folder, "hist_gradient_boosting", {"max_iter": 200})
        settings = load_settings({"TIDEMILL_HOME": world.environ["TIDEMILL_HOME"]})
        with running_object_store(settings) as endpoint:
            store = ObjectStore(endpoint, settings.bucket)
            store.ensure_bucket()
            placed = settings.with_store(endpoint)
            servers = {name: make_server(name, world, folder, placed) for name in _SERVERS}
            try:
                for server in servers.values():
                    console.print(f"{server.name}: first answer after {server.start():.1f} s")
                for connections in _CASES:
                    console.print(report(connections, measure(servers, connections)))
            finally:
                for server in servers.values():
                    server.stop()
            objects = store.list_objects(predictions_prefix(world.problem.name))
            size = sum(found.size_bytes for found in objects) / 1e6
            console.print(f"{len(objects)} segments with {size:.1f} MB are in the object store")


def make_server(name: str, world: World, folder: Path, settings: Settings) -> Tidemill:
    """Return a predictor with its log on or off."""
    log = {
        "prediction_log": "on" if _SERVERS[name] else "off",
        "prediction_log_segment_seconds": _SEGMENT_SECONDS,
        "prediction_log_spool": folder / "spool" / name.replace(" ", "-"),
    }
    environ = {**world.environ, **settings.model_copy(update=log).child_environment()}
    server = Tidemill(dataclasses.replace(world, environ=environ), folder)
    server.name = name
    return server


def measure(servers: dict[str, Tidemill], connections: int) -> dict[str, Turns]:
    """Load each server in turn, in an order that changes; the first turn warms up and does not count."""
    turns = {name: Turns() for name in servers}
    names = list(servers)
    for i in range(-1, _ROUNDS):
        first = i % len(names)
        for name in names[first:] + names[:first]:
            process = psutil.Process(servers[name].process.pid)
            before = sum(process.cpu_times()[:2])
            taken = load(servers[name], connections)
            if i >= 0:
                p50, p99 = np.percentile(taken, [50, 99])
                turns[name].p50_ms.append(p50)
                turns[name].p99_ms.append(p99)
                turns[name].cpu_ms.append((sum(process.cpu_times()[:2]) - before) / len(taken) * 1e3)
                turns[name].requests += len(taken)
    return turns


def load(server: Tidemill, connections: int) -> list[float]:
    """Ask over some connections, each as soon as it was answered; return the milliseconds of every request."""
    requests = [_request(server, i) for i in range(400)]
    address = urlsplit(server.url)
    taken: list[float] = []
    with selectors.DefaultSelector() as selector:
        for i in range(connections):
            connection = socket.create_connection((address.hostname, address.port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection, selectors.EVENT_READ, [i, time.perf_counter(), bytearray()])
            connection.sendall(requests[i])
        until = time.perf_counter() + _SECONDS
        while time.perf_counter() < until:
            for key, _ in selector.select(1):
                state = key.data
                state[2] += key.fileobj.recv(2**16)
                if _is_whole(state[2]):
                    taken.append((time.perf_counter() - state[1]) * 1e3)
                    state[0] += connections
                    state[1], state[2] = time.perf_counter(), bytearray()
                    key.fileobj.sendall(requests[state[0] % len(requests)])
        for key in list(selector.get_map().values()):
            key.fileobj.close()
    return taken


def _request(server: Tidemill, i: int) -> bytes:
    body = json.dumps(server.body(slice(i, i + 1))).encode()
    lines = (f"POST {server.path} HTTP/1.1", "host: bench", "content-type: application/json")
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


def _is_whole(answer: bytearray) -> bool:
    head, separator, body = bytes(answer).partition(b"\r\n\r\n")
    if not separator:
        return False
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"every request must be answered with 200, but got {bytes(answer)[:500]!r}")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(body) >= int(length)


def report(connections: int, turns: dict[str, Turns]) -> Table:
    """Return the table of one case: lower quartiles over turns, and ratios with an interval over resampled turns."""
    table = Table(title=f"1 row, {connections} at a time", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("server", "requests", "p50 ms", "p99 ms", "CPU ms", "p50 ratio", "p99 ratio", "CPU ratio", "target"):
        table.add_column(column, justify="left" if column in ("server", "target") else "right")
    without = [its for name, its in turns.items() if not _SERVERS[name]]
    for name, its in turns.items():
        parts = ("p50_ms", "p99_ms", "cpu_ms")
        ratios = [ratio(getattr(its, part), [getattr(one, part) for one in without]) for part in parts]
        words = "" if name != "with the log" else f"<= {_TARGET}: {'holds' if ratios[1][0] <= _TARGET else 'MISSED'}"
        quiet = [np.percentile(part, _QUIET_PERCENT) for part in (its.p50_ms, its.p99_ms, its.cpu_ms)]
        written = [f"{middle:.3f} ({low:.3f} to {high:.3f})" for middle, low, high in ratios]
        numbers = [f"{number:.2f}" for number in quiet]
        table.add_row(name, str(its.requests), *numbers, *written, words)
    return table


def ratio(ours: list[float], theirs: list[list[float]]) -> tuple[float, float, float]:
    """Return the ratio of the lower quartiles, with the 95% interval of rounds that are drawn again."""
    rng = np.random.default_rng(1)
    drawn = rng.integers(len(ours), size=(_RESAMPLES, len(ours)))
    quiet = np.percentile(np.array(ours)[drawn], _QUIET_PERCENT, axis=1)
    reference = np.percentile(np.array(theirs)[:, drawn], _QUIET_PERCENT, axis=(0, 2))
    low, high = np.percentile(quiet / reference, [2.5, 97.5])
    return float(np.percentile(ours, _QUIET_PERCENT) / np.percentile(theirs, _QUIET_PERCENT)), float(low), float(high)


if __name__ == "__main__":
    main()
