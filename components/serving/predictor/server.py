"""Serve one model with KServe: `python -m components.serving.predictor --model-dir DIR --port 8080`.

In: a model folder, the contract and the online features. Out: the V1 and V2 REST protocols, Prometheus metrics and
readiness. Started by `deploy`, by `make serve` and as the container of the InferenceService. The only module that
imports kserve.

It listens on loopback unless `--host` names another address: KServe's server has 0.0.0.0 written into it, so it gets a
socket that is bound already. gRPC is off: it cannot be bound to loopback, and costs the CPU of REST.
"""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import kserve
from kserve.model_server import app as kserve_app
from kserve.protocol.rest.server import RESTServer
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from components.base import documents
from components.base.adapters.uvicorn import open_listener, read_address, serve_app
from components.base.contract.load import read_problem
from components.base.errors import TransientError
from components.base.settings import Settings, load_settings
from components.serving.prediction_log.log import PredictionLog, open_prediction_log
from components.serving.predictor.metrics import PredictionLogMetrics, PredictorMetrics
from components.serving.predictor.model import LookedUp, OnlineLookup, Prediction, ServedModel, load_served
from components.serving.predictor.requests import Row
from components.serving.predictor.routes import build_app
from components.serving.predictor.tensors import describe_inputs, describe_outputs, list_answer_datatypes
from components.tasks import open_task

logger = logging.getLogger(__name__)
# Requests in flight are answered before the process ends.
_GRACE_SECONDS = 20
# KServe's own; longer than most gateways keep an idle connection, so that it is the gateway that closes it.
_KEEP_ALIVE_SECONDS = 65


class Predictor(kserve.Model):  # type: ignore[misc]
    """The served model as KServe knows it."""

    def __init__(self, name: str, served: ServedModel, log: PredictionLog | None = None) -> None:
        """Wrap a loaded model; without a log its predictions are not recorded."""
        super().__init__(name)
        self.served = served
        self.version = served.version
        self.task = served.task
        self.schema = served.schema
        self.maximum_body_bytes = served.problem.serving.maximum_body_bytes
        self.metrics = PredictorMetrics(served)
        # Probes of health go past the clock.
        self._answering = replace(served, lookup=_TimedLookup(served.lookup, self.metrics.observe_lookup))
        self._log = log

    def load(self) -> bool:
        """Become ready once one prediction went through, lookup included."""
        self.served.check()
        self.ready = True
        return True

    def predict(self, payload: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
        """Predict the typed rows under `instances`."""
        del headers
        return {"predictions": self._answering.predict(payload["instances"])}

    async def healthy(self) -> bool:
        """Return whether a prediction goes through now: the online store may be gone since the start."""
        try:
            self.served.check()
        except Exception as error:
            logger.warning("predictor: not ready: %r", str(error)[:300])
            is_lenient = self.served.problem.serving.readiness == "lenient"
            return bool(self.ready) and is_lenient and isinstance(error, TransientError)
        return bool(self.ready)

    def get_input_types(self) -> list[dict[str, Any]]:
        """Describe the request tensors for the V2 metadata."""
        return describe_inputs(self.schema)

    def get_output_types(self) -> list[dict[str, Any]]:
        """Describe the answer's tensors for the V2 metadata."""
        return describe_outputs(list_answer_datatypes(self.task))

    async def infer(self, rows: Sequence[Row], request_id: str) -> list[Prediction]:
        """Predict through KServe's model call, which times each phase for /metrics; count and log the rows."""
        answer, _ = await self({"instances": rows})
        predictions: list[Prediction] = answer["predictions"]
        if request_id:
            written = self._log.add(request_id, rows, predictions) if self._log is not None else None
            if written is not None:
                await asyncio.wrap_future(written)
            self.metrics.count_predictions(predictions)
        return predictions

    async def is_ready(self) -> bool:
        """Return whether predictions are answered."""
        return await self.healthy()


@dataclass(frozen=True)
class _TimedLookup:
    """A lookup that reports how long each read took."""

    lookup: OnlineLookup
    observe: Callable[[float], None]

    @property
    def view_names(self) -> tuple[str, ...]:
        return self.lookup.view_names

    def read(self, rows: Sequence[Row]) -> Sequence[LookedUp]:
        begun = time.perf_counter()
        try:
            return self.lookup.read(rows)
        finally:
            self.observe(time.perf_counter() - begun)


class PredictorServer(kserve.ModelServer):  # type: ignore[misc]
    """KServe's model server on a given socket, with our routes in front."""

    def __init__(self, listener: socket.socket, shared: socket.socket | None = None) -> None:
        """Take a listening socket, and one that other processes share."""
        super().__init__(
            http_port=listener.getsockname()[1], enable_grpc=False, enable_latency_logging=False, workers=1
        )
        self._listener = listener
        self._shared = shared

    def start(self, models: list[Predictor]) -> None:
        """Serve one predictor until SIGTERM, then answer what is in flight and return."""
        (model,) = models
        self.register_model(model)
        # It puts KServe's routes into KServe's application; the server is ours.
        RESTServer(kserve_app, self.dataplane, self.model_repository_extension, self.http_port).create_application()
        serve_app(
            build_app(model, kserve_app),
            self._listener,
            grace_seconds=_GRACE_SECONDS,
            keep_alive_seconds=_KEEP_ALIVE_SECONDS,
            shared=self._shared,
        )


def serve(predictor: Predictor, host: str, port: int, shared: socket.socket | None = None) -> None:
    """Serve a predictor until SIGTERM.

    Args:
        predictor: The model by its name in the paths.
        host: 127.0.0.1, or 0.0.0.0 in a pod.
        port: 0 takes a free one, which the log names.
        shared: A listening socket on which it answers too, beside the process that takes its place later.
    """
    # uvicorn answers what is in flight and then hands the signal on: that is a good end, not a failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(os.EX_OK))
    predictor.load()
    served = predictor.served
    with open_listener(host, port) as listener:
        server = PredictorServer(listener, shared)
        _quiet()
        form = "compiled" if served.scorer.is_compiled else "as its scikit-learn pipeline"
        where = read_address(listener)
        logger.info("predictor: %s version %s (%s) listens on %s", predictor.name, served.version, form, where)
        server.start([predictor])


@contextmanager
def logging_predictions(served: ServedModel, settings: Settings, *, is_on: bool) -> Iterator[PredictionLog | None]:
    """Log the predictions of the block, unless the caller or the settings turn it off; then flush."""
    if not is_on or settings.prediction_log == "off":
        logger.info("predictor: predictions are not logged")
        yield None
        return
    log = open_prediction_log(served, settings, PredictionLogMetrics(served.problem.name))
    try:
        yield log
    finally:
        log.close()


def _quiet() -> None:
    """Log warnings only of KServe and uvicorn, which write four lines a request."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr, force=True
    )
    # KServe 0.21 still answers its own paths with it.
    warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")
    for name in ("kserve", "kserve.trace", "uvicorn", "uvicorn.access", "uvicorn.error"):
        noisy = logging.getLogger(name)
        noisy.handlers.clear()
        noisy.propagate = True
        noisy.setLevel(logging.WARNING)


def parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line, as a person or the InferenceService writes it."""
    parser = argparse.ArgumentParser(
        prog="python -m components.serving.predictor", description="Serve one model with KServe."
    )
    parser.add_argument("--model-dir", type=Path, required=True, help="folder with model.skops and model.json")
    parser.add_argument("--problem", type=Path, help="contract as JSON (default: problem.json in the model folder)")
    parser.add_argument("--model-version", default="", help="version in the registry (default: from the model's hash)")
    parser.add_argument("--name", help="name of the model in the paths (default: the contract's endpoint)")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 in a pod (default: %(default)s)")
    parser.add_argument("--no-log", action="store_true", help="do not log predictions: this is a smoke test")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free port (default: %(default)s)")
    parser.add_argument(
        "--shared-socket", type=int, metavar="FD", help="inherited listening socket that another process shares"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    """Load the model and serve it."""
    options = parse_options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    from components.features.online.store import ServedViews, open_online_features

    problem = read_problem(options.problem or options.model_dir / "problem.json")
    settings = load_settings()
    # One thread: more of them only spin against each other on one row.
    with threadpool_limits(limits=1):
        views = options.model_dir / "views.json"
        # A model of an older platform has none beside it.
        known = documents.read(ServedViews, views).views if views.is_file() else None
        lookup = open_online_features(problem, settings, known)
        served = load_served(options.model_dir, open_task(problem), lookup, options.model_version)
        name = options.name or problem.serving.endpoint
        with logging_predictions(served, settings, is_on=not options.no_log) as log:
            shared = None if options.shared_socket is None else socket.socket(fileno=options.shared_socket)
            serve(Predictor(name, served, log), options.host, options.port, shared)
