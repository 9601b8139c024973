"""The HTTP face of the predictor: own prediction routes in front of KServe's application.

In: ASGI requests. Out: V1 and V2 answers, and `{"error": "..."}` with the right status for a wrong request. Built by
`server`. Readiness, metadata, liveness and metrics stay KServe's; what is not listed here is closed, above all the
repository API that would let anybody unload the model.

A request may carry a key of its own in the header `idempotency-key`; it gets one if not, and every answer repeats it.
In the prediction log two requests of one key and one content are one: a caller that repeats a request should repeat
its key. A row may carry its own in `instance_id`. The header `x-request-id` is the name of a trace, in which a caller
may ask many times: it is repeated and identifies nothing. A request with the header `x-prediction-log: off` is neither
logged nor counted: nobody acts on the answers of a smoke test, and the limits of a rollout are about what users ask.

KServe's own prediction routes cost more than the model, answer 500 to a missing column and read bodies of any size.
"""

import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from components.base.errors import NotLoggedError, TransientError, suggest_name
from components.base.task import Task
from components.serving.predictor.metrics import PredictorMetrics
from components.serving.predictor.model import Prediction
from components.serving.predictor.openapi import describe_api
from components.serving.predictor.requests import LOG_HEADER, VERSION_HEADER, RequestError, RequestSchema, Row
from components.serving.predictor.tensors import answer_v2, list_answer_datatypes, parse_v2

_LOGGED_CHARACTERS = 300
_TRACE, _KEY = "x-request-id", "idempotency-key"
_NAME_FORM = re.compile(r"[!-~]{1,128}")
# Enough that no two requests ever get the same.
_RANDOM_BYTES = 16
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_PATHS = (
    "POST /v1/models/{name}:predict, POST /v2/models/{name}/infer, GET /v2/models/{name}, GET /v2/health/ready, "
    "GET /openapi.json"
)

logger = logging.getLogger(__name__)
Predict = Callable[[bytes, str], Awaitable[dict[str, Any]]]


class Inference(Protocol):
    """What the routes need of the predictor."""

    name: str
    version: str
    task: Task
    schema: RequestSchema
    maximum_body_bytes: int
    metrics: PredictorMetrics

    async def infer(self, rows: Sequence[Row], request_id: str) -> list[Prediction]:
        """Predict through KServe's data plane; count the rows and log them under the request's id, if it has one."""

    async def is_ready(self) -> bool:
        """Return whether predictions are answered."""


def build_app(endpoint: Inference, kserve_app: ASGIApp) -> Starlette:
    """Return the application that answers predictions itself and leaves the rest to KServe's."""
    routes = _Routes(endpoint)
    known = _KnownModel(endpoint, kserve_app)
    app = Starlette(
        routes=[
            # Every method comes here, else GET would match `/v1/models/{name}` with a name that ends in :predict.
            Route("/v1/models/{name}:predict", routes.predict_v1, methods=_METHODS),
            Route("/v2/models/{name}/infer", routes.predict_v2, methods=_METHODS),
            Route("/openapi.json", routes.describe),
            Route("/v2/health/ready", routes.ready),
            Route("/v2/models/{name}/ready", routes.ready),
            Route("/v1/models/{name}", routes.ready),
            *(Route(path, kserve_app, methods=["GET"]) for path in ("/", "/metrics", "/v1/models")),
            *(Route(path, kserve_app, methods=["GET"]) for path in ("/v2", "/v2/health/live", "/v2/models")),
            Route("/v2/models/{name}", known, methods=["GET"]),
            Route("/v2/repository/{rest:path}", _refuse_repository, methods=_METHODS),
        ],
        exception_handlers={HTTPException: _answer_http_error},
    )
    # /v2/ is no path of the protocol: answer 404, instead of redirecting the caller.
    app.router.redirect_slashes = False
    return app


@dataclass(frozen=True)
class _Routes:
    """The routes that are answered here."""

    endpoint: Inference

    @cached_property
    def datatypes(self) -> dict[str, str]:
        """Datatype of each tensor of a V2 answer, by name."""
        return list_answer_datatypes(self.endpoint.task)

    async def predict_v1(self, request: Request) -> Response:
        return await self._answer(request, "v1", self._predict_v1)

    async def predict_v2(self, request: Request) -> Response:
        return await self._answer(request, "v2", self._predict_v2)

    async def describe(self, request: Request) -> Response:
        del request
        one = self.endpoint
        return _json(describe_api(one.schema, one.task, one.name, one.version))

    async def ready(self, request: Request) -> Response:
        name = request.path_params.get("name", self.endpoint.name)
        if name != self.endpoint.name:
            return _error_response(_unknown_model(name, self.endpoint.name), 404)
        if not await self.endpoint.is_ready():
            return _error_response(f"model {name} version {self.endpoint.version} is not ready. Try again.", 503)
        return _json({"name": name, "ready": True}, headers={VERSION_HEADER: self.endpoint.version})

    async def _predict_v1(self, body: bytes, request_id: str) -> dict[str, Any]:
        rows = self.endpoint.schema.parse_v1(body)
        version, columns = self.endpoint.version, self.endpoint.task.output_columns
        return {
            "predictions": [
                {
                    **dict(zip(columns, prediction.output, strict=True)),
                    "decision": prediction.decision,
                    "model_version": version,
                    "missing_features": prediction.missing_features,
                }
                for prediction in await self.endpoint.infer(rows, request_id)
            ]
        }

    async def _predict_v2(self, body: bytes, request_id: str) -> dict[str, Any]:
        rows, request = parse_v2(self.endpoint.schema, self.datatypes, body)
        predictions = await self.endpoint.infer(rows, request_id)
        columns: dict[str, list[Any]] = {
            **{
                column: [prediction.output[i] for prediction in predictions]
                for i, column in enumerate(self.endpoint.task.output_columns)
            },
            "decision": [prediction.decision for prediction in predictions],
            "missing_features": [orjson.dumps(prediction.missing_features).decode() for prediction in predictions],
        }
        return answer_v2(columns, self.datatypes, request, self.endpoint.name, self.endpoint.version)

    async def _answer(self, request: Request, protocol: str, predict: Predict) -> Response:
        """Answer one prediction request, and count it unless nobody waits for the answer."""
        begun = time.perf_counter()
        metrics = self.endpoint.metrics
        request_id = _read_name(request, _KEY) or os.urandom(_RANDOM_BYTES).hex()
        is_logged = request.headers.get(LOG_HEADER) != "off"
        metrics.begin_request()
        try:
            content, status = await self._predict(request, predict, request_id if is_logged else "")
        except ClientDisconnect:
            return Response(status_code=400)
        finally:
            metrics.end_request()
        if is_logged:
            metrics.count_request(protocol, status, time.perf_counter() - begun)
        return _json(content, status, {_KEY: request_id, _TRACE: _read_name(request, _TRACE) or request_id})

    async def _predict(self, request: Request, predict: Predict, request_id: str) -> tuple[dict[str, Any], int]:
        """Return the content and the status of the answer; no error leaves it but a lost caller."""
        try:
            self._check(request)
            return await predict(await _read_body(request, self.endpoint.maximum_body_bytes), request_id), 200
        except ClientDisconnect:
            raise
        except RequestError as error:
            _log(request, error.status, str(error))
            return {"error": str(error)}, error.status
        except NotLoggedError as error:
            _log(request, 503, str(error))
            return {"error": "the prediction cannot be recorded now. Try again with the same idempotency-key."}, 503
        except TransientError as error:
            _log(request, 503, str(error))
            return {"error": "the features cannot be looked up now. Try again."}, 503
        except Exception:
            logger.exception("predictor: 500 %s %r", request.method, request.url.path[:_LOGGED_CHARACTERS])
            return {"error": "the predictor failed. Its log says why; the request may be right."}, 500

    def _check(self, request: Request) -> None:
        """Raise a RequestError for what is wrong in the request line and the headers."""
        if request.method != "POST":
            raise RequestError(f"{request.url.path} answers POST, but got {request.method}.", 405)
        name = request.path_params["name"]
        if name != self.endpoint.name:
            raise RequestError(_unknown_model(name, self.endpoint.name), 404)
        headers = request.headers
        for header in (_TRACE, _KEY):
            given = headers.get(header)
            if given is not None and not _NAME_FORM.fullmatch(given):
                raise RequestError(
                    f"{header} must be 1 to 128 printable ASCII characters without spaces, but got {given[:60]!r}. "
                    "Send such a name, or leave the header out."
                )
        kind = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RequestError(f"content-type must be application/json, but got {kind[:60]!r}.", 415)
        if headers.get("content-encoding", "identity") != "identity":
            raise RequestError("the body must not be compressed. Send it as it is.", 415)
        if "inference-header-content-length" in headers:
            raise RequestError("binary tensors are not taken. Send the values as JSON in `data`.", 415)


@dataclass(frozen=True)
class _KnownModel:
    """Leaves a path with a model's name to KServe when that model is served here."""

    endpoint: Inference
    kserve_app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path_params"]["name"]
        known = name == self.endpoint.name
        answer = self.kserve_app if known else _error_response(_unknown_model(name, self.endpoint.name), 404)
        await answer(scope, receive, send)


def _read_name(request: Request, header: str) -> str:
    """Return the name in a header; empty when there is none that may be repeated."""
    given = request.headers.get(header, "")
    return given if _NAME_FORM.fullmatch(given) else ""


async def _read_body(request: Request, maximum_bytes: int) -> bytes:
    """Read the body up to the limit, by its announced length and by the bytes that come."""
    too_large = f"the body must have at most {maximum_bytes} bytes, but got {{}}. Send several requests."
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > maximum_bytes:
        raise RequestError(too_large.format(announced[:20]), 413)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > maximum_bytes:
            raise RequestError(too_large.format("more"), 413)
    return bytes(body)


async def _refuse_repository(request: Request) -> Response:
    words = "models are not loaded or unloaded by request here. Deploy another version through the platform."
    _log(request, 403, words)
    return _error_response(words, 403)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = f"there is no {request.method} {request.url.path[:200]} here. This server answers {_PATHS}."
    _log(request, status, words)
    return _error_response(words, status)


def _unknown_model(name: str, served: str) -> str:
    return f"model {name[:60]!r} is not served here, but {served!r} is.{suggest_name(name, [served])}"


def _log(request: Request, status: int, words: str) -> None:
    """Write one line for a refused request; what the caller sent cannot break it."""
    path = request.url.path[:_LOGGED_CHARACTERS]
    logger.warning("predictor: %d %s %r: %r", status, request.method, path, words[:_LOGGED_CHARACTERS])


def _error_response(words: str, status: int) -> Response:
    return _json({"error": words}, status)


def _json(content: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")
