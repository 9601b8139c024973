"""Count which version answers at the gateway of an endpoint: the split that is in force, not the one that was applied.

In: the gateway's URL, and the host name of an endpoint. Out: requests by version. Called by the host of a cluster. The
requests are readiness probes, which each version answers with its name in a header; they are neither predictions nor
logged.
"""

import logging
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from components.serving.predictor.requests import VERSION_HEADER

# A count would be four hundred lines in the log of `deploy`.
logging.getLogger("httpx").setLevel(logging.WARNING)
LOST = "no answer"
"""Counts requests that were refused, timed out or answered with an error."""
# Enough to tell 10 % from 0 and from 20 %: the standard error of a tenth is 1.5 %.
COUNTED_REQUESTS = 400
# A random split that is right stays within it but once in 15,000 counts.
_STANDARD_ERRORS = 4.0
_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Gateway:
    """One endpoint behind a gateway."""

    url: str
    """`http://host[:port]` of the gateway."""
    host: str
    """The name by which the gateway knows the endpoint."""
    endpoint: str

    def count(self, requests: int = COUNTED_REQUESTS) -> Counter[str]:
        """Send requests, and count the versions that answered."""
        counted: Counter[str] = Counter()
        path = f"{self.url}/v2/models/{self.endpoint}/ready"
        with httpx.Client(headers={"Host": self.host}, timeout=_TIMEOUT_SECONDS) as client:
            for _ in range(requests):
                try:
                    answer = client.get(path)
                except httpx.HTTPError:
                    counted[LOST] += 1
                    continue
                counted[answer.headers.get(VERSION_HEADER, "?") if answer.is_success else LOST] += 1
        return counted


def is_split(counted: Mapping[str, int], expected: Mapping[str, int]) -> bool:
    """Return whether a count agrees with a split in percent; 0 and 100 must hold exactly, and nothing may be lost."""
    requests = sum(counted.values())
    if set(counted) - {version for version, percent in expected.items() if percent}:
        return False
    shares = {version: percent / 100 for version, percent in expected.items()}
    return all(
        abs(counted.get(version, 0) / requests - share) <= _STANDARD_ERRORS * math.sqrt(share * (1 - share) / requests)
        for version, share in shares.items()
    )


def format_count(counted: Mapping[str, int]) -> str:
    """Write a count as `version 2: 360, version 3: 40`."""
    return ", ".join(
        f"version {name}: {count}" if name != LOST else f"{name}: {count}" for name, count in sorted(counted.items())
    )
