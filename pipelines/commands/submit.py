"""`tidemill submit`: run one pipeline where runs belong, and follow it to its end. Called by `make submit`."""

from datetime import datetime
from typing import Annotated

import typer

from components.base.runner import Pipeline
from pipelines.commands.options import DEMO_PROBLEM, Problem


def submit(
    pipeline: Annotated[Pipeline, typer.Argument(help="Pipeline to run.", show_choices=True)] = "training",
    problem: Problem = DEMO_PROBLEM,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="DATE", help="YYYY-MM-DD or ISO 8601 time, UTC: nothing known later is read. Default: now."
        ),
    ] = None,
    run_id: Annotated[
        str,
        typer.Option(metavar="KEY", help="Name of the run; one that was started is followed. Default: a new name."),
    ] = "",
) -> None:
    """Start a run on the cluster, show its steps as they change, and end with its exit code.

    Ctrl-C ends the command and leaves the run; the same --run-id follows it again.

    [bold]Example[/]

    TIDEMILL_PLATFORM=kubernetes tidemill submit training --problem flight-delays --as-of 2013-07-01
    """
    from components.base.clock import read_clock
    from components.base.contract.load import load_problem
    from components.base.errors import StepFailedError
    from components.base.settings import load_settings
    from components.base.times import parse_time
    from pipelines.runners import open_runner
    from pipelines.runners.follow import follow_run

    settings = load_settings()
    load_problem(settings.problems / f"{problem}.yaml")
    time = parse_time(as_of) if as_of else read_clock(settings)
    key = run_id or f"{problem}-{pipeline}-{time:%Y-%m-%d}-{datetime.now():%m%d-%H%M%S}"
    runner = open_runner(settings)
    runner.start(key, pipeline, problem, time)
    report = follow_run(runner, key, problem, typer.echo)
    version = f", version {report.version}" if report.version else ""
    typer.echo(f"{key}: {report.outcome or report.state}{version}")
    for reason in report.reasons:
        typer.echo(f"  {reason}")
    if report.state == "failed":
        raise StepFailedError(f"{key}: the run must succeed, but failed.")
