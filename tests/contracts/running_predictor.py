"""Start a predictor as a process of its own, and ask it.

The endpoint's contract tests share it. `command` runs the real program over a real online store, `memory_command` the
helper whose lookup is a table in memory.
"""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
V1, V2 = "/v1/models/flight-delays:predict", "/v2/models/flight-delays/infer"
FLIGHT = {
    "carrier": "UA",
    "flight": 1545,
    "origin": "EWR",
    "dest": "IAH",
    "tailnum": "N14228",
    "scheduled_at": "2013-07-01T09:15:00Z",
    "distance": 1400,
}
_START_SECONDS = 60


@dataclass(frozen=True)
class RunningPredictor:
    """A predictor that answers."""

    url: str
    process: subprocess.Popen
    log: Path

    def post(self, path: str, **arguments) -> httpx.Response:
        return httpx.post(self.url + path, timeout=20, **arguments)

    def predict(self, *rows: dict, request_id: str | None = None) -> list[dict]:
        headers = {} if request_id is None else {"idempotency-key": request_id}
        answer = self.post(V1, json={"instances": list(rows)}, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["predictions"]

    def metric(self, series: str) -> float:
        """Return the value of a series as /metrics writes it; 0 when it is not there."""
        text = httpx.get(self.url + "/metrics", timeout=20).text
        found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def logged(self, outcome: str) -> float:
        """Return how many rows the log has counted so."""
        return self.metric(f'tidemill_prediction_log_rows_total{{outcome="{outcome}",problem="flight-delays"}}')

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        finally:
            self.process.kill()


def command(model: Path, *options: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "components.serving.predictor",
        "--model-dir",
        str(model),
        "--port",
        "0",
        *options,
    ]


def memory_command(model: Path) -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("endpoint_process.py")), str(model)]


def start(words: list[str], log: Path, environ: dict[str, str] | None = None) -> RunningPredictor:
    """Start a predictor and wait for the line that says where it listens."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            words,
            cwd=ROOT,
            stderr=stream,
            stdout=stream,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **(environ or {})},
        )
    until = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        found = re.search(r"\(compiled\) listens on (http://127\.0\.0\.1:\d+)", log.read_text())
        if found:
            return RunningPredictor(found[1], process, log)
        time.sleep(0.05)
    process.kill()
    process.wait()
    raise AssertionError(log.read_text())


def wait_until(condition, seconds: float = 30, what: str = "the condition"):
    """Wait until the condition is true, and return what it gave."""
    until = time.monotonic() + seconds
    while not (given := condition()):
        assert time.monotonic() < until, f"{what} did not come true within {seconds} s"
        time.sleep(0.05)
    return given
