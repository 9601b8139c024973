"""Serve the champion, or another version aside, on this machine: `make serve`.

In: a problem's name and the settings. Out: a running `Endpoint`. Called by commands and by the simulation. The registry
decides which version the champion is, and the record of this machine follows it; a version aside is recorded nowhere.

The listening socket is this process's, and the predictor of each version is a child that takes connections from it. So
a new champion begins to answer before the old one stops: no request is refused, and each answer is one version's.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Any

from components.base.adapters import mlflow as tracking
from components.base.adapters.uvicorn import open_listener, read_address
from components.base.child_process import OwnedProcess
from components.base.errors import ModelRefusedError, TidemillError
from components.base.home_lock import hold_alone
from components.base.settings import Settings
from components.base.tables import read_table
from components.serving.host import read_served_version
from components.serving.inference_service import ServedVersion
from components.serving.local import LocalHost, read_endpoint, tell_answering
from components.serving.predictor.requests import RequestSchema, request_rows, write_v1
from components.serving.predictor_process import Launch, PredictorProcess

_HOST = "127.0.0.1"


@dataclass(frozen=True)
class _Place:
    """Where versions of a problem answer."""

    problem: str
    listener: socket
    settings: Settings
    logs_predictions: bool


@dataclass(frozen=True)
class _Served:
    """One version with its running predictor."""

    version: ServedVersion
    example: dict[str, Any]
    process: OwnedProcess


class Endpoint:
    """A running endpoint: one address, behind it the predictor of one version."""

    def __init__(self, place: _Place, version: str) -> None:
        """Start a version and wait until it answers."""
        self.url = read_address(place.listener)
        self._place = place
        self._failed: str | None = None
        self._stack, self._served = _start(place, version)

    @property
    def name(self) -> str:
        """Of the model in the paths."""
        return self._served.version.endpoint

    @property
    def version(self) -> str:
        """The version that answers."""
        return self._served.version.version

    @property
    def example(self) -> dict[str, Any]:
        """One request row that it answers."""
        return self._served.example

    @property
    def process(self) -> OwnedProcess:
        """The predictor of the version that answers."""
        return self._served.process

    def record(self) -> None:
        """Record on this machine what the registry says: this version is the champion."""
        LocalHost(self._place.settings).promote(self._served.version)

    def stop(self) -> None:
        """End the predictor once it has answered what it has taken."""
        self._stack.close()

    @contextmanager
    def taking_promotions(self) -> Iterator[Callable[[], str]]:
        """Let every promotion of this machine wait for this endpoint as long as the block.

        Returns:
            A function to call again and again: it switches to the version that was promoted meanwhile, by whatever
            process, and returns what it did in words; an empty text when there was nothing to do.
        """
        with tell_answering(self.name, self._place.settings) as tell:
            tell(self.version)

            def follow() -> str:
                words = self._follow()
                tell(self.version)
                return words

            yield follow

    def _follow(self) -> str:
        record = read_endpoint(self.name, self._place.settings)
        if record is None or record.version == self.version:
            self._failed = None
            return ""
        before, promoted = self.version, record.version
        if promoted == self._failed:
            return ""
        try:
            stack, served = _start(self._place, promoted)
        except TidemillError as error:
            self._failed = promoted
            return f"{self.name}: version {before} answers as before, for version {promoted} did not start. {error}"
        # From here on both take connections; then the one before takes no more.
        ending, self._stack, self._served = self._stack, stack, served
        ending.close()
        return f"{self.name}: version {promoted} was promoted and answers now, version {before} has ended."


@contextmanager
def start_endpoint(
    problem_name: str, settings: Settings, port: int = 0, version: str | None = None
) -> Iterator[Endpoint]:
    """Serve a version of the registry until the end of the block.

    Args:
        problem_name: Name of the problem.
        settings: Name registry and stores.
        port: 0 takes a free one.
        version: None is the champion. Another one is served aside: its predictions are not logged, for nobody acts on
            them.

    Raises:
        ModelRefusedError: there is no champion, or no such version.
        PermanentError: the champion is served already.
        EndpointUnavailableError: the predictor did not become ready.
        TransientError: the registry or its artifact store does not answer.
    """
    champion = tracking.find_aliases(problem_name, settings).get("champion")
    chosen = version or champion
    if chosen is None:
        raise ModelRefusedError(
            f"endpoint {problem_name}: a champion must exist, but the registry has none. Run `make demo` first, or "
            "name a version that was held."
        )
    is_champion = chosen == champion
    with ExitStack() as stack:
        if is_champion:
            stack.enter_context(hold_alone(settings.home, f"endpoint of {problem_name}"))
        listener = stack.enter_context(open_listener(_HOST, port))
        endpoint = Endpoint(_Place(problem_name, listener, settings, is_champion), chosen)
        stack.callback(endpoint.stop)
        if is_champion:
            endpoint.record()
        yield endpoint


def _start(place: _Place, version: str) -> tuple[ExitStack, _Served]:
    """Start the predictor of a version and wait until it answers; closing the stack ends it."""
    settings = place.settings
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        files = tracking.download_version(place.problem, version, Path(folder), settings)
        served = read_served_version(files.problem, version, settings)
        log_path = settings.home / "endpoints" / f"{served.endpoint}-{version}.log"
        launch = Launch(
            files.model_folder, version, served.endpoint, log_path, place.logs_predictions, shared=place.listener
        )
        predictor = stack.enter_context(PredictorProcess(launch, settings))
        predictor.wait_ready()
        # Unlike an invented row, one of the test period is known to the online store.
        golden = read_table(files.model_folder / "golden.parquet").tail(1)
        example = write_v1(request_rows(RequestSchema.of(files.problem), golden))["instances"][0]
        return stack.pop_all(), _Served(served, example, predictor.process)
