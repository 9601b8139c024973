"""Endpoints on this machine: a candidate is a child process, what serves is a record in `<home>/endpoints/`.

In: versions to try and to promote. Out: the URL of a candidate; the record, which `make serve` follows and renews.
Called through `open_host`. One process answers all requests, so there is no share to shift and none to take away.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from components.base import documents
from components.base.documents import Document
from components.base.gate import Gate
from components.base.settings import Settings
from components.serving.client import Target
from components.serving.inference_service import ServedVersion
from components.serving.predictor_process import Launch, PredictorProcess


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
        """Return the version of the record, if there is one, with all requests."""
        record = read_endpoint(endpoint, self._settings)
        return {record.version: 100} if record else {}

    def promote(self, candidate: ServedVersion) -> None:
        """Record the version; one that is recorded already keeps its time."""
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
        documents.write(record, _record_path(name, self._settings))

    def withdraw(self, candidate: ServedVersion, champion: ServedVersion | None) -> None:
        """Do nothing: the candidate's process has ended."""


def read_endpoint(name: str, settings: Settings) -> EndpointRecord | None:
    """Return the record of an endpoint; None when it never served."""
    path = _record_path(name, settings)
    return documents.read(EndpointRecord, path) if path.is_file() else None


def _record_path(name: str, settings: Settings) -> Path:
    return settings.home / "endpoints" / f"{name}.json"
