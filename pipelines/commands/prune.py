"""`tidemill prune`: delete what a contract keeps no longer. Called by `make prune`."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, get_args

import typer

from pipelines.commands.options import DEMO_PROBLEM, InEnvironment, Problem


def prune(
    problem: Problem = DEMO_PROBLEM,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would go.")] = False,
    env: InEnvironment = None,
) -> None:
    """Delete runs, snapshots, feature tables and logged predictions that are older than the contract's `keep`.

    Deliveries, reports and the registry stay, and so does what a version with an alias, or the champion before, was
    made of.

    [bold]Example[/]

    tidemill prune --plan --env production
    """
    if env is not None:
        from pipelines.cluster.operations import run_inside

        run_inside(env, ("prune", "--problem", problem, *(["--plan"] if plan else [])))
        return
    from components.base.adapters.s3 import open_store
    from components.base.contract.load import load_problem
    from components.base.contract.problem import Keep
    from components.base.settings import load_settings
    from components.release.retention import delete_expired, find_expired
    from pipelines.runners.records import delete_runs, find_expired_runs
    from pipelines.runners.services import embedded_services

    now = find_now()
    contract = load_problem(load_settings().problems / f"{problem}.yaml")
    if contract.keep == Keep():
        typer.echo(f"{problem}: the contract has no `keep`, so everything stays. Nothing is deleted.")
        return
    with _no_run_of(problem, load_settings().home), embedded_services(load_settings()):
        settings = load_settings()
        store = open_store(settings)
        expired = find_expired(contract, now, store, settings)
        runs = find_expired_runs(settings.home, contract, now)
        if not plan:
            delete_expired(expired, store)
            delete_runs(runs)
    for folder in expired:
        typer.echo(f"{folder.uri}  last used {folder.last_used:%Y-%m-%d}, {folder.size_bytes / 1e6:.1f} MB")
    for run in runs:
        typer.echo(f"{run}")
    count = f"{len(expired)} folders of the object store, {len(runs)} runs"
    typer.echo(f"{problem}: {count} {'would be' if plan else 'are'} deleted.")


@contextmanager
def _no_run_of(problem: str, home: Path) -> Iterator[None]:
    """Let no pipeline of the problem run on this machine meanwhile: it might use what is being deleted.

    Raises:
        PermanentError: one is under way.
    """
    from components.base.home_lock import hold_alone
    from components.base.runner import Pipeline

    with ExitStack() as held:
        for pipeline in get_args(Pipeline):
            held.enter_context(hold_alone(home, f"{pipeline} of {problem}"))
        yield


def find_now() -> datetime:
    """Return the wall clock: the times of what is stored are its."""
    return datetime.now(UTC)
