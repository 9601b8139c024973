"""`tidemill land`: copy a folder of files to the landing zone. Called by `make land PROBLEM=wine FROM=deliveries`.

In: a folder laid out as the contract's paths say, e.g. `sales/2026-10.csv` for the path `sales/*.csv`. Out: the same
files below `landing/<problem>/`; a file that is there already is replaced.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from components.base.errors import PermanentError
from pipelines.commands.options import Problem

if TYPE_CHECKING:
    from components.base.adapters.s3 import ObjectStore


def land(
    folder: Annotated[Path, typer.Argument(help="Folder laid out as the contract's paths say.")],
    problem: Problem,
) -> None:
    """Copy a folder of files to the landing zone of a problem, where the next run reads them.

    [bold]Example[/]

    tidemill land deliveries --problem wine
    """
    from components.base.adapters.s3 import open_store
    from components.base.settings import load_settings
    from pipelines.runners.services import embedded_services

    with embedded_services(load_settings()):
        count = put_files(open_store(load_settings()), problem, folder)
    typer.echo(f"{count} files in landing/{problem}/")


def put_files(store: "ObjectStore", problem: str, folder: Path) -> int:
    """Put every file below the folder into the landing zone; return how many there are.

    Raises:
        PermanentError: there is no such folder, or it holds no file.
    """
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    if not files:
        raise PermanentError(f"land: {folder} must be a folder with files, but holds none. Name another folder.")
    for file in files:
        store.put_file(f"landing/{problem}/{file.relative_to(folder).as_posix()}", file)
    return len(files)
