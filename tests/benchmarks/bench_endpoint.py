"""The endpoint against KServe's sklearnserver, MLServer and `mlflow models serve`, side by side.

Every server answers the same fitted pipeline on one thread. The peers are given all features; ours is given the request
and looks the features up in Feast's SQLite store. Servers are loaded in short turns of changing order, so that a busy
machine hits all: read ratios. Targets: one row, at least 8 times the throughput at lower p50 and p99 than each peer;
100 rows, at least 1.5 times the best peer. What a request costs its server in CPU depends least on the neighbours.
"""

import asyncio
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from components.serving.predictor.compiled.pipeline import MAXIMUM_DIFFERENCE
from tests.benchmarks.endpoint_peers import SERVERS, Server
from tests.benchmarks.endpoint_world import World, build_world

_SECONDS = 1
_ROUNDS = 8
# Like a search would choose for 100,000 rows.
_FAMILY, _PARAMETERS = "hist_gradient_boosting", {"max_iter": 200}


@dataclass(frozen=True)
class Case:
    """Rows a request and requests at a time."""

    rows: int
    connections: int
    target: float | None
    """Smallest ratio of throughput to each peer; None only informs."""

    @property
    def name(self) -> str:
        """Title of the columns."""
        return f"{self.rows} row{'s' if self.rows > 1 else ''}, {self.connections} at a time"


@dataclass(frozen=True)
class Load:
    """What a server did under load."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    """CPU of the server's processes, a request."""


CASES = (Case(1, 1, 8), Case(1, 8, 8), Case(100, 1, 1.5), Case(100, 8, 1.5))


def main() -> None:
    """Print the table of every case, with ratios, and say which targets hold."""
    family = sys.argv[1] if len(sys.argv) > 1 else _FAMILY
    console = Console(width=150)
    with tempfile.TemporaryDirectory(prefix="bench-endpoint-") as name:
        folder = Path(name)
        world = build_world(folder, family, _PARAMETERS if family == _FAMILY else {})
        servers = [kind(world, folder) for kind in SERVERS]
        try:
            for server in servers:
                started = server.start()
                memory = psutil.Process(server.process.pid).memory_info().rss / 2**20
                different = largest_difference(server, world)
                console.print(
                    f"{server.name}: first answer after {started:.1f} s, {memory:.0f} MB, "
                    f"probabilities within {different:.1g} of scikit-learn"
                )
                assert different <= MAXIMUM_DIFFERENCE, server.name
            for case in CASES:
                console.print(report(case, measure(servers, case, folder)))
        finally:
            for server in servers:
                server.stop()


def largest_difference(server: Server, world: World) -> float:
    """Return the greatest difference of the answers, one by one and in a batch, from scikit-learn's own."""
    single = np.concatenate([server.ask(slice(i, i + 1)) for i in range(20)])
    many = server.ask(slice(0, 100))
    expected = world.probabilities
    return float(max(np.abs(single - expected[:20]).max(), np.abs(many - expected[:100]).max()))


def measure(servers: list[Server], case: Case, folder: Path) -> dict[str, Load]:
    """Load each server in turn, several rounds; the median of each number counts."""
    rounds: dict[str, list[Load]] = {server.name: [] for server in servers}
    for i in range(_ROUNDS):
        first = i % len(servers)
        for server in servers[first:] + servers[:first]:
            rounds[server.name].append(load(server, case, folder))
    return {
        name: Load(*(statistics.median(getattr(run, field) for run in runs) for field in Load.__annotations__))
        for name, runs in rounds.items()
    }


def load(server: Server, case: Case, folder: Path) -> Load:
    """Ask a server over and over, with 400 rows in turn."""
    starts = range(0, 400 - case.rows + 1, 100 if case.rows > 1 else 1)
    bodies = [json.dumps(server.body(slice(start, start + case.rows))) for start in starts]
    ask = _load_with_wrk if shutil.which("wrk") else _load_with_httpx
    before = _cpu_seconds(server)
    requests, p50, p99, seconds = ask(server.url, bodies, case.connections, folder)
    return Load(requests / seconds, p50, p99, (_cpu_seconds(server) - before) / requests * 1e3)


def _cpu_seconds(server: Server) -> float:
    process = psutil.Process(server.process.pid)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def _load_with_wrk(url: str, bodies: list[str], connections: int, folder: Path) -> tuple[int, float, float, float]:
    script = folder / "requests.lua"
    quoted = ",\n".join(f"[==[{body}]==]" for body in bodies)
    script.write_text(
        f"local bodies = {{{quoted}}}\nlocal i = 0\n"
        'wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\n'
        "request = function() i = i % #bodies + 1; return wrk.format(nil, nil, nil, bodies[i]) end\n"
    )
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{_SECONDS}s",
        "--timeout",
        "20s",
        "--latency",
        "-s",
        str(script),
        url,
    ]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    pattern = r"50%\s+([\d.]+\w+).*99%\s+([\d.]+\w+).*\n\s*(\d+) requests in ([\d.]+\w+)"
    found = re.search(pattern, printed, re.DOTALL)
    if found is None or "Non-2xx" in printed:
        raise RuntimeError(f"{url} must answer every request with 200, but wrk says:\n{printed}")
    return int(found[3]), _milliseconds(found[1]), _milliseconds(found[2]), _milliseconds(found[4]) / 1e3


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[unit]


def _load_with_httpx(url: str, bodies: list[str], connections: int, _folder: Path) -> tuple[int, float, float, float]:
    taken: list[float] = []
    until = time.perf_counter() + _SECONDS

    async def client(first: int) -> None:
        async with httpx.AsyncClient(timeout=30, headers={"content-type": "application/json"}) as session:
            i = first
            while (begun := time.perf_counter()) < until:
                answer = await session.post(url, content=bodies[i % len(bodies)])
                answer.raise_for_status()
                taken.append((time.perf_counter() - begun) * 1e3)
                i += 1

    async def clients() -> None:
        await asyncio.gather(*(client(i) for i in range(connections)))

    asyncio.run(clients())
    p50, p99 = np.percentile(taken, [50, 99])
    return len(taken), float(p50), float(p99), _SECONDS


def report(case: Case, loads: dict[str, Load]) -> Table:
    """Return the table of one case; each peer's ratio is our throughput over its own."""
    ours = loads[SERVERS[0].name]
    table = Table(title=case.name, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("server", "requests/s", "p50 ms", "p99 ms", "CPU ms", "ours/its requests/s", "target"):
        table.add_column(column, justify="left" if column in ("server", "target") else "right")
    for name, its in loads.items():
        ratio = ours.per_second / its.per_second
        is_faster = ours.p50_ms < its.p50_ms and ours.p99_ms < its.p99_ms
        held = ratio >= (case.target or 0) and (is_faster or case.rows > 1)
        words = "" if its is ours or case.target is None else f">= {case.target:g}: {'holds' if held else 'MISSED'}"
        numbers = (
            f"{its.per_second:.0f}",
            f"{its.p50_ms:.2f}",
            f"{its.p99_ms:.2f}",
            f"{its.cpu_ms:.2f}",
            f"{ratio:.1f}",
        )
        table.add_row(name, *numbers, words)
    return table


if __name__ == "__main__":
    main()
