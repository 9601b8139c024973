"""`tidemill doctor`: what a cluster has, and what it lacks for an environment. Called by `make doctor`."""

import typer

from pipelines.commands.options import TEST_ENVIRONMENT, Environment


def doctor(
    env: Environment = TEST_ENVIRONMENT,
) -> None:
    """Check programs, cluster, permissions, upstream parts, volumes and room; exit with 1 when something is at fault.

    [bold]Example[/]

    tidemill doctor --env production
    """
    from rich.markup import escape

    from pipelines.cluster.doctor.checks import check_cluster
    from pipelines.cluster.environment import load_environment
    from pipelines.runners.terminal import open_console

    checks = check_cluster(load_environment(env))
    console = open_console()
    marks = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "fault": "[red]✗[/]"}
    for check in checks:
        console.print(f" {marks[check.state]} {check.name:<17} {escape(check.found)}", highlight=False, soft_wrap=True)
        if check.advice:
            console.print(f"   {'':<17} [bold]{escape(check.advice)}[/]", highlight=False, soft_wrap=True)
    faults, warnings = (sum(check.state == state for check in checks) for state in ("fault", "warning"))
    console.print(f"{len(checks)} checks, {faults} faults, {warnings} warnings", highlight=False)
    if faults:
        raise typer.Exit(1)
