"""Send the flights of a month to the endpoint as the dispatchers' system would: every full hour, one request.

In: the deliveries of `flight-delays` in the landing zone. Out: `HourlyRequest`s in order of time, and counts of the
answers. Each request has an id made of its hour, so that a repeated one is counted once.
"""

import io
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

import httpx
import orjson
import pandas as pd

from components.base.adapters.s3 import ObjectStore
from components.base.errors import DataError
from pipelines.simulation.scenario import PROBLEM

_COLUMNS = ["carrier", "flight", "origin", "dest", "tailnum", "scheduled_at", "distance"]
_LEAD = timedelta(hours=2)
_TIMEOUT_SECONDS = 30.0
# The predictor answers 503 while its store is written.
_ATTEMPTS = 3


@dataclass(frozen=True)
class HourlyRequest:
    """All flights that are predicted at one time."""

    time: datetime
    rows: int
    body: bytes

    @property
    def request_id(self) -> str:
        """Names the hour."""
        return f"{PROBLEM}-{self.time:%Y%m%dT%H}"


@dataclass
class TrafficCounts:
    """How many requests and rows were answered so far, and how many requests were not."""

    requests: int = 0
    rows: int = 0
    failed: int = 0


def read_requests(store: ObjectStore, start: datetime, end: datetime) -> list[HourlyRequest]:
    """Return the requests with a time of prediction in [start, end).

    Raises:
        DataError: no delivery of flights has landed.
    """
    # Deliveries are by local month: its last evening is predicted on the first of the next month in UTC.
    first = f"landing/{PROBLEM}/flights/{start - timedelta(days=1):%Y-%m}.csv"
    keys = [found.key for found in store.list_objects(f"landing/{PROBLEM}/flights/") if found.key >= first]
    if not keys:
        raise DataError(f"traffic: flights of {start:%B %Y} must have landed, but none have. Land them first.")
    flights = pd.concat([read_flights(store.get_bytes(key), start, end) for key in keys], ignore_index=True)
    hours = flights.groupby("predicted_at")
    requests = []
    for time, hour in hours:
        instances = hour[_COLUMNS].to_dict("records")
        body = orjson.dumps({"instances": instances})
        requests.append(HourlyRequest(pd.Timestamp(str(time)).to_pydatetime(), len(instances), body))
    return requests


class Sender:
    """Sends requests over one connection and counts the answers."""

    def __init__(self, url: str, endpoint: str) -> None:
        """Name where the endpoint answers."""
        self._client = httpx.Client(base_url=url, timeout=_TIMEOUT_SECONDS, trust_env=False)
        self._path = f"/v1/models/{endpoint}:predict"
        self.answered = TrafficCounts()

    def send(self, request: HourlyRequest) -> None:
        """Send one request, again when the endpoint is busy."""
        headers = {"content-type": "application/json", "idempotency-key": request.request_id}
        for _ in range(_ATTEMPTS):
            answer = self._client.post(self._path, content=request.body, headers=headers)
            if answer.status_code == 200:
                self.answered.requests += 1
                self.answered.rows += request.rows
                return
        self.answered.failed += 1

    def __enter__(self) -> Self:
        """Keep the connection open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._client.close()


def read_flights(content: bytes, start: datetime, end: datetime) -> pd.DataFrame:
    """Read the flights of a delivery that are predicted in [start, end); without an aircraft none is announced."""
    delivery = pd.read_csv(io.BytesIO(content), dtype={"tailnum": str, "carrier": str})
    hour = pd.to_datetime(delivery["time_hour"], utc=True)
    scheduled_at = hour + pd.to_timedelta(delivery["minute"], unit="min")
    flights = delivery.assign(predicted_at=hour - _LEAD, scheduled_at=scheduled_at.dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    chosen = (flights["predicted_at"] >= start) & (flights["predicted_at"] < end) & flights["tailnum"].notna()
    return flights.loc[chosen, [*_COLUMNS, "predicted_at"]]
