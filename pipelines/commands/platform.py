"""`tidemill platform`: install what the platform stands on and a cluster does not have. Called by `make platform`."""

from typing import Annotated

import typer

from pipelines.commands.options import TEST_ENVIRONMENT, Environment


def platform(
    env: Environment = TEST_ENVIRONMENT,
    part: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this part, repeatable. Default: the environment's.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be installed, and change nothing.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Apply parts that are there, too: interrupted ones, or other versions.")
    ] = False,
    timeout_seconds: Annotated[
        float, typer.Option(min=1, help="How long each part may take until it is ready.")
    ] = 600.0,
) -> None:
    """Install Gateway API, gateway, KServe, Kubeflow Pipelines and what else the environment names, in order.

    A part that is there is left alone, whoever installed it. Done twice it changes nothing.

    [bold]Examples[/]

    tidemill platform --env test --dry-run

    tidemill platform --env production --part monitoring
    """
    from components.base.adapters.kubernetes import Kubernetes
    from pipelines.cluster.environment import load_environment
    from pipelines.cluster.parts import choose_parts, load_parts
    from pipelines.cluster.platform import Installer

    wanted = choose_parts(load_parts(), tuple(part or load_environment(env).parts))
    installer = Installer(Kubernetes(""), typer.echo, again, dry_run, timeout_seconds)
    count = installer.install(wanted)
    typer.echo(f"{len(wanted)} parts, {count} {'to install' if dry_run else 'installed'}")
