"""`tidemill schedules`: the recurring runs that the platform keeps."""

from typing import Annotated

import typer


def schedules(
    problem: Annotated[
        str | None, typer.Option("--problem", "-p", metavar="NAME", help="Only this problem. Default: all.")
    ] = None,
) -> None:
    """List the recurring runs that the platform starts by itself. This machine keeps none.

    The governor's own schedule of trainings is in each contract: `retraining.schedule`.
    """
    from rich.console import Console
    from rich.table import Table

    from components.base.settings import load_settings
    from pipelines.runners import open_runner

    found = open_runner(load_settings()).list_schedules(problem)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("name", "problem", "cron", "enabled"):
        table.add_column(column)
    for schedule in found:
        table.add_row(schedule.name, schedule.problem, schedule.cron, "yes" if schedule.is_enabled else "no")
    Console().print(table if found else "No recurring run is kept here.")
