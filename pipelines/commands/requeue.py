"""`tidemill requeue`: validate the quarantined rows of a run again.

In: the folder that the `validate` step wrote. Out: `requeued/` beside it, with the rows that the contract accepts now
and those that it still does not. Needs no service: all files are on this machine.
"""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import DEMO_PROBLEM, Problem


def requeue(
    accepted: Annotated[Path, typer.Argument(help="Folder that the validate step wrote, with quarantine.parquet.")],
    problem: Problem = DEMO_PROBLEM,
) -> None:
    """Validate the quarantined rows of a run again, after the contract was corrected.

    [bold]Example[/]

    tidemill requeue .tidemill/runs/<run>/steps/<pipeline>/validate/accepted --problem flight-delays
    """
    from rich.console import Console
    from rich.table import Table

    from components.base.contract.load import load_problem
    from components.base.settings import load_settings
    from components.data.requeue import requeue_rows

    contract = load_problem(load_settings().problems / f"{problem}.yaml")
    counts = requeue_rows(contract, accepted / "quarantine.parquet", accepted, accepted.with_name("requeued"))
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("source", "rows", "accepted now", "filtered", "still quarantined"):
        table.add_column(column, justify="left" if column == "source" else "right")
    for name, of_source in counts.items():
        fates = (of_source.rows_in, of_source.accepted, of_source.filtered, of_source.quarantined)
        table.add_row(name, *(f"{rows:,}" for rows in fates))
    Console().print(table if counts else "Nothing is quarantined.")
