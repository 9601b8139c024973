"""Send request rows to a running endpoint over REST, V1 row by row with a clock, V2 in batches.

In: the endpoint's address and typed rows. Out: the answers in the order of the rows. Called by the smoke test.
"""

import http.client
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from components.base.errors import EndpointUnavailableError
from components.base.processor_wait import read_wait_seconds
from components.base.task import Output
from components.serving.predictor.requests import LOG_HEADER, RequestSchema, Row, write_v1
from components.serving.predictor.tensors import write_v2

# Longer than a busy machine needs for one request, short enough to end a hung deployment.
_TIMEOUT_SECONDS = 30.0
# Rows a V2 request, so that the batch path is exercised too.
_BATCH_ROWS = 50
_HINT = "Read the predictor's log."


@dataclass(frozen=True)
class Target:
    """Where an endpoint answers."""

    url: str
    """`http://host:port`."""
    process: int | None = None
    """The process that answers, where it is one of this machine."""


@dataclass(frozen=True)
class EndpointAddress:
    """One model of one running endpoint."""

    target: Target
    name: str
    schema: RequestSchema
    output_columns: tuple[str, ...]
    """Names of the outputs in an answer."""


@dataclass(frozen=True)
class Answers:
    """The endpoint's answers, one a row."""

    output: Output
    """Shape (n, k)."""
    decisions: tuple[Any, ...]
    missing: tuple[tuple[str, ...], ...]
    """Names of the features that were missing, a row each."""
    milliseconds: NDArray[np.float64]
    """One measurement a request, of the client's clock."""
    waited_milliseconds: NDArray[np.float64]
    """How long of that client and endpoint were ready to run while other programs had the processors; 0 where that
    cannot be seen."""


def replay_v1(address: EndpointAddress, rows: Sequence[Row]) -> Answers:
    """Send the rows one by one over V1.

    Raises:
        EndpointUnavailableError: the endpoint does not answer, or answers anything but 200 and JSON.
    """
    path = f"/v1/models/{address.name}:predict"
    with _connect(address.target.url) as connection, _reading(address.target.url + path):
        timed = [_post(connection, path, write_v1([row]), address.target.process) for row in rows]
        predictions = [answer["predictions"][0] for answer, *_ in timed]
        return Answers(
            output=np.array([[prediction[column] for column in address.output_columns] for prediction in predictions]),
            decisions=tuple(prediction["decision"] for prediction in predictions),
            missing=tuple(tuple(prediction["missing_features"]) for prediction in predictions),
            milliseconds=np.array([milliseconds for _, milliseconds, _ in timed]),
            waited_milliseconds=np.array([waited for *_, waited in timed]),
        )


def replay_v2(address: EndpointAddress, rows: Sequence[Row]) -> Answers:
    """Send the rows in batches over V2.

    Raises:
        EndpointUnavailableError: the endpoint does not answer, or answers anything but 200 and JSON.
    """
    path = f"/v2/models/{address.name}/infer"
    size = min(_BATCH_ROWS, address.schema.maximum_rows)
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    with _connect(address.target.url) as connection, _reading(address.target.url + path):
        timed = [_post(connection, path, write_v2(address.schema, batch), address.target.process) for batch in batches]
        tensors = [{tensor["name"]: tensor["data"] for tensor in answer["outputs"]} for answer, *_ in timed]
        columns = [[value for batch in tensors for value in batch[column]] for column in address.output_columns]
        return Answers(
            output=np.array(columns).T,
            decisions=tuple(value for batch in tensors for value in batch["decision"]),
            missing=tuple(tuple(json.loads(names)) for batch in tensors for names in batch["missing_features"]),
            milliseconds=np.array([milliseconds for _, milliseconds, _ in timed]),
            waited_milliseconds=np.array([waited for *_, waited in timed]),
        )


def is_answering(url: str, path: str) -> bool:
    """Return whether a GET is answered with 200."""
    try:
        with _connect(url) as connection:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False


def _connect(url: str) -> "closing[http.client.HTTPConnection]":
    parts = urlsplit(url)
    return closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_SECONDS))


@contextmanager
def _reading(where: str) -> Iterator[None]:
    """Turn silence and answers of another shape into the platform's error."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise EndpointUnavailableError(f"replay {where}: it must answer, but got {error!r}. {_HINT}") from error
    except (LookupError, TypeError, ValueError) as error:
        raise EndpointUnavailableError(
            f"replay {where}: it must answer as the protocol defines, but reading it gave {error!r}. {_HINT}"
        ) from error


def _post(
    connection: http.client.HTTPConnection, path: str, request: dict[str, Any], process: int | None
) -> tuple[Any, float, float]:
    """Return the decoded answer, the milliseconds from the first byte sent to the last one read, and their wait."""
    body = json.dumps(request).encode()
    waited = read_wait_seconds(process)
    start = time.perf_counter()
    connection.request("POST", path, body, {"Content-Type": "application/json", LOG_HEADER: "off"})
    response = connection.getresponse()
    content = response.read()
    seconds = time.perf_counter() - start
    waited = min(seconds, read_wait_seconds(process) - waited)
    if response.status != http.client.OK:
        raise EndpointUnavailableError(
            f"replay http://{connection.host}:{connection.port}{path}: it must answer 200, but got {response.status} "
            f"{content[:500].decode(errors='replace')} {_HINT}"
        )
    return json.loads(content), seconds * 1000, waited * 1000
