"""`tidemill promote`: make a registered version the champion because a person says so. Called by `make promote`."""

import getpass
from typing import Annotated

import typer

from pipelines.commands.options import DEMO_PROBLEM, By, InEnvironment, Problem


def promote(
    version: Annotated[str, typer.Option(metavar="NUMBER", help="Version of the registry, which `present` reported.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="The reason; kept with the version in the registry.")],
    problem: Problem = DEMO_PROBLEM,
    by: By = "",
    env: InEnvironment = None,
) -> None:
    """Release a version that was held back: smoke test and rollout as ever, without the comparison with the champion.

    [bold]Example[/]

    tidemill promote --version 3 --reason "the business accepts the lower precision, ticket 12" --env production
    """
    if not reason.strip():
        raise typer.BadParameter("the reason must have words, but is empty", param_hint="--reason")
    person = by or getpass.getuser()
    if env is not None:
        from pipelines.cluster.operations import run_inside

        words = ("promote", "--version", version, "--reason", reason, "--problem", problem, "--by", person)
        run_inside(env, words)
        return
    from components.base.contract.load import load_problem
    from components.base.settings import load_settings
    from components.release.deploy import promote_release
    from components.tasks import open_task
    from pipelines.runners.services import embedded_services

    contract = load_problem(load_settings().problems / f"{problem}.yaml")
    with embedded_services(load_settings()):
        deployment = promote_release(open_task(contract), version, person, reason, load_settings())
    for line in deployment.reasons:
        typer.echo(f"{problem}: {line}")
    if deployment.outcome != "promoted":
        raise typer.Exit(1)
