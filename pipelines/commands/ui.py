"""`tidemill ui`: MLflow's UI and the reports on loopback. Called by `make ui`."""

import functools
import http.server
import logging
import subprocess
import sys
import threading
from pathlib import Path

import typer

_HOST = "127.0.0.1"


def ui() -> None:
    """Open MLflow and all reports of this machine on loopback. Ends with Ctrl-C and stops what it started."""
    from components.base.settings import load_settings
    from components.reports.home_page import render_index
    from pipelines.runners.records import read_records
    from pipelines.runners.services import embedded_services, find_free_port

    settings = load_settings()
    with embedded_services(settings):
        folder = settings.home / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        render_index(read_records(settings.home), folder / "index.html")
        server = http.server.ThreadingHTTPServer((_HOST, 0), functools.partial(_QuietHandler, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = find_free_port()
        typer.echo(f"Reports  http://{_HOST}:{server.server_port}/\nMLflow   http://{_HOST}:{port}/\nCtrl-C ends both.")
        program = Path(sys.executable).with_name("mlflow")
        command = [str(program), "ui", "--backend-store-uri", settings.mlflow_uri, "--host", _HOST, "--port", str(port)]
        try:
            code = subprocess.run([*command, "--workers", "1"], check=False).returncode
        except KeyboardInterrupt:
            return
        raise typer.Exit(code)


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        logging.getLogger(__name__).debug(format, *args)
