"""`tidemill rollback`: make the champion before the present one the champion again. Called by `make rollback`."""

from typing import Annotated

import typer

from pipelines.commands.options import DEMO_PROBLEM, InEnvironment, Problem


def rollback(
    reason: Annotated[str, typer.Option(metavar="TEXT", help="The reason; kept with the version in the registry.")],
    problem: Problem = DEMO_PROBLEM,
    env: InEnvironment = None,
) -> None:
    """Give the endpoint back to the champion before the present one; the registry follows when it answers.

    [bold]Example[/]

    tidemill rollback --problem flight-delays --reason "it flags every flight" --env production
    """
    if not reason.strip():
        raise typer.BadParameter("the reason must have words, but is empty", param_hint="--reason")
    if env is not None:
        from pipelines.cluster.operations import run_inside

        run_inside(env, ("rollback", "--problem", problem, "--reason", reason))
        return
    from components.base.contract.load import load_problem
    from components.base.settings import load_settings
    from components.release.deploy import rollback_release

    settings = load_settings()
    contract = load_problem(settings.problems / f"{problem}.yaml")
    version = rollback_release(contract, reason, settings)
    typer.echo(f"{problem}: version {version} is the champion again. A running `tidemill serve` has switched to it.")
