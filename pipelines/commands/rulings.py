"""List the rulings of the governor, pause or resume it: `python -m pipelines.commands.rulings [--pause | --resume]`.

Reads and writes the governor's database itself, so that it works while the governor is down; whoever may write that
file may decide. Over the network the same is done by the API, with the token.
"""

import argparse
import getpass
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from components.base.clock import read_clock
from components.base.contract.load import read_contract
from components.base.errors import TidemillError
from components.base.settings import Settings, load_settings
from components.governor.archive import Archive
from components.governor.inbox import Inbox
from components.governor.rulings import RulingRecord
from components.governor.schema import Database
from components.governor.store import RulingStore


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parse(arguments)
    console = Console(width=None if sys.stdout.isatty() else 160)
    try:
        settings = load_settings()
        settings.home.mkdir(parents=True, exist_ok=True)
        database = Database(settings.governor_database)
        if options.pause or options.resume:
            _change(console, settings, database, options)
        else:
            show_decisions(console, Archive(database).list_rulings(options.problem, options.last))
    except TidemillError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        return 1
    return 0


def show_decisions(console: Console, decisions: Sequence[RulingRecord]) -> None:
    """Print one row a decision, the newest last, where a terminal ends."""
    if not decisions:
        console.print("No decision yet: the governor decides when an alert fires or its schedule is due.")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("id", "decided", "problem", "cause", "decision", "run", "version"):
        table.add_column(column, no_wrap=True)
    table.add_column("in words", ratio=1)
    for record in reversed(decisions):
        decided = record.ruled_at
        run, version = (record.run.state, record.run.version) if record.run else (None, None)
        cause = record.cause if record.cause == "schedule" else f"{record.cause} {record.name}"
        cells = (record.problem, cause, record.choice, run or "-", version or "-")
        table.add_row(str(record.id), f"{decided:%Y-%m-%d %H:%M}", *cells, record.words)
    console.print(table, markup=False)


def _change(console: Console, settings: Settings, database: Database, options: argparse.Namespace) -> None:
    """Pause or resume a problem that has a contract, also one that the governor has not met yet."""
    read_contract(settings.problems / f"{options.problem}.yaml")
    inbox, now = Inbox(database), read_clock(settings)
    inbox.add_problem(options.problem, now)
    if options.pause:
        inbox.pause(options.problem, options.by, options.note)
    else:
        inbox.resume(options.problem, options.by, now)
    paused_by = RulingStore(database).read_ledger(options.problem).paused_by
    state = (
        f"paused by {paused_by}: nothing starts until --resume" if paused_by else "not paused; failures are forgiven"
    )
    console.print(f"{options.problem}: retraining is {state}.", markup=False, highlight=False)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make decisions", description="List or steer the governor's decisions.")
    parser.add_argument("--problem", help="of this problem only; needed to pause and resume")
    parser.add_argument("--last", type=int, default=50, help="so many of the newest")
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--pause", action="store_true", help="start no run until --resume")
    change.add_argument("--resume", action="store_true", help="go on, and forgive the failures so far")
    parser.add_argument("--by", default=getpass.getuser(), help="who says so")
    parser.add_argument("--note", default="", help="why")
    options = parser.parse_args(arguments)
    if (options.pause or options.resume) and not options.problem:
        parser.error("--problem must be given to pause or resume")
    return options


if __name__ == "__main__":
    sys.exit(main())
