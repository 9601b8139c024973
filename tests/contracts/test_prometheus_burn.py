"""An endpoint that turns slow, then fails, then recovers, under a real Prometheus at the pace of a replay."""

import contextlib
import threading

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server

from components.alerting.alerts import list_alerts
from components.alerting.prometheus_rules import render_rules
from components.alerting.types import Pace
from pipelines.simulation.prometheus_config import render_prometheus
from tests.contracts.running_prometheus import running_prometheus, wait_until
from tests.unit.alerting.watched import PROBLEM

# An hour is a minute, and five minutes are five seconds.
PACE = Pace(scale=60, scrape_seconds=1)
LIMIT_SECONDS = PROBLEM.serving.p99_milliseconds / 1000


class Endpoint:
    """Answers fifty requests a second, as slowly and with the status that it is told."""

    def __init__(self, registry) -> None:
        edges = [LIMIT_SECONDS / 2, LIMIT_SECONDS, LIMIT_SECONDS * 2]
        names = ["problem", "protocol"]
        histogram = Histogram("tidemill_predictor_request_seconds", "x", names, registry=registry, buckets=edges)
        self._seconds = histogram.labels(PROBLEM.name, "v1")
        self._requests = Counter("tidemill_predictor_requests", "x", [*names, "code"], registry=registry)
        self.seconds, self.code = LIMIT_SECONDS / 4, "200"
        for code in ("200", "503"):
            self._requests.labels(PROBLEM.name, "v1", code)

    def answer(self) -> None:
        self._seconds.observe(self.seconds)
        self._requests.labels(PROBLEM.name, "v1", self.code).inc()


@contextlib.contextmanager
def serving():
    registry = CollectorRegistry()
    server, thread = start_http_server(0, "127.0.0.1", registry)
    endpoint, ended = Endpoint(registry), threading.Event()

    def answer() -> None:
        while not ended.wait(0.02):
            endpoint.answer()

    traffic = threading.Thread(target=answer)
    traffic.start()
    try:
        yield endpoint, f"127.0.0.1:{server.server_port}"
    finally:
        ended.set()
        traffic.join()
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_bad_endpoint_pages_and_a_good_one_is_silent_again(tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text(render_rules(PROBLEM.name, list_alerts(PROBLEM, PACE), PACE))
    with serving() as (endpoint, address):
        config = render_prometheus(PROBLEM.name, {"predictor": address}, rules, "127.0.0.1:9", PACE)
        with running_prometheus(tmp_path, config) as prometheus:
            wait_until(lambda: prometheus.query("tidemill_predictor_requests_total > 200"), "there is traffic")
            assert not prometheus.firing() & {"LatencyBudgetBurn", "ErrorBudgetBurn", "EndpointDown"}
            endpoint.seconds = LIMIT_SECONDS * 1.5
            wait_until(lambda: prometheus.query(page("LatencyBudgetBurn")), "the slow endpoint pages")
            assert "ErrorBudgetBurn" not in prometheus.firing()
            endpoint.seconds, endpoint.code = LIMIT_SECONDS / 4, "503"
            wait_until(lambda: prometheus.query(page("ErrorBudgetBurn")), "the failing endpoint pages")
            endpoint.code = "200"
            wait_until(
                lambda: not prometheus.query(f"{page('LatencyBudgetBurn')} or {page('ErrorBudgetBurn')}"),
                "the pages end with the short window",
            )
            assert prometheus.query("tidemill_predictor_requests_total")


def page(alert: str) -> str:
    """Return the query of the most urgent rule of an alert."""
    return f'ALERTS{{alertname="{alert}",alertstate="firing",severity="page",window="1h"}}'
