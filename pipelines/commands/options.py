"""Options that several commands share, so that one word has one meaning and one help text."""

from pathlib import Path
from typing import Annotated

import typer

DEMO_PROBLEM = "flight-delays"
TEST_ENVIRONMENT = "test"
# Half a year of history; the first problem once more a month later, so that the second run meets a champion.
DEMO_DATES = {DEMO_PROBLEM: ("2013-07-01", "2013-08-01"), "flight-minutes": ("2013-07-01",)}

Problem = Annotated[str, typer.Option("--problem", "-p", metavar="NAME", help="Contract in the folder of problems.")]
By = Annotated[str, typer.Option(metavar="PERSON", help="Your name, kept with the change.", show_default="your login")]
Environment = Annotated[str, typer.Option("--env", metavar="NAME", help="Folder of manifests/environments.")]
InEnvironment = Annotated[
    str | None,
    typer.Option(
        "--env", metavar="NAME", help="Do it in this installation on a cluster. Default: where this command is."
    ),
]
Timeout = Annotated[float, typer.Option("--timeout-seconds", min=30, help="How long everything may take to be ready.")]
AsOf = Annotated[
    list[str] | None,
    typer.Option(metavar="DATE", help="YYYY-MM-DD or ISO 8601 time, UTC: nothing known later is read. Repeatable."),
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")]


def shorten(path: Path) -> Path:
    """Return the path relative to the working directory where it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
