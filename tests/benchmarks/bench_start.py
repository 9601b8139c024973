"""From the start of the predictor to its first answer, and its memory then, beside KServe's sklearnserver.

What autoscaling is worth depends on it: a replica that is added answers after this time, beside the image's pull and
the model's download. Both start in turn, so that a busy machine hits both: read ratios. Ours opens Feast's registry and
looks features up, which the peer does not.
"""

import statistics
import tempfile
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from tests.benchmarks.endpoint_peers import SERVERS, Server, Tidemill
from tests.benchmarks.endpoint_world import build_world

_ROUNDS = 3
_PEER = "kserve"
# Seconds and megabytes of a quiet machine; on a busy one the ratio tells.
_TARGET_SECONDS, _TARGET_MEGABYTES = 4.0, 250.0


def main() -> None:
    """Print seconds and megabytes of both, and the ratio to the peer."""
    with tempfile.TemporaryDirectory(prefix="bench-start-") as name:
        folder = Path(name)
        world = build_world(folder, "hist_gradient_boosting", {"max_iter": 200})
        servers = [kind(world, folder) for kind in SERVERS if kind is Tidemill or kind.name.startswith(_PEER)]
        taken: dict[str, list[tuple[float, float]]] = {server.name: [] for server in servers}
        for i in range(_ROUNDS):
            for server in servers if i % 2 == 0 else servers[::-1]:
                taken[server.name].append(measure(server))
    show(taken)


def measure(server: Server) -> tuple[float, float]:
    """Start a server; return the seconds to its first answer, and the megabytes of its processes (PSS)."""
    seconds = server.start()
    try:
        process = psutil.Process(server.process.pid)
        tree = (process, *process.children(recursive=True))
        return seconds, sum(one.memory_full_info().pss for one in tree) / 1e6
    finally:
        server.stop()


def show(taken: dict[str, list[tuple[float, float]]]) -> None:
    """Print the medians; ratios are ours divided by the peer's."""
    table = Table("server", "seconds", "MB", "seconds, ratio", "MB, ratio")
    medians = {name: [statistics.median(column) for column in zip(*runs, strict=True)] for name, runs in taken.items()}
    ours = medians[Tidemill.name]
    for name, (seconds, megabytes) in medians.items():
        ratios = (f"{ours[0] / seconds:.2f}", f"{ours[1] / megabytes:.2f}")
        table.add_row(name, f"{seconds:.1f}", f"{megabytes:.0f}", *ratios)
    console = Console()
    console.print(table)
    reached = ours[0] <= _TARGET_SECONDS and ours[1] <= _TARGET_MEGABYTES
    console.print(f"Target: {_TARGET_SECONDS:g} s and {_TARGET_MEGABYTES:g} MB: {'holds' if reached else 'missed'}.")


if __name__ == "__main__":
    main()
