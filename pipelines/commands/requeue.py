"""Judge the quarantined rows of a run again: `python -m pipelines.commands.requeue <accepted folder>`.

In: the folder that the `validate` step wrote. Out: `replayed/` beside it, with the rows that the contract accepts now
and those that it still does not. Needs no service: all files are on this machine.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from components.base.contract.load import load_problem
from components.base.errors import TidemillError
from components.base.settings import load_settings
from components.data.requeue import requeue_rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.commands.requeue", description="Judge quarantined rows again."
    )
    parser.add_argument("accepted", type=Path, help="folder that the validate step wrote")
    parser.add_argument("--problem", default="flight-delays", help="name of a contract in pipelines/problems/")
    options = parser.parse_args(arguments)
    console = Console()
    try:
        problem = load_problem(load_settings().problems / f"{options.problem}.yaml")
        quarantine, folder = options.accepted / "quarantine.parquet", options.accepted.with_name("replayed")
        counts = requeue_rows(problem, quarantine, options.accepted, folder)
    except TidemillError as error:
        console.print(f"[red]{error}[/]", highlight=False)
        return 1
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("source", "rows", "accepted now", "filtered", "still quarantined"):
        table.add_column(column, justify="left" if column == "source" else "right")
    for name, of_source in counts.items():
        fates = (of_source.rows_in, of_source.accepted, of_source.filtered, of_source.quarantined)
        table.add_row(name, *(f"{rows:,}" for rows in fates))
    console.print(table if counts else "Nothing is quarantined.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
