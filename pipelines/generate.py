"""Write what is generated from code: `make generate`; `--check` fails when a file is out of date (`make lint`)."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from components.base.problem import problem_schema

SCHEMA = Path(__file__).parent / "problems" / "problem.schema.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check every generated file; return the exit code."""
    parser = argparse.ArgumentParser(prog="make generate")
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a file is out of date")
    content = problem_schema()
    if not parser.parse_args(arguments).check:
        SCHEMA.write_text(content)
        return 0
    if SCHEMA.is_file() and SCHEMA.read_text() == content:
        return 0
    Console(stderr=True).print(f"{SCHEMA.name}: must equal what the code says, but differs. Run `make generate`.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
