"""Wait for the running parts of a simulation: rows stored, results scraped, rulings made, runs ended.

In: the platform. Out: nothing, or an error that names what did not happen. Called by `simulation`. Each wait checks for
the thing itself, never for time alone.
"""

import re
import time
from collections.abc import Callable, Sequence

import httpx

from components.base.adapters.prometheus_api import read_number
from components.base.errors import EndpointUnavailableError
from components.governor.rule import IN_FLIGHT
from components.governor.rulings import RulingRecord
from components.monitoring.results import MonitoringResult
from pipelines.simulation.local_platform import LocalPlatform
from pipelines.simulation.observers import Observers

_POLL_SECONDS = 0.2
# Logged rows wait a few seconds for their segment to close; alerts for a scrape, a rule and a notification.
_STORED_SECONDS = 60.0
_SEEN_SECONDS = 60.0
_RUN_SECONDS = 600.0
_LOG_SERIES = re.compile(
    r'^tidemill_prediction_log_(?:rows_total\{.*outcome="(\w+)"|(queue)_rows).*\s(\S+)$', re.MULTILINE
)


def wait_until(is_so: Callable[[], bool], seconds: float, what: str) -> None:
    """Return when it is so.

    Raises:
        EndpointUnavailableError: it was not so in time.
    """
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise EndpointUnavailableError(f"loop: {what} within {seconds:.0f} seconds, but it is not so.")
        time.sleep(_POLL_SECONDS)


def wait_logged(endpoint_url: str) -> None:
    """Wait until every row that the predictor has logged is in the object store."""

    def is_stored() -> bool:
        counts = read_log_counts(httpx.get(f"{endpoint_url}/metrics", trust_env=False).text)
        return counts.get("queue") == 0 and counts.get("spooled") == counts.get("stored")

    wait_until(is_stored, _STORED_SECONDS, "every logged prediction must reach the object store")


def read_log_counts(metrics: str) -> dict[str, float]:
    """Return the rows of the prediction log by what became of them, and under `queue` those that still wait."""
    return {outcome or queue: float(number) for outcome, queue, number in _LOG_SERIES.findall(metrics)}


def wait_seen(observers: Observers, result: MonitoringResult) -> None:
    """Wait until Prometheus has evaluated its rules on the result, and no alert is undecided."""
    newest = f'tidemill_monitoring_last_success_timestamp_seconds{{problem="{result.problem}"}}'
    computed = result.computed_at.timestamp()
    wait_until(
        lambda: read_number(observers.prometheus_url, newest) >= computed - 1,
        _SEEN_SECONDS,
        "Prometheus must read the monitoring result",
    )
    evaluated = observers.read_evaluation() + 1
    wait_until(lambda: observers.read_evaluation() > evaluated, _SEEN_SECONDS, "Prometheus must evaluate its rules")
    wait_until(
        lambda: all(alert.state == "firing" for alert in observers.list_alerts()),
        _SEEN_SECONDS,
        "every pending alert must fire or go",
    )


def wait_ruled(
    platform: LocalPlatform, problem: str, retraining_alerts: set[str], show: Callable[[Sequence[RulingRecord]], None]
) -> None:
    """Wait until the governor has ruled on every firing alert that may start a training, and each run has ended."""
    if platform.observers is not None:
        firing = {
            alert.name for alert in platform.observers.list_alerts() if alert.state == "firing"
        } & retraining_alerts

        def is_known() -> bool:
            rulings = platform.read_rulings(problem)
            return firing <= {one.name for one in rulings if one.is_firing and one.decided_at}

        wait_until(is_known, _SEEN_SECONDS, "the governor must rule on every alert")
    platform.wait_pass()

    def is_at_rest() -> bool:
        rulings = platform.read_rulings(problem)
        show(rulings)
        return all(one.run.state not in IN_FLIGHT for one in rulings if one.run)

    wait_until(is_at_rest, _RUN_SECONDS, "every training run must end")
