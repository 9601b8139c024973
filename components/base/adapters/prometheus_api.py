"""Read Prometheus: one instant query.

In: the URL of a Prometheus and a query. Out: its samples. Called by the limits of a rollout.
"""

import math
from dataclasses import dataclass

import httpx

from components.base.errors import PermanentError, TransientError

_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class SeriesValue:
    """One series at one time."""

    labels: dict[str, str]
    value: float
    """NaN where Prometheus divides nothing by nothing."""


def query_prometheus(url: str, query: str, at: float | None = None) -> list[SeriesValue]:
    """Evaluate a query now, or at a time in seconds since 1970; over series that do not exist it has no samples.

    Raises:
        PermanentError: Prometheus refuses the query.
        TransientError: it does not answer.
    """
    try:
        response = httpx.get(
            f"{url}/api/v1/query",
            params={"query": query} | ({} if at is None else {"time": f"{at:.3f}"}),
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
        )
        answer = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise TransientError(
            f"prometheus {url}: it must answer a query, but got {error!r}. Check TIDEMILL_PROMETHEUS_URL."
        ) from error
    if response.status_code >= 500:
        raise TransientError(f"prometheus {url}: it must answer a query, but got {response.status_code}. Run again.")
    if answer.get("status") != "success":
        raise PermanentError(f"prometheus {url}: it must accept {query!r}, but got: {answer.get('error')}")
    return [SeriesValue(dict(entry["metric"]), float(entry["value"][1])) for entry in answer["data"]["result"]]


def read_number(url: str, query: str, at: float | None = None) -> float:
    """Evaluate a query that gives one number, with the errors of `query_prometheus`; NaN when it gives none."""
    samples = query_prometheus(url, query, at)
    return samples[0].value if samples else math.nan
