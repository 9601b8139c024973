"""`tidemill run`: run one pipeline here, or start it wherever runs belong and return.

On this machine it starts what a cluster would have (the object store), lands what the demonstration problem's systems
would have delivered by then, and runs the pipeline's steps in the terminal; everything that it started ends with it.
Called by `make refresh`, `make monitor`, `tidemill demo`, and by the local runner, which gives a run id.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from components.base.runner import Pipeline
from pipelines.commands.options import DEMO_DATES, DEMO_PROBLEM, AsOf, Problem, shorten

if TYPE_CHECKING:
    from components.base.local_run import LocalRun
    from pipelines.runners.terminal import Terminal


def run(
    pipeline: Annotated[Pipeline, typer.Argument(help="Pipeline to run.", show_choices=True)],
    problem: Problem = DEMO_PROBLEM,
    as_of: AsOf = None,
    run_id: Annotated[str, typer.Option(metavar="KEY", help="Name of the run; a name runs once. Needs one date.")] = "",
    seed: Annotated[bool, typer.Option(help="Land the demonstration problem's files up to the date first.")] = True,
    detach: Annotated[
        bool,
        typer.Option("--detach", help="Start it and return: a process of its own, or a run on Kubeflow Pipelines."),
    ] = False,
) -> None:
    """Run a pipeline: train and release a model, refresh the features, or monitor what was served.

    Without a date, training takes the demonstration's two dates, refresh and monitoring take the present.

    [bold]Examples[/]

    tidemill run training --problem wine --as-of 2026-10-01

    tidemill run refresh

    TIDEMILL_PLATFORM=kubernetes tidemill run monitoring --detach
    """
    if detach:
        start_detached(pipeline, problem, as_of, run_id)
    else:
        run_pipelines(pipeline, problem, as_of, run_id=run_id, lands_demo_data=seed)


def run_pipelines(
    pipeline: Pipeline, problem: str, as_of: Sequence[str] | None, *, run_id: str = "", lands_demo_data: bool = True
) -> None:
    """Run the pipeline once per date, one after the other, on this machine.

    Raises:
        StepFailedError: a step failed; the record is written and the error shown before.
        TidemillError: a date, the contract or a setting is wrong; nothing was started.
    """
    from components.base.contract.load import load_problem
    from components.base.run_lock import claim_run
    from components.base.settings import load_settings
    from pipelines.runners.run import Job, run_pipeline
    from pipelines.runners.services import embedded_services
    from pipelines.runners.terminal import Terminal, open_console
    from pipelines.simulation.demo_data import land_deliveries

    terminal, settings = Terminal(open_console()), load_settings()
    load_problem(settings.problems / f"{problem}.yaml")
    jobs = [Job(pipeline, problem, time, run_id) for time in _choose_times(pipeline, problem, as_of)]
    # A run without a name is always new; a name that was claimed before has run or is running.
    with claim_run(settings.home / "runs" / run_id) if run_id else nullcontext(True) as is_ours:
        if not is_ours:
            return
        with embedded_services(settings):
            # The services have written their addresses into the environment.
            settings = load_settings()
            for job in jobs:
                if lands_demo_data:
                    land_deliveries(problem, until=job.as_of)
                _show(terminal, run_pipeline(settings, job, terminal))


def start_detached(pipeline: Pipeline, problem: str, as_of: Sequence[str] | None, run_id: str) -> None:
    """Start the pipeline through the runner of the settings, and print the names of the runs."""
    from components.base.settings import load_settings
    from components.base.times import parse_time
    from pipelines.runners import open_runner

    runner = open_runner(load_settings())
    for time in _choose_times(pipeline, problem, as_of):
        key = run_id or f"{problem}-{pipeline}-{time[:10]}"
        runner.start(key, pipeline, problem, parse_time(time))
        typer.echo(f"{key}: started. `tidemill runs` shows what becomes of it.")


def _choose_times(pipeline: Pipeline, problem: str, as_of: Sequence[str] | None) -> list[str]:
    """Return the given dates as ISO 8601; else the demonstration's dates for its trainings, or the present."""
    from components.base.clock import read_clock
    from components.base.errors import SettingsError
    from components.base.settings import load_settings
    from components.base.times import parse_time

    if as_of:
        return [parse_time(time).isoformat() for time in as_of]
    if pipeline != "training":
        return [read_clock(load_settings()).isoformat(timespec="seconds")]
    if problem not in DEMO_DATES:
        raise SettingsError(f"{problem}: training needs a date, but got none. Write --as-of YYYY-MM-DD.")
    return [parse_time(time).isoformat() for time in DEMO_DATES[problem]]


def _show(terminal: "Terminal", record: "LocalRun") -> None:
    from components.base import documents
    from components.reports.release.summary import ReleaseSummary

    champion = record.model_version
    if record.pipeline == "training":
        summary = documents.read(ReleaseSummary, Path(record.log).parent / "summary.json")
        terminal.show_result(summary)
        champion = summary.champion_version
    peak = record.peak_memory_bytes / 2**30
    terminal.console.print(f"{len(record.steps)} steps in {record.seconds:.0f} s, peak memory {peak:.1f} GiB")
    if record.report:
        terminal.show_next(
            str(shorten(Path(record.report))), list_next_commands(record.problem, record.model_version, champion)
        )


def list_next_commands(problem: str, version: str | None, champion: str | None) -> list[tuple[str, str]]:
    """Return the commands that work now, with their purpose.

    Args:
        problem: Name of the problem.
        version: That the run registered; None for a refused model, or a pipeline that registers none.
        champion: Who serves now; None when nobody does.
    """
    named = "" if problem == DEMO_PROBLEM else f" PROBLEM={problem}"
    commands = [(f"make serve{named}", "keep the endpoint up and print a request that works")] if champion else []
    if version and version != champion:
        commands += [
            (f"make serve{named} VERSION={version}", "try the version that was held, aside"),
            (f'make promote{named} VERSION={version} REASON="..."', "release it all the same, under your name"),
        ]
    if version:
        commands.append((f"make why{named} VERSION={version}", "what it was made of and what judged it"))
    return [
        *commands,
        ("make ui", "open MLflow and all reports"),
        ("make runs", "list the runs of this machine"),
    ]
