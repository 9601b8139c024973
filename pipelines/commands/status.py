"""`tidemill status`: one screen of what runs, serves, fires and is fresh. Called by `make status`."""

import typer

from pipelines.commands.options import InEnvironment


def status(env: InEnvironment = None) -> None:
    """Show services, runs, live models with their counted traffic, alerts and freshness on one screen.

    What cannot be read is said in its line.

    [bold]Example[/]

    tidemill status --env production
    """
    if env is not None:
        from pipelines.cluster.operations import run_inside

        run_inside(env, ("status",))
        return
    from components.base.settings import load_settings
    from pipelines.cluster.status import read_status

    for section in read_status(load_settings()):
        for position, line in enumerate(section.lines or ("",)):
            typer.echo(f"{section.title if position == 0 else '':<10}{line}".rstrip())
