"""`tidemill rulings`: what the governor ruled, in words; pause it and resume it.

Reads and writes the governor's database itself, so that it works while the governor is down: write access to that
database is the permission. Over the network the governor's API does the same, with the token.
"""

import getpass
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.options import By, InEnvironment, Problem

if TYPE_CHECKING:
    from rich.console import Console

    from components.base.settings import Settings
    from components.governor.inbox import Inbox
    from components.governor.rulings import RulingRecord
    from components.governor.schema import Database

app = typer.Typer(help="List what the governor ruled, pause retraining, resume it.", no_args_is_help=True)


@app.command("list")
def list_rulings(
    problem: Annotated[
        str | None, typer.Option("--problem", "-p", metavar="NAME", help="Only this problem. Default: all.")
    ] = None,
    last: Annotated[int, typer.Option(min=1, help="Number of rulings to show, the newest.")] = 50,
    env: InEnvironment = None,
) -> None:
    """List the rulings, the newest last: run, hold, escalate or close, and why."""
    if env is not None:
        chosen = ("--problem", problem) if problem else ()
        _run_inside(env, "list", "--last", str(last), *chosen)
        return
    from components.governor.archive import Archive
    from pipelines.runners.terminal import open_console

    _, database = _open()
    show_rulings(open_console(160), Archive(database).list_rulings(problem, last))


@app.command()
def pause(
    problem: Problem,
    by: By = "",
    note: Annotated[str, typer.Option(metavar="TEXT", help="The reason.")] = "",
    env: InEnvironment = None,
) -> None:
    """Start no training of a problem until it is resumed; alerts are still taken and shown.

    [bold]Example[/]

    tidemill rulings pause --problem flight-delays --note "broken feed, see ticket 12"
    """
    person = by or getpass.getuser()
    if env is not None:
        _run_inside(env, "pause", "--problem", problem, "--by", person, "--note", note)
        return
    settings, database = _open()
    _inbox(settings, database, problem).pause(problem, person, note)
    _show_state(database, problem)


@app.command()
def resume(problem: Problem, by: By = "", env: InEnvironment = None) -> None:
    """Let the governor start trainings of a problem again, and reset its count of failed runs."""
    person = by or getpass.getuser()
    if env is not None:
        _run_inside(env, "resume", "--problem", problem, "--by", person)
        return
    from components.base.clock import read_clock

    settings, database = _open()
    _inbox(settings, database, problem).resume(problem, person, read_clock(settings))
    _show_state(database, problem)


def show_rulings(console: "Console", rulings: Sequence["RulingRecord"]) -> None:
    """Print one row a ruling, the newest last, where a terminal ends."""
    from rich.table import Table

    if not rulings:
        console.print("No ruling yet: the governor rules when an alert fires or its schedule is due.")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("id", "ruled", "problem", "cause", "ruling", "run", "version"):
        table.add_column(column, no_wrap=True)
    table.add_column("in words", ratio=1)
    for record in reversed(rulings):
        run, version = (record.run.state, record.run.version) if record.run else (None, None)
        cause = record.cause if record.cause == "schedule" else f"{record.cause} {record.name}"
        cells = (record.problem, cause, record.choice, run or "-", version or "-")
        table.add_row(str(record.id), f"{record.ruled_at:%Y-%m-%d %H:%M}", *cells, record.words)
    console.print(table, markup=False)


def _run_inside(env: str, *words: str) -> None:
    from pipelines.cluster.operations import run_inside

    run_inside(env, ("rulings", *words))


def _open() -> tuple["Settings", "Database"]:
    from components.base.settings import load_settings
    from components.governor.schema import Database

    settings = load_settings()
    settings.home.mkdir(parents=True, exist_ok=True)
    return settings, Database(settings.governor_database)


def _inbox(settings: "Settings", database: "Database", problem: str) -> "Inbox":
    """Open the inbox for a problem that has a contract, also one that the governor has not met yet."""
    from components.base.clock import read_clock
    from components.base.contract.load import read_contract
    from components.governor.inbox import Inbox

    read_contract(settings.problems / f"{problem}.yaml")
    inbox = Inbox(database)
    inbox.add_problem(problem, read_clock(settings))
    return inbox


def _show_state(database: "Database", problem: str) -> None:
    from components.governor.store import RulingStore

    paused_by = RulingStore(database).read_ledger(problem).paused_by
    state = (
        f"paused by {paused_by}: no run starts until `tidemill rulings resume`"
        if paused_by
        else "not paused; the count of failed runs is reset"
    )
    typer.echo(f"{problem}: retraining is {state}.")
