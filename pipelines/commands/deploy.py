"""`tidemill deploy`, `upgrade` and `undeploy`: the platform in one environment of a cluster. Called by `make`."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.options import Environment, Timeout

if TYPE_CHECKING:
    from pipelines.cluster.deploy import Platform
    from pipelines.cluster.helm import Helm

_MINUTES_15 = 900.0
Image = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="name:tag or name@sha256:…. Default: that of the values, or of this commit."),
]


def deploy(env: Environment, image: Image = None, timeout_seconds: Timeout = _MINUTES_15) -> None:
    """Install the platform or bring it up to this checkout: chart, values, contracts, recurring runs.

    Done twice it changes nothing; one that was interrupted is done again.

    [bold]Example[/]

    tidemill deploy --env test --image registry.example/tidemill:0123abc
    """
    from pipelines.cluster.deploy import deploy as bring_up
    from pipelines.cluster.deploy import recover

    helm, platform = _open(env, image)
    recover(helm, typer.echo)
    bring_up(helm, platform, timeout_seconds, typer.echo)
    for warning in platform.warnings:
        typer.echo(f"! {warning}")
    typer.echo(
        f"Next:\n  make status ENV={env}\n  make submit ENV={env} PROBLEM=flight-delays AS_OF=2013-07-01\n"
        f"  make backup ENV={env} TO=backups/{env}"
    )


def upgrade(
    env: Environment,
    image: Image = None,
    timeout_seconds: Timeout = _MINUTES_15,
    is_agreed: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Show what an upgrade changes, field by field, with the migrations that it brings; ask; upgrade.

    [bold]Example[/]

    tidemill upgrade --env production --image registry.example/tidemill@sha256:…
    """
    from pipelines.cluster.deploy import deploy as bring_up
    from pipelines.cluster.deploy import plan_upgrade, recover, show_plan
    from pipelines.cluster.migrations import list_migrations

    helm, platform = _open(env, image)
    recover(helm, typer.echo)
    if helm.find() is None:
        typer.echo(f"Nothing is installed. Run `make deploy ENV={env}`.")
        raise typer.Exit(1)
    changes, migrations = plan_upgrade(helm), list_migrations(helm.environment)
    if not changes:
        typer.echo("Every object is as it must be: nothing to upgrade.")
        return
    typer.echo("An upgrade changes:")
    show_plan(changes, typer.echo, shows_fields=True)
    for migration in migrations:
        typer.echo(f"  migrate {migration}")
    typer.echo(f"Back up first: make backup ENV={env} TO=backups/{env}. A migration is not undone by going back.")
    if is_agreed or typer.confirm("Upgrade?"):
        bring_up(helm, platform, timeout_seconds, typer.echo)


def undeploy(
    env: Environment,
    deletes_data: Annotated[
        bool, typer.Option("--delete-data", help="Also delete volumes and Secrets. There is no way back.")
    ] = False,
) -> None:
    """End endpoints, recurring runs and services of an environment; data and passwords stay.

    [bold]Example[/]

    tidemill undeploy --env test --delete-data
    """
    from pipelines.cluster.deploy import undeploy as remove
    from pipelines.cluster.environment import load_environment

    remove(load_environment(env), typer.echo, deletes_data=deletes_data)


def _open(env: str, image: str | None) -> tuple["Helm", "Platform"]:
    """Read the environment and look at its cluster.

    Raises:
        PermanentError: with each fault that `tidemill doctor` finds, or a generated file is not what the contracts say.
    """
    from components.base.errors import PermanentError, raise_faults
    from pipelines.cluster.deploy import choose_image, find_platform, name_contracts
    from pipelines.cluster.doctor.checks import check_cluster
    from pipelines.cluster.environment import load_environment
    from pipelines.cluster.helm import Helm, merge_values
    from pipelines.cluster.kubectl import Kubectl
    from pipelines.commands.generated_files import require_current
    from pipelines.commands.image import read_commit

    require_current()
    environment = load_environment(env)
    faults = [check for check in check_cluster(environment) if check.state == "fault"]
    raise_faults(PermanentError, "cluster", [f"{one.name}: {one.found} {one.advice}" for one in faults])
    values = merge_values(environment)
    platform = find_platform(values, Kubectl(environment.namespace))
    words = (*choose_image(values, image, read_commit()), *name_contracts(), *platform.words)
    return Helm(environment, words), platform
