"""How much of a run is not its steps' own work; `make demo` comes first.

Reads the records of the runs of this machine: the time of a run, of its steps as seen from outside, and of the steps'
functions themselves. Reused steps count for nothing. The target is a run of at most 1.25 times the functions' time.
"""

from rich.console import Console
from rich.table import Table

from components.base.settings import load_settings
from pipelines.runners.records import read_records


def main() -> None:
    """Print one row per complete run."""
    table = Table(title="Orchestration", box=None, padding=(0, 2, 0, 0))
    for column in ("run", "own work s", "process starts s", "between steps s", "run s", "ratio", "target"):
        table.add_column(column, justify="right")
    for record in read_records(load_settings().home):
        if record.status != "done":
            continue
        own = sum(step.own_seconds for step in record.steps)
        outside = sum(step.seconds for step in record.steps)
        numbers = (own, outside - own, record.seconds - outside, record.seconds)
        ratio = record.seconds / own
        table.add_row(
            record.name,
            *(f"{number:.1f}" for number in numbers),
            f"{ratio:.2f}",
            "holds" if ratio <= 1.25 else "MISSED",
        )
    if not table.rows:
        raise SystemExit("bench_orchestration: there must be a complete run, but there is none. Run `make demo` first.")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
