"""`tidemill demo-data`: land the files of the demonstration problem."""

from typing import Annotated

import typer

from pipelines.commands.options import DEMO_PROBLEM, Problem


def demo_data(
    problem: Problem = DEMO_PROBLEM,
    until: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="YYYY-MM-DD, UTC: only months that began before it. Default: all."),
    ] = None,
    multiply: Annotated[
        int, typer.Option(min=1, max=60, help="Copies of every flight, each at another minute of its hour.")
    ] = 1,
) -> None:
    """Land the flights, the weather and the registers of 2013 in the object store, as an airline's systems would.

    `tidemill run` and `tidemill demo` do this by themselves. Files with the same content are left as they are.

    [bold]Example[/]

    tidemill demo-data --until 2013-07-01
    """
    from components.base.settings import load_settings
    from pipelines.runners.services import embedded_services
    from pipelines.simulation.demo_data import land_deliveries

    with embedded_services(load_settings()):
        landed = land_deliveries(problem, until, multiply)
    typer.echo(f"{landed.written} files landed, {landed.kept} were there with the same content")
