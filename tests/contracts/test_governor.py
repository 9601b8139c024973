"""The governor as a process: one run for 500 notifications, and for a kill at any point."""

import concurrent.futures
import contextlib
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("governor_process.py")
TOKEN, SECRET = "0123456789abcdef-token", "0123456789abcdef-secret"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ALERT = {
    "status": "firing",
    "labels": {"alertname": "ValueBelowLimit", "problem": "flight-delays", "action": "retrain"},
    "startsAt": "2026-11-22T23:00:00.123Z",
    "fingerprint": "c6ea",
}
_PATIENCE_SECONDS = 60


@dataclass
class Server:
    """A governor that listens."""

    home: Path
    url: str
    process: subprocess.Popen

    def get(self, path: str):
        return httpx.get(self.url + path, timeout=20)

    def wait_for_run(self) -> dict:
        """Return the newest ruling whose run has ended."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            found = self.get("/v1/rulings").json()
            for ruling in found:
                if ruling["run"] and ruling["run"]["ended_at"]:
                    return ruling
            time.sleep(0.1)
        raise AssertionError(f"no run has ended: {found}\n{(self.home / 'log.txt').read_text()[-2000:]}")

    def ran(self) -> list[str]:
        file = self.home / "ran.txt"
        return file.read_text().splitlines() if file.exists() else []


def environment(home: Path) -> dict[str, str]:
    home.mkdir(exist_ok=True)
    (home / "token").write_text(TOKEN + "\n")
    (home / "hmac").write_text(SECRET)
    mine = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMILL_")}
    return {
        **mine,
        "PYTHONPATH": str(ROOT),
        "TIDEMILL_HOME": str(home),
        "TIDEMILL_GOVERNOR_TOKEN_FILE": str(home / "token"),
        "TIDEMILL_GOVERNOR_HMAC_FILE": str(home / "hmac"),
    }


def start(home: Path) -> Server:
    given = environment(home)
    log = home / "log.txt"
    with log.open("ab") as stream:
        command = [sys.executable, str(PROGRAM), "serve"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=stream, env=given)
    for _ in range(_PATIENCE_SECONDS * 10):
        found = re.findall(r"listens on (http://127\.0\.0\.1:\d+)", log.read_text())
        if found and _answers(found[-1]):
            return Server(home, found[-1], process)
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    process.kill()
    raise AssertionError(log.read_text())


def _answers(url: str) -> bool:
    try:
        return httpx.get(url + "/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def server(tmp_path):
    running = start(tmp_path)
    yield running
    running.process.terminate()
    running.process.wait(20)


def notification(*alerts: dict, version: str = "4") -> bytes:
    return json.dumps({"version": version, "status": "firing", "alerts": list(alerts)}).encode()


def sign(raw: bytes) -> dict[str, str]:
    timestamp = str(int(time.time()))
    digits = hmac.new(SECRET.encode(), f"{timestamp}:".encode() + raw, hashlib.sha256).hexdigest()
    return {"X-Grafana-Alerting-Timestamp": timestamp, "X-Grafana-Alerting-Signature": digits}


def test_500_notifications_of_one_trouble_from_both_senders_start_one_run(server):
    """25 at a time, every tenth given up on by its sender and sent again, half by Grafana and half by Alertmanager."""

    def send(number: int) -> int:
        sender, version = ("grafana", "1") if number % 2 else ("alertmanager", "4")
        raw = notification(ALERT, version=version)
        headers = sign(raw) if number % 2 else BEARER
        url = f"{server.url}/v1/webhooks/{sender}"
        if number % 10 == 0:
            with contextlib.suppress(httpx.TransportError):
                client.post(url, content=raw, headers=headers, timeout=0.005)
        return client.post(url, content=raw, headers=headers, timeout=60).status_code

    with httpx.Client() as client, concurrent.futures.ThreadPoolExecutor(25) as pool:
        codes = Counter(pool.map(send, range(500)))
    server.wait_for_run()
    assert codes == {200: 500}
    assert len(server.ran()) == 1
    rulings = server.get("/v1/rulings").json()
    assert sorted(ruling["fingerprint"] for ruling in rulings) == ["alertmanager:c6ea", "grafana:c6ea"]
    assert 498 <= sum(ruling["repeats"] for ruling in rulings) <= 548
    metrics = server.get("/metrics").text
    assert 'tidemill_governor_runs_total{outcome="promoted",problem="flight-delays"} 1.0' in metrics
    assert 'tidemill_governor_rulings_total{choice="run",problem="flight-delays",reason="worth_it"} 1.0' in metrics


def test_a_kill_at_each_point_of_the_transactions_leaves_exactly_one_run():
    """Kills the process (SIGKILL) before each SQL statement and commit, and around each call of the runner."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        command = [sys.executable, str(PROGRAM), "kill"]
        done = subprocess.run(command, cwd=ROOT, env=environment(Path(folder)), capture_output=True, text=True)
    lives = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert len(lives) > 40, done.stderr
    assert [life["first"] for life in lives] == [-9] * (len(lives) - 1) + [0]
    assert [life for life in lives if (life["second"], life["ran"]) != (0, 1)] == []


def test_a_server_that_is_killed_with_a_run_under_way_finds_it_again(tmp_path):
    (tmp_path / "wait").touch()
    first = start(tmp_path)
    sent = httpx.post(first.url + "/v1/webhooks/alertmanager", content=notification(ALERT), headers=BEARER)
    assert sent.json() == {"results": {"accepted": 1}, "truncated": 0}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not first.ran() and time.monotonic() < deadline:
        time.sleep(0.05)
    first.process.kill()
    first.process.wait()
    second = start(tmp_path)
    try:
        assert second.get("/v1/problems").json()[0]["run_in_flight"] is not None
        (tmp_path / "wait").unlink()
        ruling = second.wait_for_run()
        assert (ruling["run"]["state"], ruling["run"]["version"]) == ("promoted", "2")
        assert len(second.ran()) == 1
    finally:
        second.process.terminate()
        second.process.wait(20)


def test_the_process_ends_quickly_on_sigterm(server):
    began = time.monotonic()
    server.process.terminate()
    assert server.process.wait(20) == 0
    assert time.monotonic() - began < 10


def test_a_body_without_a_length_is_cut_off_at_the_limit(server):
    def endless():
        for _ in range(64):
            yield b"x" * 2**16

    answer = httpx.post(server.url + "/v1/webhooks/alertmanager", content=endless(), headers=BEARER, timeout=20)
    assert answer.status_code == 413
    assert server.get("/healthz").status_code == 200
