"""`tidemill reproduce`: build a registered version again and compare it step by step. Called by `make reproduce`."""

from typing import Annotated

import typer

from pipelines.commands.options import DEMO_PROBLEM, Problem, shorten


def reproduce(
    version: Annotated[str, typer.Option(metavar="NUMBER", help="Version of the registry.")],
    problem: Problem = DEMO_PROBLEM,
) -> None:
    """Build a version again from its record alone, in a folder of its own, and name the first step that differs.

    The contract, the snapshot and the champion are those of the record; nothing but the folder is written. Ends with
    exit code 1 when an output differs, or when a file, a tag or the snapshot was edited.

    [bold]Example[/]

    tidemill reproduce --problem flight-delays --version 2
    """
    from datetime import UTC, datetime

    from components.base.settings import load_settings
    from components.release.provenance import describe_maker, explain_maker, fetch_version
    from components.release.reproduce import RebuiltOutput, rebuild_version
    from components.tasks import open_task
    from pipelines.runners.services import embedded_services
    from pipelines.runners.terminal import open_console

    settings, console = load_settings(), open_console()
    folder = settings.home / "reproductions" / f"{problem}-{version}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    with embedded_services(settings):
        settings = load_settings()
        recorded = fetch_version(problem, version, folder / "version", settings)
        for line in explain_maker(recorded.provenance.made_by, describe_maker(settings)):
            console.print(line)
        console.print(
            f"{problem} version {version}, as of {recorded.provenance.as_of}, is built again in {shorten(folder)}"
        )
        apart: RebuiltOutput | None = None
        for one in rebuild_version(open_task(recorded.files.problem), recorded, folder, settings):
            digits = one.rebuilt[:16] if one.is_equal else f"{one.rebuilt[:16]}, recorded {one.recorded[:16] or 'none'}"
            console.print(f"  {one.step:9} {one.name:12} {'equal  ' if one.is_equal else 'DIFFERS'}  {digits}")
            apart = apart or (None if one.is_equal else one)
    if apart:
        console.print(f"Not the same: the step {apart.step} made another {apart.name}.")
        raise typer.Exit(1)
    console.print("The same: every output is as it was registered.")
