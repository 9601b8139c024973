"""`tidemill stores`: the stores of one installation as one stream, described, and back. A backup calls it in a pod."""

import sys
from typing import Annotated

import typer

app = typer.Typer(
    help="Copy or describe the stores of an installation; backup and restore call it.", no_args_is_help=True
)


@app.command("describe")
def describe_stores(
    answers: Annotated[bool, typer.Option(help="Ask each champion for its golden rows.")] = True,
) -> None:
    """Print what the stores hold as JSON: objects, rulings, versions, and what champions answer to golden rows."""
    from components.base.settings import load_settings
    from pipelines.cluster.state import describe_installation

    typer.echo(describe_installation(load_settings(), asks_champions=answers).model_dump_json())


@app.command("export")
def export_stores() -> None:
    """Write bucket and online store to standard output as a tar."""
    from components.base.settings import load_settings
    from pipelines.cluster.stores import export_stores

    export_stores(load_settings(), sys.stdout.buffer)


@app.command("import")
def import_stores() -> None:
    """Read bucket and online store from standard input, as `export` wrote them."""
    from components.base.settings import load_settings
    from pipelines.cluster.stores import import_stores

    typer.echo(import_stores(load_settings(), sys.stdin.buffer).model_dump_json())


@app.command("serve")
def serve_champions() -> None:
    """Make each endpoint of the cluster answer with the champion that the registry names."""
    from components.base.adapters import mlflow as tracking
    from components.base.contract.load import load_problems
    from components.base.settings import load_settings
    from components.serving.host import open_host, read_served_version

    settings = load_settings()
    for problem in load_problems(settings.problems).values():
        if version := tracking.find_aliases(problem.name, settings).get("champion"):
            open_host(settings).promote(read_served_version(problem, version, settings))
            typer.echo(f"{problem.serving.endpoint}: version {version} answers")
        else:
            typer.echo(f"{problem.serving.endpoint}: there is no champion")
