"""The governor's HTTP API: webhooks in, rulings out.

In: requests. Out: stored episodes, rulings as JSON, metrics. Called by `components/governor/server.py`; decides
nothing.

    POST /v1/webhooks/grafana        signed by HMAC     2xx when the alerts are stored, also duplicates and ignored ones
    POST /v1/webhooks/alertmanager   bearer token       5xx only if they are not stored
    POST /v1/problems/<name>/runs, /pause, /resume      bearer token; {"by": "...", "note": "..."}
    GET  /v1/rulings[?problem=], /v1/rulings/<id>, /v1/problems   no secret on loopback, else the bearer token
    GET  /healthz, /readyz, /metrics                    no secret
"""

import ipaddress
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException

from components.base.contract.problem import Problem
from components.base.errors import TransientError
from components.governor.archive import Archive
from components.governor.inbox import Inbox, Times
from components.governor.metrics import CONTENT_TYPE, GovernorMetrics
from components.governor.rule import count_left
from components.governor.rulings import RulingRecord
from components.governor.store import RulingStore
from components.governor.webhooks import (
    MAXIMUM_BODY_BYTES,
    RefusedError,
    Sender,
    check_bearer,
    check_signature,
    read_notification,
)

# A pass takes milliseconds, and a tick seconds: a worker without a pass for two minutes hangs.
_SILENT_WORKER_SECONDS = 120
# What an integer of a database holds.
_MAXIMUM_ID = 2**63 - 1
# No text in a database has a zero in it.
_NO_ZERO = r"^[^\x00]*$"
ProblemFilter = Annotated[str | None, Query(max_length=200, pattern=_NO_ZERO)]


@dataclass(frozen=True)
class Secrets:
    """What callers must know; None: the routes that need it answer 503."""

    token: bytes | None
    """Bearer token of Alertmanager and of persons."""
    hmac_secret: bytes | None
    """Key that Grafana signs with."""


@dataclass(frozen=True)
class Service:
    """What the app works with."""

    problems: Mapping[str, Problem]
    secrets: Secrets
    inbox: Inbox
    store: RulingStore
    archive: Archive
    metrics: GovernorMetrics
    read_times: Callable[[], Times]
    wake: Callable[[], None]
    """Starts the worker's next pass."""
    last_pass: Callable[[], datetime | None]


class PersonRequest(BaseModel):
    """Who requests a run, a pause or a resume, and why."""

    model_config = ConfigDict(extra="forbid")
    by: str = Field(min_length=1, max_length=100, pattern=_NO_ZERO)
    note: str = Field(default="", max_length=1000, pattern=_NO_ZERO)


class ProblemState(BaseModel):
    """What the governor may do for a problem now."""

    model_config = ConfigDict(frozen=True)
    problem: str
    now: datetime
    """By the governor's clock."""
    paused_by: str | None
    run_in_flight: str | None
    """Key of the run."""
    budget_left: int
    """Runs that today's budget still allows."""
    schedule: str
    alerts: tuple[str, ...]
    """Alerts that may start a run."""


def create_app(service: Service) -> FastAPI:
    """Build the application."""
    app = FastAPI(title="Tidemill governor", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(RefusedError, _answer_error)
    app.add_exception_handler(TransientError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_wrong_parameter)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_fault)
    _add_webhooks(app, service)
    _add_requests(app, service)
    _add_reads(app, service)
    _add_probes(app, service)
    return app


def _add_webhooks(app: FastAPI, service: Service) -> None:
    @app.post("/v1/webhooks/grafana")
    async def grafana(request: Request) -> dict[str, Any]:
        secret = _require(service.secrets.hmac_secret, "TIDEMILL_GOVERNOR_HMAC_FILE")
        with _counting(service):
            raw = await _read_body(request)
            check_signature(raw, request.headers, secret, time.time())
        return await run_in_threadpool(_store_alerts, service, raw, "grafana")

    @app.post("/v1/webhooks/alertmanager")
    async def alertmanager(request: Request) -> dict[str, Any]:
        token = _require(service.secrets.token, "TIDEMILL_GOVERNOR_TOKEN_FILE")
        with _counting(service):
            check_bearer(request.headers.get("Authorization", ""), token)
            raw = await _read_body(request)
        return await run_in_threadpool(_store_alerts, service, raw, "alertmanager")


def _add_requests(app: FastAPI, service: Service) -> None:
    @app.post("/v1/problems/{problem}/runs", status_code=202)
    async def order_run(problem: str, request: Request) -> dict[str, Any]:
        wanted = await _read_request(service, request, problem)
        times = service.read_times()
        ruling = await run_in_threadpool(service.inbox.open_request, problem, wanted.by, wanted.note, times)
        service.wake()
        return {"ruling": ruling, "url": f"/v1/rulings/{ruling}"}

    @app.post("/v1/problems/{problem}/pause")
    async def pause(problem: str, request: Request) -> ProblemState:
        wanted = await _read_request(service, request, problem)
        await run_in_threadpool(service.inbox.pause, problem, wanted.by, wanted.note)
        service.wake()
        return await run_in_threadpool(_read_state, service, problem)

    @app.post("/v1/problems/{problem}/resume")
    async def resume(problem: str, request: Request) -> ProblemState:
        wanted = await _read_request(service, request, problem)
        await run_in_threadpool(service.inbox.resume, problem, wanted.by, service.read_times().now)
        service.wake()
        return await run_in_threadpool(_read_state, service, problem)


def _add_reads(app: FastAPI, service: Service) -> None:
    @app.get("/v1/rulings")
    def list_rulings(request: Request, problem: ProblemFilter = None, limit: int = 100) -> list[RulingRecord]:
        _check_reader(service, request)
        return service.archive.list_rulings(problem, min(max(limit, 1), 1000))

    @app.get("/v1/rulings/{ruling}")
    def find_ruling(request: Request, ruling: int) -> RulingRecord:
        _check_reader(service, request)
        found = service.archive.find_ruling(ruling) if 0 < ruling <= _MAXIMUM_ID else None
        if found is None:
            raise RefusedError(404, f"ruling {ruling}: it must exist, but does not. GET /v1/rulings lists them.")
        return found

    @app.get("/v1/problems")
    def list_problems(request: Request) -> list[ProblemState]:
        _check_reader(service, request)
        return [_read_state(service, problem) for problem in service.problems]


def _add_probes(app: FastAPI, service: Service) -> None:
    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    def readyz() -> dict[str, str]:
        service.archive.check()
        last = service.last_pass()
        if last is None or (datetime.now(UTC) - last).total_seconds() > _SILENT_WORKER_SECONDS:
            raise RefusedError(503, f"the worker must make a pass, but its last whole one was: {last}. See the log.")
        return {"status": "ready"}

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(service.metrics.render(), media_type=CONTENT_TYPE)


def _store_alerts(service: Service, raw: bytes, sender: Sender) -> dict[str, Any]:
    """Store the alerts of a notification; return the count of each result."""
    with _counting(service):
        notification = read_notification(raw, sender, service.problems)
    stored = list(service.inbox.record_signals(notification.signals, service.read_times()))
    results: list[str] = [*stored, *notification.ignored]
    if stored:
        service.wake()
    service.metrics.count_received(results, notification.truncated)
    return {"results": {name: results.count(name) for name in results}, "truncated": notification.truncated}


async def _read_body(request: Request) -> bytes:
    """Read at most `MAXIMUM_BODY_BYTES`, whatever the headers say."""
    words = f"the body must have at most {MAXIMUM_BODY_BYTES} bytes, but has more. Set maxAlerts or max_alerts to 500."
    length = request.headers.get("Content-Length", "0")
    if not length.isdigit() or int(length) > MAXIMUM_BODY_BYTES:
        raise RefusedError(413, words)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAXIMUM_BODY_BYTES:
            raise RefusedError(413, words)
    return bytes(body)


def _require(secret: bytes | None, variable: str) -> bytes:
    """Return the secret that a route needs; a route without its secret is closed."""
    if secret is None:
        raise RefusedError(503, f"{variable} must name a file with a secret, but is unset. Set it to open this route.")
    return secret


async def _read_request(service: Service, request: Request, problem: str) -> PersonRequest:
    """Return what a person requests; checks the token first, then the problem, then the body."""
    _check_token(service, request)
    if problem not in service.problems:
        known = ", ".join(service.problems)
        raise RefusedError(404, f"problem {problem[:100]!r}: it must be one of {known}, but is not.")
    raw = await _read_body(request)
    try:
        return PersonRequest.model_validate_json(raw)
    except ValidationError as error:
        words = "; ".join(f"`{'.'.join(map(str, fault['loc']))}` {fault['msg']}" for fault in error.errors())
        raise RefusedError(400, f'the body must be {{"by": "you", "note": "why"}}, but got: {words}') from error


def _check_reader(service: Service, request: Request) -> None:
    """Allow this machine to read, and others with the token."""
    host = request.client.host if request.client else ""
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if not is_local:
        _check_token(service, request)


def _check_token(service: Service, request: Request) -> None:
    token = _require(service.secrets.token, "TIDEMILL_GOVERNOR_TOKEN_FILE")
    check_bearer(request.headers.get("Authorization", ""), token)


def _read_state(service: Service, problem: str) -> ProblemState:
    retraining, now = service.problems[problem].retraining, service.read_times().now
    ledger, found = service.store.read_ledger(problem), service.store.find_in_flight(problem)
    return ProblemState(
        problem=problem,
        now=now,
        paused_by=ledger.paused_by,
        run_in_flight=found[0].key if found else None,
        budget_left=count_left(ledger.runs, retraining, now),
        schedule=retraining.schedule,
        alerts=tuple(retraining.alerts),
    )


@contextmanager
def _counting(service: Service) -> Iterator[None]:
    """Count a notification that is refused."""
    try:
        yield
    except RefusedError:
        service.metrics.count_received(["refused"])
        raise


async def _answer_error(_: Request, error: Exception) -> JSONResponse:
    # After 503 the sender sends again.
    return JSONResponse({"error": str(error)}, error.status if isinstance(error, RefusedError) else 503)


async def _answer_wrong_parameter(_: Request, error: Exception) -> JSONResponse:
    faults = error.errors() if isinstance(error, RequestValidationError) else ()
    words = "; ".join(f"`{fault['loc'][-1]}`: {fault['msg']}, but got {str(fault['input'])[:60]!r}" for fault in faults)
    return JSONResponse({"error": f"{words}. Send it as the documentation says."}, 400)


async def _answer_http_error(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = f"there is no {request.method} {request.url.path[:200]} here. GET /v1/problems and /v1/rulings are."
    return JSONResponse({"error": words}, status)


async def _answer_fault(_: Request, __: Exception) -> JSONResponse:
    # The server logs it with its traceback.
    return JSONResponse({"error": "the governor failed. Its log says why; the request may be right."}, 500)
