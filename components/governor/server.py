"""Put a governor together and serve it until a signal.

In: the settings, the contracts, a runner. Out: a running governor that takes alerts, rules, starts trainings and
follows them. A run that was started goes on without the governor, and is found again by its key. Called by
`components/governor/__main__.py`.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fastapi import FastAPI

from components.base.adapters.s3 import open_store
from components.base.adapters.uvicorn import open_listener, read_address, serve_app
from components.base.clock import read_clock
from components.base.contract.problem import Problem
from components.base.errors import SettingsError
from components.base.runner import Runner
from components.base.settings import Settings
from components.governor.app import Secrets, Service, create_app
from components.governor.archive import Archive
from components.governor.inbox import Inbox, Times
from components.governor.metrics import GovernorMetrics
from components.governor.schema import Database
from components.governor.store import RulingStore
from components.governor.timetable import Timetable
from components.governor.worker import NewestResult, Worker, WorkerParts
from components.monitoring.results import MonitoringResult, read_results

# A shorter secret can be guessed.
_SECRET_BYTES = 16
_GRACE_SECONDS = 2


@dataclass(frozen=True)
class Governor:
    """The parts of one governor, put together."""

    app: FastAPI
    worker: Worker
    database: Database


def assemble(
    settings: Settings,
    problems: Mapping[str, Problem],
    runner: Runner,
    newest_result: NewestResult,
    *,
    is_clock: bool = False,
) -> Governor:
    """Put a governor together on the database of the settings.

    Args:
        settings: Where database and secrets are.
        problems: The contracts by name.
        runner: Starts trainings; with `is_clock` also what the contracts schedule.
        newest_result: Returns the newest monitoring result of a problem.
        is_clock: Refresh and monitoring are started too.

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
    known_since = {name: inbox.read_schedule_seen_at(name) for name in problems}
    timetable = Timetable(runner, known_since) if is_clock else None
    worker = Worker(WorkerParts(problems, inbox, store, runner, newest_result, read_times, timetable))
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
    """Listen, print the address, and work until a signal."""
    # A daemon thread: a pass that waits for a dead service must not delay the end; the next start repeats it.
    work = threading.Thread(target=governor.worker.run, args=(tick_seconds,), name="governor-worker", daemon=True)
    with open_listener(host, port) as listener:
        print(f"governor listens on {read_address(listener)}", flush=True)  # noqa: T201
        work.start()
        try:
            serve_app(governor.app, listener, grace_seconds=_GRACE_SECONDS)
        finally:
            governor.worker.stop()
            work.join(_GRACE_SECONDS)


def open_newest_result(settings: Settings) -> NewestResult:
    """Return a reader of a problem's newest monitoring result."""
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
