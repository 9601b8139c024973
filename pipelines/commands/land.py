"""`tidemill land`: what lies in the landing zone of a problem. Called by `make land PROBLEM=wine FROM=deliveries`.

In: a folder laid out as the contract's paths say, e.g. `sales/2026-10.csv` for the path `sales/*.csv`. Out: the same
files below `landing/<problem>/`; a file that is there already is replaced. All of them land, or none: one that no
source takes would lie there unread.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from components.base.errors import DataError, PermanentError, raise_faults, suggest_name
from pipelines.commands.options import Problem

if TYPE_CHECKING:
    from components.base.adapters.s3 import ObjectStore
    from components.base.contract.problem import Problem as Contract


def land(
    problem: Problem,
    folder: Annotated[Path | None, typer.Argument(help="Folder laid out as the contract's paths say.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List what lies in the landing zone.")] = False,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="Remove this file of the list. Repeatable.")
    ] = None,
) -> None:
    """Copy a folder of files to the landing zone of a problem, where the next run reads them; list or remove them.

    [bold]Example[/]

    tidemill land deliveries --problem wine

    tidemill land --problem wine --remove sales/2026-10.csv
    """
    from components.base.adapters.s3 import open_store
    from components.base.contract.load import load_problem
    from components.base.settings import load_settings
    from pipelines.runners.services import embedded_services

    if not (folder or listed or remove):
        raise typer.BadParameter("name a folder, or --list, or --remove FILE")
    contract = load_problem(load_settings().problems / f"{problem}.yaml")
    with embedded_services(load_settings()):
        store = open_store(load_settings())
        if remove:
            remove_files(store, contract, remove)
            typer.echo(f"Removed {len(remove)} files. The next run reads without them; snapshots that hold them stay.")
        if folder:
            typer.echo(f"{put_files(store, contract, folder)} files in landing/{problem}/")
        if listed:
            typer.echo("\n".join(list_files(store, contract)) or f"Nothing lies in landing/{problem}/.")


def put_files(store: "ObjectStore", problem: "Contract", folder: Path) -> int:
    """Put every file below the folder into the landing zone; return how many there are.

    Raises:
        PermanentError: there is no such folder, or it holds no file.
        DataError: naming each file that no source takes, that is of no period or not what its source delivers.
    """
    from components.data.file_kinds import HEAD_BYTES
    from components.data.landing import find_landing_faults, landing_prefix

    files = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}
    if not files:
        raise PermanentError(f"land: {folder} must be a folder with files, but holds none. Name another folder.")
    faults: list[str] = []
    for name, file in files.items():
        with file.open("rb") as content:
            faults += find_landing_faults(problem, name, content.read(HEAD_BYTES))
    raise_faults(DataError, f"land {folder}", faults)
    for name, file in files.items():
        store.put_file(landing_prefix(problem) + name, file)
    return len(files)


def list_files(store: "ObjectStore", problem: "Contract") -> list[str]:
    """Write a line for each file of the landing zone: when it landed, its size, its source, its name."""
    from components.base.text.wording import write_bytes
    from components.data.landing import landing_prefix, match_sources

    prefix = landing_prefix(problem)
    lines = []
    for entry in store.list_objects(prefix):
        name = entry.key.removeprefix(prefix)
        sources = ", ".join(match_sources(problem, name)) or "(of no source)"
        landed = f"{entry.modified_at:%Y-%m-%d %H:%M} UTC"
        lines.append(f"{landed}  {write_bytes(entry.size_bytes):>9}  {sources:20}  {name}")
    return lines


def remove_files(store: "ObjectStore", problem: "Contract", names: Sequence[str]) -> None:
    """Remove files of the landing zone, by their names in the list.

    Raises:
        DataError: naming each that does not lie there; then none is removed.
    """
    from components.data.landing import landing_prefix

    prefix = landing_prefix(problem)
    present = [entry.key.removeprefix(prefix) for entry in store.list_objects(prefix)]
    raise_faults(
        DataError,
        f"land {problem.name}",
        [
            f"{name} must lie in {prefix}, but does not.{suggest_name(name, present)}"
            for name in names
            if name not in present
        ],
    )
    for name in names:
        store.delete(prefix + name)
