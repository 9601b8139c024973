"""Keep the endpoint of the champion up on loopback and print a request that works: `make serve`. Ends with Ctrl-C."""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence

from rich.console import Console

from components.base.errors import TidemillError
from components.base.settings import load_settings
from components.serving.endpoint import Endpoint, start_endpoint
from pipelines.runners.services import embedded_services


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; return the exit code."""
    parser = argparse.ArgumentParser(prog="make serve")
    parser.add_argument("--problem", default="flight-delays")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    options = parser.parse_args(arguments)
    console = Console()
    # `make` and supervisors end programs by SIGTERM: leave the blocks below in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        settings = load_settings()
        with embedded_services(settings), start_endpoint(options.problem, settings, options.port) as endpoint:
            _show(console, endpoint)
            return _wait(console, endpoint)
    except KeyboardInterrupt:
        return 0
    except TidemillError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        return 1


def _show(console: Console, endpoint: Endpoint) -> None:
    body = json.dumps({"instances": [endpoint.example]})
    url = f"{endpoint.url}/v1/models/{endpoint.name}:predict"
    console.print(f"{endpoint.name} version {endpoint.version} answers at {endpoint.url}. Ctrl-C ends it. Try:\n")
    command = f"curl -s {url} -H 'Content-Type: application/json' -d '{body}'"
    console.print(command, soft_wrap=True, highlight=False, markup=False)


def _wait(console: Console, endpoint: Endpoint) -> int:
    while endpoint.process.is_running():
        time.sleep(0.5)
    console.print(f"{endpoint.name}: the endpoint must keep running, but its process ended. Run `make serve` again.")
    return 1


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
