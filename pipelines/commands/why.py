"""`tidemill why`: the chain behind a version, or behind one logged answer, in words. Called by `make why`."""

from typing import Annotated

import typer

from pipelines.commands.options import DEMO_PROBLEM, Problem


def why(
    problem: Problem = DEMO_PROBLEM,
    version: Annotated[str | None, typer.Option(metavar="NUMBER", help="Version. Default: the champion.")] = None,
    prediction: Annotated[str | None, typer.Option(metavar="ID", help="A logged answer, by its key.")] = None,
    row: Annotated[int, typer.Option(min=0, help="Place of the row in that request.")] = 0,
) -> None:
    """Tell what asked for a version, what it was made of, what judged it and what became of it; or explain an answer.

    Each stage names the file or record that says so.

    [bold]Examples[/]

    tidemill why --version 2

    tidemill why --prediction 7d0c3a52 --row 3
    """
    import tempfile
    from pathlib import Path

    from components.base.adapters.mlflow import find_aliases
    from components.base.contract.load import load_problem
    from components.base.errors import SettingsError
    from components.base.settings import load_settings
    from components.reports.why.prediction import explain_prediction
    from components.reports.why.version import explain_version
    from components.tasks import open_task
    from pipelines.runners.services import embedded_services
    from pipelines.runners.terminal import open_console

    if version and prediction:
        raise typer.BadParameter("one of --version and --prediction must be given, but both are")
    contract = load_problem(load_settings().problems / f"{problem}.yaml")
    with embedded_services(load_settings()), tempfile.TemporaryDirectory() as folder:
        settings = load_settings()
        if prediction:
            chain = explain_prediction(open_task(contract), prediction, row, Path(folder), settings)
        else:
            chosen = version or find_aliases(problem, settings).get("champion")
            if chosen is None:
                raise SettingsError(
                    f"{problem}: a version must be named, for there is no champion. Write --version, or run "
                    "`make demo` first."
                )
            chain = explain_version(problem, chosen, Path(folder), settings)
    console = open_console()
    for link in chain:
        console.print(f"[bold]{link.stage}[/]")
        for words in link.words:
            console.print(f"  {words}", markup=False, soft_wrap=True)
        if link.place:
            console.print(f"  → {link.place}", style="dim", markup=False, soft_wrap=True)
