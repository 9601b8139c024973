"""Land a folder of files in the landing zone of this machine: `make land PROBLEM=wine FROM=drops`.

In: a folder laid out as the contract's paths say, e.g. `sales/2026-10.csv` for the path `sales/*.csv`. Out: the same
files below `landing/<problem>/`; a file that is there already is replaced.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from components.base.adapters.s3 import ObjectStore, open_store
from components.base.errors import PermanentError, TidemillError
from components.base.settings import load_settings
from pipelines.runners.services import embedded_services


def land(store: ObjectStore, problem: str, folder: Path) -> int:
    """Put every file below the folder into the landing zone; return how many there are.

    Raises:
        PermanentError: there is no such folder, or it holds no file.
    """
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    if not files:
        raise PermanentError(f"land: {folder} must be a folder with files, but holds none. Name it: FROM=<folder>.")
    for file in files:
        store.put_file(f"landing/{problem}/{file.relative_to(folder).as_posix()}", file)
    return len(files)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="make land", description="Land a folder of files.")
    parser.add_argument("--problem", required=True)
    parser.add_argument("--folder", required=True, type=Path)
    options = parser.parse_args(arguments)
    console = Console()
    try:
        settings = load_settings()
        with embedded_services(settings):
            count = land(open_store(load_settings()), options.problem, options.folder)
    except TidemillError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        return 1
    console.print(f"{count} files in landing/{options.problem}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
