"""`tidemill runs`: the runs of this machine, or of Kubeflow Pipelines. Called by `make runs`."""

from typing import Annotated

import typer


def runs(
    problem: Annotated[
        str | None, typer.Option("--problem", "-p", metavar="NAME", help="Only this problem. Default: all.")
    ] = None,
) -> None:
    """List the runs, the newest last: what ran, how it ended, which version came out and where its report is."""
    from rich.table import Table

    from components.base.settings import load_settings
    from pipelines.runners import open_runner
    from pipelines.runners.terminal import open_console

    found = open_runner(load_settings()).list_runs(problem)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("started", "pipeline", "problem", "as of", "state", "seconds", "verdict", "version", "report"):
        table.add_column(column)
    for run in found:
        seconds = "-" if run.seconds is None else f"{run.seconds:.0f}"
        row = (f"{run.started:%Y-%m-%dT%H:%M:%S}", run.pipeline, run.problem, run.as_of[:10], run.state, seconds)
        table.add_row(*(cell or "-" for cell in (*row, run.verdict, run.version, run.report)))
    # A file or a pipe gets every value whole.
    console = open_console(file_width=10_000)
    console.print(table if found else "No run yet. Start one: tidemill demo")
    if any(run.state == "died" for run in found):
        console.print("A run that died changed nothing after that. The same command goes on from what it finished.")
