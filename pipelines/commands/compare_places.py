"""`tidemill compare-places`: where two runs of one contract and time part. Called by `make compare-places`."""

from typing import Annotated

import typer

_RUN = "A run's folder or summary.json on this machine, or s3://…/summary.json in the object store of the settings."


def compare_places(
    first: Annotated[str, typer.Argument(metavar="RUN_A", help=_RUN)],
    second: Annotated[str, typer.Argument(metavar="RUN_B", help=_RUN)],
) -> None:
    """Compare the fingerprints of every step's output of two runs, and name the first difference with its step.

    Ends with exit code 1 when there is one. A cluster keeps a run under <problem>/reports/training/ in its bucket.

    [bold]Example[/]

    tidemill compare-places .tidemill/runs/NAME s3://tidemill/flight-delays/reports/training/NAME/summary.json
    """
    from rich.table import Table

    from components.base.settings import load_settings
    from components.reports.release.compare import compare_runs, read_run
    from pipelines.runners.terminal import open_console

    settings = load_settings()
    compared = compare_runs(read_run(first, settings), read_run(second, settings))
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("output", "step", "first", "second", ""):
        table.add_column(column)
    for one in compared:
        digits = [value[:16] or "none" for value in (one.first, one.second)]
        table.add_row(one.name, one.step, *digits, "equal" if one.is_equal else "DIFFERS")
    console = open_console()
    console.print(table)
    apart = next((one for one in compared if not one.is_equal), None)
    if apart:
        console.print(f"The runs part at the step {apart.step}: another {apart.name}.")
        raise typer.Exit(1)
    console.print("Both runs made the same.")
