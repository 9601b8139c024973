"""Run Debian's Prometheus and Alertmanager on loopback, and take what Alertmanager sends."""

import contextlib
import http.client
import http.server
import json
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field

import httpx

from tests.debian_programs import find_program

HOST = "127.0.0.1"


@dataclass
class Sink:
    """Stands where the governor would: keeps each notification with its path and headers."""

    url: str = ""
    received: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def alerts(self) -> list[dict]:
        return [alert for _, _, raw in list(self.received) for alert in json.loads(raw)["alerts"]]

    def has(self, name: str, status: str) -> bool:
        return any((a["labels"]["alertname"], a["status"]) == (name, status) for a in self.alerts())


@contextlib.contextmanager
def running_sink():
    sink = Sink()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            sink.received.append((self.path, dict(self.headers), raw))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer((HOST, 0), Handler) as server:
        sink.url = f"http://{HOST}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield sink
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Prometheus:
    """A running server."""

    client: httpx.Client

    def query(self, expr: str) -> list[dict]:
        answer = self.client.get("/api/v1/query", params={"query": expr})
        assert answer.status_code == 200, f"{expr}: {answer.text}"
        return answer.json()["data"]["result"]

    def firing(self) -> set[str]:
        return {found["metric"]["alertname"] for found in self.query('ALERTS{alertstate="firing"}')}


@contextlib.contextmanager
def running_alertmanager(folder, config: str):
    """Run Alertmanager with a configuration; give its `host:port`."""
    (folder / "alertmanager.yaml").write_text(config)
    port = free_port()
    arguments = ["--config.file=alertmanager.yaml", "--storage.path=alertmanager", "--cluster.listen-address="]
    with _running("prometheus-alertmanager", [*arguments, f"--web.listen-address={HOST}:{port}"], folder, port):
        yield f"{HOST}:{port}"


@contextlib.contextmanager
def running_prometheus(folder, config: str):
    """Run Prometheus with a configuration."""
    (folder / "prometheus.yaml").write_text(config)
    port = free_port()
    arguments = ["--config.file=prometheus.yaml", "--storage.tsdb.path=prometheus"]
    server = _running("prometheus", [*arguments, f"--web.listen-address={HOST}:{port}"], folder, port)
    with server, httpx.Client(base_url=f"http://{HOST}:{port}", trust_env=False) as client:
        yield Prometheus(client)


def free_port() -> int:
    with socket.create_server((HOST, 0)) as found:
        return found.getsockname()[1]


def wait_until(condition, what: str, seconds: float = 60.0) -> float:
    """Wait for a condition; return how long it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"{what}: must hold within {seconds} s, but does not"
        time.sleep(0.1)
    return time.monotonic() - started


@contextlib.contextmanager
def _running(program: str, arguments: list[str], folder, port: int):
    path, log = find_program(program), folder / f"{program}.log"
    with log.open("wb") as output:
        process = subprocess.Popen([path, *arguments], cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: _is_ready(process, port, log), f"{program} is ready")
        yield
    finally:
        process.terminate()
        process.wait(10)


def _is_ready(process, port: int, log) -> bool:
    assert process.poll() is None, log.read_text()
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
