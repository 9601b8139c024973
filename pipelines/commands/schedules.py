"""`tidemill schedules`: the recurring runs that the platform keeps, and how they become those of the contracts."""

from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=False,
    help="List the recurring runs that the platform keeps, or make them those of the contracts.",
    rich_markup_mode="rich",
)


@app.callback(invoke_without_command=True)
def list_schedules(
    context: typer.Context,
    problem: Annotated[
        str | None, typer.Option("--problem", "-p", metavar="NAME", help="Only this problem. Default: all.")
    ] = None,
) -> None:
    """List the recurring runs that the platform starts by itself; on one machine the governor is the clock."""
    if context.invoked_subcommand:
        return
    from rich.console import Console
    from rich.table import Table

    from components.base.settings import load_settings
    from pipelines.runners import open_runner

    found = open_runner(load_settings()).list_schedules(problem)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("name", "problem", "cron", "enabled", "made by"):
        table.add_column(column)
    for schedule in found:
        made_by = "this installation" if schedule.mark else "others"
        table.add_row(schedule.name, schedule.problem, schedule.cron, "yes" if schedule.is_enabled else "no", made_by)
    Console().print(table if found else "No recurring run is kept here.")


@app.command("apply")
def apply_schedules(
    plan: Annotated[bool, typer.Option("--plan", help="Show what would change, and change nothing.")] = False,
) -> None:
    """Create, replace and delete recurring runs until the platform keeps what the contracts schedule.

    A recurring run that a person or another installation made is left alone. Done twice it changes nothing.

    [bold]Example[/]

    TIDEMILL_PLATFORM=kubernetes tidemill schedules apply --plan
    """
    from components.base.contract.load import load_problems
    from components.base.settings import load_settings
    from pipelines.runners import open_runner
    from pipelines.runners.schedules import apply, fingerprint_pipelines, list_wanted, plan_changes

    settings = load_settings()
    runner = open_runner(settings)
    wanted = list_wanted(load_problems(settings.problems).values(), fingerprint_pipelines(settings.image or ""))
    changes = plan_changes(wanted, runner.list_schedules())
    for change in changes if plan else apply(changes, runner):
        typer.echo(f"{change.action:<8} {change.schedule.name:<32} {change.schedule.cron}")
    typer.echo(f"{len(wanted)} scheduled, {len(changes)} {'to change' if plan else 'changed'}")


@app.command("remove")
def remove_schedules() -> None:
    """Delete every recurring run that this installation made; `tidemill undeploy` does so first."""
    from components.base.settings import load_settings
    from pipelines.runners import open_runner
    from pipelines.runners.schedules import apply, plan_changes

    runner = open_runner(load_settings())
    changes = plan_changes([], runner.list_schedules())
    for change in apply(changes, runner):
        typer.echo(f"{change.action:<8} {change.schedule.name:<32} {change.schedule.cron}")
    typer.echo(f"{len(changes)} recurring runs deleted")
