"""Run a pipeline on this machine: `python -m pipelines.commands.demo --problem flight-delays --as-of 2013-07-01`.

Starts what a cluster would have (the object store), seeds the landing zone, and runs the pipeline, training unless
another is named. Stops everything that it started. Called by `make demo`, `make refresh`, `make monitor` and the
governor.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rich.console import Console

from components.base.clock import read_clock
from components.base.contract.load import parse_problem, read_contract
from components.base.errors import SettingsError, StepFailedError, TidemillError
from components.base.settings import Settings, load_settings
from components.base.times import parse_time
from pipelines.runners.records import RunRecord
from pipelines.runners.run import PIPELINES, Job, run_pipeline
from pipelines.runners.run_lock import claim_run
from pipelines.runners.services import embedded_services
from pipelines.runners.terminal import Terminal

# Half a year of history first, then one month more, so that the second run meets a champion.
DEMO_PROBLEM = "flight-delays"
DEMO_DATES = ("2013-07-01", "2013-08-01")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parse(arguments)
    terminal = Terminal(_console())
    try:
        settings = load_settings()
        contract = read_contract(settings.problems / f"{options.problem}.yaml")
        parse_problem(contract, f"{options.problem}.yaml")
        moments = [parse_time(as_of).isoformat() for as_of in options.as_of or _choose_moments(options, settings)]
        jobs = [Job(options.pipeline, options.problem, contract, as_of, options.run_id) for as_of in moments]
        with _claimed(settings, options.run_id) as is_ours:
            if is_ours:
                _run_all(settings, jobs, terminal, with_seed=not options.no_seed)
    except StepFailedError:
        return 1
    except TidemillError as error:
        terminal.console.print(str(error), style="red", markup=False, highlight=False)
        return 1
    return 0


def _run_all(settings: Settings, jobs: Sequence[Job], terminal: Terminal, *, with_seed: bool) -> None:
    with embedded_services(settings):
        for job in jobs:
            # The services are in the environment now.
            run_once(load_settings(), job, terminal, with_seed=with_seed)


def _claimed(settings: Settings, run_id: str) -> AbstractContextManager[bool]:
    """Give True unless a run of this id has begun before; one without an id is always new."""
    return claim_run(settings.home / "runs" / run_id) if run_id else nullcontext(True)


def run_once(settings: Settings, job: Job, terminal: Terminal, *, with_seed: bool) -> RunRecord:
    """Seed what has landed by `as_of`, run the pipeline once, and show what came out.

    Raises:
        StepFailedError: when a step failed; the record is written and the error shown before.
    """
    from pipelines.commands.demo_data import seed

    if with_seed:
        seed(job.problem, until=job.as_of)
    record = run_pipeline(settings, job, terminal)
    _show(terminal, record)
    return record


def _show(terminal: Terminal, record: RunRecord) -> None:
    if record.pipeline == "training":
        terminal.show_result(record.summary)
    peak = record.peak_memory_bytes / 2**30
    terminal.console.print(f"{len(record.steps)} steps in {record.seconds:.0f} s, peak memory {peak:.1f} GiB")
    commands = [
        ("make serve", "keep the endpoint up and print a request that works"),
        ("make ui", "open MLflow and all reports"),
        ("make runs", "list the runs of this machine"),
    ]
    if record.report is None:
        return
    report = Path(record.report)
    shown = report.relative_to(Path.cwd()) if report.is_relative_to(Path.cwd()) else report
    terminal.show_next(str(shown), commands)


def _console() -> Console:
    """Return a console on the real standard output; where that is a file, lines are as wide as the tables need."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else 140)


def _choose_moments(options: argparse.Namespace, settings: Settings) -> Sequence[str]:
    """Return the demonstration's dates for its problem; refresh and monitoring live in the present."""
    if options.pipeline != "training":
        return [read_clock(settings).isoformat(timespec="seconds")]
    if options.problem != DEMO_PROBLEM:
        raise SettingsError(f"{options.problem}: a moment must be given, but none is. Write AS_OF=YYYY-MM-DD.")
    return DEMO_DATES


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description="Run a pipeline on this machine.")
    parser.add_argument("--problem", default=DEMO_PROBLEM, help="name of a contract in pipelines/problems/")
    parser.add_argument("--pipeline", choices=PIPELINES, default="training")
    parser.add_argument("--as-of", action="append", help="YYYY-MM-DD, UTC; repeat for several runs")
    parser.add_argument("--run-id", default="", help="name of the run and its folder, for one moment only")
    parser.add_argument("--no-seed", action="store_true", help="leave the landing zone as it is")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
