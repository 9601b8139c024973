"""Endpoints on this machine: a candidate is a child process, what serves is a record in `<home>/endpoints/`.

In: versions to try and to promote. Out: the URL of a candidate; the record, which `make serve` follows and renews.
Called through `open_host`. One process answers all requests, so there is no share to shift and none to take away.

A promotion waits for a running `make serve`: that holds a lock on `<endpoint>.answering`, in which it writes the
version that answers.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from components.base import documents
from components.base.documents import Document
from components.base.errors import EndpointUnavailableError
from components.base.gate import Gate
from components.base.home_lock import is_held
from components.base.settings import Settings
from components.serving.client import Target
from components.serving.inference_service import ServedVersion
from components.serving.predictor_process import Launch, PredictorProcess

# The start of a predictor takes five seconds; on a loaded machine it may need ten times as long, and is given up then.
_SWITCH_SECONDS = 120.0
_POLL_SECONDS = 0.1


class EndpointRecord(Document):
    """Which version an endpoint of this machine serves, in `<home>/endpoints/<endpoint>.json`."""

    endpoint: str
    problem: str
    version: str
    storage_uri: str
    since: str
    """ISO 8601, UTC."""
    previous: str | None
    """The version before."""


class LocalHost:
    """The `ServingHost` of one machine."""

    def __init__(self, settings: Settings) -> None:
        """Name the home whose endpoints these are."""
        self._settings = settings

    @contextmanager
    def try_candidate(
        self, candidate: ServedVersion, model_folder: Path, log_path: Path
    ) -> Iterator[Callable[[], Target]]:
        """Run the predictor as a child on a free port; it does not log, since no one acts on its predictions."""
        launch = Launch(model_folder, candidate.version, candidate.endpoint, log_path, logs_predictions=False)
        with PredictorProcess(launch, self._settings) as predictor:
            yield lambda: Target(predictor.wait_ready(), predictor.process.pid)

    def shift(self, candidate: ServedVersion, percent: int) -> Sequence[Gate]:  # noqa: ARG002  # the protocol has them
        """Do nothing: there is one process."""
        return ()

    def live(self, endpoint: str) -> Mapping[str, int]:
        """Return the version that answers, or would if the endpoint were up, with all requests."""
        record = read_endpoint(endpoint, self._settings)
        version = read_answering(endpoint, self._settings) or (record.version if record else None)
        return {version: 100} if version else {}

    def promote(self, candidate: ServedVersion) -> None:
        """Record the version, and wait until a running endpoint has switched to it.

        One that is recorded already keeps its time; one that the endpoint refuses leaves the record of before.
        """
        name = candidate.endpoint
        known = read_endpoint(name, self._settings)
        if known and known.version == candidate.version:
            return
        record = EndpointRecord(
            endpoint=name,
            problem=candidate.problem.name,
            version=candidate.version,
            storage_uri=candidate.storage_uri,
            since=datetime.now(UTC).isoformat(timespec="seconds"),
            previous=known.version if known else None,
        )
        path = _record_path(name, self._settings)
        documents.write(record, path)
        deadline = time.monotonic() + _SWITCH_SECONDS
        while (answering := read_answering(name, self._settings)) not in (None, candidate.version):
            if time.monotonic() > deadline:
                if known:
                    documents.write(known, path)
                raise EndpointUnavailableError(
                    f"endpoint {name}: the running endpoint must switch to version {candidate.version} within "
                    f"{_SWITCH_SECONDS:.0f} seconds, but version {answering} answers. Its terminal says why."
                )
            time.sleep(_POLL_SECONDS)

    def withdraw(self, candidate: ServedVersion, champion: ServedVersion | None) -> None:
        """Do nothing: the candidate's process has ended."""


def read_endpoint(name: str, settings: Settings) -> EndpointRecord | None:
    """Return the record of an endpoint; None when it never served."""
    path = _record_path(name, settings)
    return documents.read(EndpointRecord, path) if path.is_file() else None


@contextmanager
def tell_answering(name: str, settings: Settings) -> Iterator[Callable[[str], None]]:
    """Let promotions of the endpoint wait for this process as long as the block, and be told what version answers."""
    path = _record_path(name, settings).with_suffix(".answering")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def tell(version: str) -> None:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, version.encode(), 0)

    try:
        tell("")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield tell
    finally:
        os.close(descriptor)


def read_answering(name: str, settings: Settings) -> str | None:
    """Return the version that a running endpoint answers with; None when none runs."""
    path = _record_path(name, settings).with_suffix(".answering")
    return path.read_text() if path.is_file() and is_held(path) else None


def _record_path(name: str, settings: Settings) -> Path:
    return settings.home / "endpoints" / f"{name}.json"
