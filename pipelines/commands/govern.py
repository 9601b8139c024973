"""Run the governor: `python -m pipelines.commands.govern --port 8080`. Ends with SIGTERM or Ctrl-C within seconds.

Takes alerts, decides, starts training runs and follows them. On one machine it lives beside the object store that
TIDEMILL_S3_ENDPOINT names, or starts the embedded one, which then ends with it. A run that was started goes on
without the governor, and is found again.
"""

import argparse
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from rich.console import Console

from components.base.adapters.s3 import open_store
from components.base.clock import read_clock
from components.base.contract.load import load_problem
from components.base.contract.problem import Problem
from components.base.errors import SettingsError, TidemillError
from components.base.settings import Settings, load_settings
from components.governor.app import Secrets, Service, create_app
from components.governor.archive import Archive
from components.governor.inbox import Inbox, Times
from components.governor.launcher import Launcher
from components.governor.metrics import GovernorMetrics
from components.governor.schema import Database
from components.governor.store import RulingStore
from components.governor.worker import NewestResult, Worker, WorkerParts
from components.monitoring.results import MonitoringResult, read_results
from pipelines.runners.services import embedded_services

# What can be guessed in a day guards nothing.
_SECRET_BYTES = 16
_GRACE_SECONDS = 2


@dataclass(frozen=True)
class Governor:
    """The parts of one governor, put together."""

    app: FastAPI
    worker: Worker
    database: Database


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; return the exit code."""
    options = _parse(arguments)
    # `make` and supervisors end programs by SIGTERM: leave the blocks below in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = load_settings()
        problems = load_problems(settings)
        with embedded_services(settings):
            # Read again: the services have said where they are.
            settings = load_settings()
            launcher = open_launcher(settings, problems)
            governor = assemble(settings, problems, launcher, _read_newest(settings))
            serve(governor, options.host, options.port, options.tick_seconds)
    except KeyboardInterrupt:
        return 0
    except TidemillError as error:
        Console(stderr=True).print(str(error), style="red", markup=False, highlight=False)
        return 1
    return 0


def load_problems(settings: Settings) -> dict[str, Problem]:
    """Load every contract.

    Raises:
        ContractError: one has faults.
    """
    loaded = [load_problem(file) for file in sorted(settings.problems.glob("*.yaml"))]
    return {problem.name: problem for problem in loaded}


def open_launcher(settings: Settings, problems: Mapping[str, Problem]) -> Launcher:
    """Return what starts runs here, by TIDEMILL_PLATFORM."""
    if settings.platform == "kubernetes":
        from pipelines.runners.kubeflow import KfpLauncher, read_registry

        contracts = {name: (settings.problems / f"{name}.yaml").read_text(encoding="utf-8") for name in problems}
        return KfpLauncher(contracts, settings, read_registry(settings))
    from pipelines.runners.local import LocalLauncher

    return LocalLauncher(settings.home, os.environ)


def assemble(
    settings: Settings, problems: Mapping[str, Problem], launcher: Launcher, newest_result: NewestResult
) -> Governor:
    """Put a governor together on the database of the settings.

    Raises:
        SettingsError: a file of a secret is missing or holds too little.
        RulingsUnavailableError: the database does not answer.
    """

    def read_times() -> Times:
        return Times(read_clock(settings), datetime.now(UTC))

    secrets = Secrets(
        token=_read_secret(settings.governor_token_file, "TIDEMILL_GOVERNOR_TOKEN_FILE"),
        hmac_secret=_read_secret(settings.governor_hmac_file, "TIDEMILL_GOVERNOR_HMAC_FILE"),
    )
    database = Database(settings.governor_database)
    inbox, store, archive = Inbox(database), RulingStore(database), Archive(database)
    for name in problems:
        inbox.add_problem(name, read_times().now)
    worker = Worker(WorkerParts(problems, inbox, store, launcher, newest_result, read_times))
    metrics = GovernorMetrics(problems, archive, store, lambda: read_times().now)
    service = Service(
        problems=problems,
        secrets=secrets,
        inbox=inbox,
        store=store,
        archive=archive,
        metrics=metrics,
        read_times=read_times,
        wake=worker.wake,
        last_pass=lambda: worker.last_pass,
    )
    return Governor(create_app(service), worker, database)


def serve(governor: Governor, host: str, port: int, tick_seconds: float) -> None:
    """Listen, say where, and work until a signal."""
    with socket.create_server((host, port)) as listener, _working(governor.worker, tick_seconds):
        # The backlog of 100 that create_server takes would refuse a burst of notifications.
        listener.listen(2048)
        shown = f"[{host}]" if ":" in host else host
        print(f"governor listens on http://{shown}:{listener.getsockname()[1]}", flush=True)  # noqa: T201
        config = uvicorn.Config(
            governor.app,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def _working(worker: Worker, tick_seconds: float) -> Iterator[None]:
    # A daemon: a pass that waits for a dead service must not keep the process from its end; it is made again.
    thread = threading.Thread(target=worker.run, args=(tick_seconds,), name="governor-worker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(_GRACE_SECONDS)


def _read_newest(settings: Settings) -> NewestResult:
    store = open_store(settings)

    def read(problem: str) -> MonitoringResult | None:
        found = read_results(store, problem, last=1)
        return found[-1] if found else None

    return read


def _read_secret(file: Path | None, variable: str) -> bytes | None:
    if file is None:
        return None
    try:
        secret = file.read_bytes().strip()
    except OSError as error:
        raise SettingsError(f"{variable}: the file must be readable, but got: {error}. Mount the secret.") from error
    if len(secret) < _SECRET_BYTES:
        raise SettingsError(
            f"{variable}: the file must hold at least {_SECRET_BYTES} bytes, but has {len(secret)}. "
            "Write one with `openssl rand -hex 32`."
        )
    return secret


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.commands.govern", description="Decide when to train again."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--tick-seconds", type=float, default=5.0, help="look at what is held so often")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
