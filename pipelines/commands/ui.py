"""Open MLflow's UI and the reports on loopback: `make ui`. Ends with Ctrl-C and stops what it started."""

import functools
import http.server
import logging
import socket
import subprocess
import sys
import threading
from pathlib import Path

from rich.console import Console

from components.base.errors import TidemillError
from components.base.settings import Settings, load_settings
from components.reports.home_page import render_index
from pipelines.runners.records import read_records
from pipelines.runners.services import embedded_services

_HOST = "127.0.0.1"


def main() -> int:
    """Serve until interrupted; return the exit code."""
    console = Console()
    try:
        settings = load_settings()
        with embedded_services(settings):
            reports, port = _serve_reports(settings), _free_port()
            console.print(f"Reports  http://{_HOST}:{reports}/\nMLflow   http://{_HOST}:{port}/\nCtrl-C ends both.")
            return _run_mlflow(settings, port)
    except KeyboardInterrupt:
        return 0
    except TidemillError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        return 1


def _serve_reports(settings: Settings) -> int:
    """Write the index of all runs and serve it from a thread; return the port."""
    folder = settings.home / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    render_index(read_records(settings.home), folder / "index.html")
    handler = functools.partial(_QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer((_HOST, 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((_HOST, 0))
        return int(listener.getsockname()[1])


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        logging.getLogger(__name__).debug(format, *args)


def _run_mlflow(settings: Settings, port: int) -> int:
    program = Path(sys.executable).with_name("mlflow")
    command = [str(program), "ui", "--backend-store-uri", settings.mlflow_uri, "--host", _HOST, "--port", str(port)]
    return subprocess.run([*command, "--workers", "1"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
