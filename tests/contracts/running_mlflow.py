"""A real `mlflow server` on loopback, as the chart runs it: artifacts are not served, clients reach the store."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from components.base.settings import Settings
from pipelines.runners.services import find_free_port

# Sixteen seconds on a quiet machine; two busy cores take minutes.
_START_SECONDS = 240


@contextmanager
def running_mlflow(settings: Settings) -> Iterator[Settings]:
    """Start the server on the settings' SQLite database; give settings that reach it over HTTP."""
    port = find_free_port()
    command = [
        str(Path(sys.executable).with_name("mlflow")), "server",
        "--backend-store-uri", settings.mlflow_uri,
        "--default-artifact-root", f"s3://{settings.bucket}/mlflow",
        "--no-serve-artifacts",
        "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    settings.home.mkdir(parents=True, exist_ok=True)
    # Its job runner is for evaluations that Tidemill does not use: five processes less, and seconds at the start.
    environment = {**os.environ, **settings.child_environment(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (settings.home / "mlflow.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(url, server, settings.home / "mlflow.log")
            yield settings.model_copy(update={"mlflow_uri": url})
        finally:
            server.terminate()
            server.wait(timeout=20)


def _wait(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/health", timeout=2, trust_env=False).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError(f"mlflow server must start, but got: {log.read_text()[-2000:]}")
