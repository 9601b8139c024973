"""`tidemill generate`: write what is generated; `--check` fails when a file is out of date (`make lint`)."""

from typing import Annotated

import typer


def generate(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when a file is out of date.")] = False,
) -> None:
    """Write the files that are generated from code and contracts: JSON Schema, alert rules, Grafana, dashboards.

    [bold]Examples[/]

    tidemill generate

    tidemill generate --check
    """
    from pipelines.commands import generated_files

    files = generated_files.list_files()
    stale = generated_files.find_stale(files)
    if not check:
        generated_files.write_files(files, stale)
        return
    for path in stale:
        name = path.relative_to(generated_files.ROOT)
        typer.echo(f"{name}: must equal what the code says, but differs. Run `make generate`.", err=True)
    if stale:
        raise typer.Exit(1)
