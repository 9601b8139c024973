"""Run the training pipeline on this machine: `python -m pipelines.local --problem flight-delays --as-of 2013-07-01`.

Starts what a cluster would have (the object store), seeds the landing zone, runs the very pipeline that Kubeflow runs,
and keeps a record. Stops everything that it started.
"""

import argparse
import contextlib
import json
import logging
import resource
import shutil
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from components.base.errors import SettingsError, StepFailedError, TidemillError
from components.base.problem import parse_problem, read_contract
from components.base.settings import Settings, load_settings
from components.data.snapshot import parse_moment
from pipelines.kfp_log import KfpLog, error_of
from pipelines.runs import RunRecord, write_record
from pipelines.services import embedded_services
from pipelines.terminal import Terminal

PROBLEMS = Path(__file__).parent / "problems"
# Half a year of history first, then one month more, so that the second run meets a champion.
DEMO_PROBLEM = "flight-delays"
DEMO_DATES = ("2013-07-01", "2013-08-01")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parse(arguments)
    terminal = Terminal(_console())
    try:
        settings = load_settings()
        contract = read_contract(PROBLEMS / f"{options.problem}.yaml")
        parse_problem(contract, f"{options.problem}.yaml")
        moments = [parse_moment(as_of).isoformat() for as_of in options.as_of or _demo_dates(options.problem)]
        with embedded_services(settings):
            for as_of in moments:
                run_once(settings, options.problem, contract, as_of, terminal)
    except StepFailedError:
        return 1
    except TidemillError as error:
        terminal.console.print(str(error), style="red", markup=False, highlight=False)
        return 1
    return 0


def run_once(settings: Settings, problem: str, contract: str, as_of: str, terminal: Terminal) -> RunRecord:
    """Seed what has landed by `as_of`, run the pipeline once, show and record it.

    Raises:
        StepFailedError: when a step failed; the record is written and the error shown before.
    """
    from pipelines.seed import seed

    terminal.show_title(problem, as_of)
    seed(problem, until=as_of)
    folder = settings.home / "runs" / f"{problem}-{as_of[:10]}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    folder.mkdir(parents=True)
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    log = KfpLog(folder / "run.log", terminal)
    summary_folder = _run_pipeline(settings, contract, as_of, log)
    result = _keep_result(summary_folder, folder) if summary_folder else {}
    failed = next((step for step in log.steps if step.status == "failed"), None)
    record = RunRecord(
        name=folder.name,
        problem=problem,
        as_of=as_of,
        status="done" if summary_folder else "failed",
        started=started,
        seconds=round(time.monotonic() - clock, 1),
        peak_memory_bytes=_peak_memory_bytes(),
        steps=[
            {
                "name": step.name,
                "status": step.status,
                "seconds": round(step.seconds, 2),
                "own_seconds": round(step.own_seconds, 2),
                "message": step.message,
            }
            for step in log.steps
        ],
        error=error_of(failed) if failed else None,
        log=str(folder / "run.log"),
        report=str(folder / "report.html") if summary_folder else None,
        summary=result,
    )
    write_record(settings.home, record)
    if not summary_folder:
        terminal.show_failure(failed, record.log)
        raise StepFailedError(f"{problem}: every step must end well, but {failed.name if failed else 'none'} failed.")
    _show(terminal, record)
    return record


def _run_pipeline(settings: Settings, contract: str, as_of: str, log: KfpLog) -> Path | None:
    """Run the pipeline; return the folder of its summary, or None when a step failed."""
    with _all_output_to(log):
        from kfp import local

        from pipelines.training import training

        local.init(
            local.SubprocessRunner(use_venv=False),
            pipeline_root=str(settings.home / "kfp"),
            enable_caching=True,
            cache_root=str(settings.home / "kfp-cache"),
        )
        try:
            task = training(contract=contract, as_of=as_of)
        except RuntimeError as error:
            log.write(f"{error}\n")
            return None
    return Path(task.output.path)


@contextlib.contextmanager
def _all_output_to(log: KfpLog) -> Iterator[None]:
    """Send what kfp and the steps print to the run's log; that a step was reused is said by a logger alone."""
    handler, root = logging.StreamHandler(log), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def _peak_memory_bytes() -> int:
    """Return the largest resident set of this process and its ended children; Linux counts in KiB."""
    usages = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(usage).ru_maxrss for usage in usages) * 1024


def _keep_result(summary_folder: Path, folder: Path) -> dict[str, Any]:
    for file in summary_folder.iterdir():
        shutil.copy2(file, folder / file.name)
    result: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return result


def _show(terminal: Terminal, record: RunRecord) -> None:
    terminal.show_result(record.summary)
    peak = record.peak_memory_bytes / 2**30
    terminal.console.print(f"{len(record.steps)} steps in {record.seconds:.0f} s, peak memory {peak:.1f} GiB")
    commands = [
        ("make serve", "keep the endpoint up and print a request that works"),
        ("make ui", "open MLflow and all reports"),
        ("make runs", "list the runs of this machine"),
    ]
    report = Path(str(record.report))
    shown = report.relative_to(Path.cwd()) if report.is_relative_to(Path.cwd()) else report
    terminal.show_next(str(shown), commands)


def _console() -> Console:
    """Return a console on the real standard output; where that is a file, lines are as wide as the tables need."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else 140)


def _demo_dates(problem: str) -> Sequence[str]:
    if problem != DEMO_PROBLEM:
        raise SettingsError(f"{problem}: a moment must be given, but none is. Write AS_OF=YYYY-MM-DD.")
    return DEMO_DATES


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description="Run the training pipeline on this machine.")
    parser.add_argument("--problem", default=DEMO_PROBLEM, help="name of a contract in pipelines/problems/")
    parser.add_argument("--as-of", action="append", help="YYYY-MM-DD, UTC; repeat for several runs")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
