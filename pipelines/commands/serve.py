"""`tidemill serve`: keep the endpoint of a version up on loopback. Called by `make serve`."""

import json
import os
import time
from contextlib import nullcontext
from datetime import datetime
from typing import Annotated

import typer

from pipelines.commands.options import DEMO_PROBLEM, Port, Problem

# Between two looks at what was promoted.
_LOOK_SECONDS = 0.5


def serve(
    problem: Problem = DEMO_PROBLEM,
    port: Port = 0,
    version: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="A version that was held, served aside. Default: the champion.")
    ] = None,
) -> None:
    """Serve a version on this machine and print a request that works. Ends with Ctrl-C.

    Without --version it follows the champion: one that is promoted meanwhile takes over, and no request is refused.

    [bold]Examples[/]

    tidemill serve --problem flight-delays --port 8080

    tidemill serve --version 2
    """
    # One row a request: more OpenMP threads only wait for each other. Read when the numeric libraries are imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from components.base.errors import EndpointUnavailableError
    from components.base.settings import load_settings
    from components.serving.endpoint import start_endpoint
    from pipelines.runners.services import embedded_services

    try:
        settings = load_settings()
        with embedded_services(settings), start_endpoint(problem, settings, port, version) as endpoint:
            url = f"{endpoint.url}/v1/models/{endpoint.name}:predict"
            body = json.dumps({"instances": [endpoint.example]})
            typer.echo(f"{endpoint.name} version {endpoint.version} answers at {endpoint.url}. Ctrl-C ends it. Try:\n")
            typer.echo(f"curl -s {url} -H 'Content-Type: application/json' -d '{body}'")
            with endpoint.taking_promotions() if version is None else nullcontext(str) as follow:
                while endpoint.process.is_running():
                    if words := follow():
                        typer.echo(f"\n{datetime.now():%H:%M:%S} {words}")
                    time.sleep(_LOOK_SECONDS)
            raise EndpointUnavailableError(
                f"{endpoint.name}: the endpoint must keep running, but its process ended. Run `tidemill serve` again."
            )
    except KeyboardInterrupt:
        typer.echo(f"\n{problem}: the endpoint has answered what it had taken and ended. `make serve` starts it again.")
