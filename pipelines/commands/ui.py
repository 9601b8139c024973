"""`tidemill ui`: MLflow's UI and the reports on loopback. Called by `make ui`."""

import fcntl
import functools
import http.server
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from components.base.settings import Settings

_HOST = "127.0.0.1"
_LOOK_SECONDS = 0.2


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
        try:
            _serve_mlflow(settings, port)
        except KeyboardInterrupt:
            typer.echo("\nReports and MLflow have ended. `make ui` opens them again.")


def _serve_mlflow(settings: "Settings", port: int) -> None:
    """Serve MLflow's UI for as long as this process lives, however that ends.

    `mlflow` starts processes of its own, which the end of their parent would not reach: whoever started them must.
    """
    from components.base.child_process import ChildPlan, start_shared
    from components.base.errors import PermanentError
    from components.base.home_lock import hold_alone, is_held

    program, log_path = Path(sys.executable).with_name("mlflow"), settings.home / "mlflow-ui.log"
    command = [sys.executable, str(program), "ui", "--backend-store-uri", settings.mlflow_uri, "--host", _HOST]
    # Its job runner is for evaluations that nobody here asks for: five processes less.
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with hold_alone(settings.home, f"ui {os.getpid()}") as used:
        running = used.with_suffix(".mlflow")
        with running.open("wb") as lock, log_path.open("wb") as log:
            fcntl.flock(lock, fcntl.LOCK_EX)
            options = ("--port", str(port), "--workers", "1")
            start_shared(ChildPlan((*command, *options), environment, Path.cwd(), log, (lock.fileno(),)), used)
        try:
            while is_held(running):
                time.sleep(_LOOK_SECONDS)
        finally:
            running.unlink()
            used.unlink()
    raise PermanentError(f"ui: MLflow must keep running, but its process ended. See {log_path}.")


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        logging.getLogger(__name__).debug(format, *args)
