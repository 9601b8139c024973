"""The governor as a process, with the real runner and a training run that takes no time.

`python governor_process.py serve`: serves as `tidemill govern` does, with plenty of new labels and no object
store. `python governor_process.py kill`: takes in one alert and sees its run to the end, and is killed (SIGKILL) at its
first point; then begins again from what is stored. The same for its second point, and so on, each in a fresh home below
TIDEMILL_HOME, until there is no such point. A point comes before each SQL statement, before each commit, before and
after each call of the runner. Prints a JSON line for each.
"""

import asyncio
import itertools
import json
import os
import signal
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import httpx
from sqlalchemy import Engine, event

from components.base.contract.load import load_problems
from components.base.settings import load_settings
from components.governor.server import Governor, assemble, serve
from pipelines.runners.local import LocalRunner

RUN = (sys.executable, str(Path(__file__).with_name("governor_run.py")))
LABELS = SimpleNamespace(new_since_training=1_000_000)
NEWEST = SimpleNamespace(labels=LABELS, model_version="1", as_of=datetime(2026, 11, 1, tzinfo=UTC), findings=())
LABELS_OF_ALERT = {"alertname": "ValueBelowLimit", "problem": "flight-delays", "action": "retrain"}
ALERT = {"status": "firing", "labels": LABELS_OF_ALERT, "startsAt": "2026-11-22T23:00:00Z", "fingerprint": "c6ea"}
# Read once: YAML takes longer than a life.
PROBLEMS = load_problems(load_settings().problems)
_PATIENCE_SECONDS = 30


class Points:
    """Counts the points that the process passes and kills it at one of them; 0 kills at none."""

    def __init__(self, fatal: int) -> None:
        self.fatal, self.passed = fatal, 0

    def reach(self, *_: object) -> None:
        self.passed += 1
        if self.passed == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)


class WatchedRunner(LocalRunner):
    """The runner, with points around each call."""

    def __init__(self, points: Points, home: Path) -> None:
        super().__init__(home, os.environ, RUN)
        self.points = points

    def start(self, key, pipeline, problem, as_of):
        self.points.reach()
        super().start(key, pipeline, problem, as_of)
        self.points.reach()

    def find(self, key, problem):
        self.points.reach()
        report = super().find(key, problem)
        self.points.reach()
        return report


def build(points: Points) -> Governor:
    settings = load_settings()
    settings.home.mkdir(parents=True, exist_ok=True)
    return assemble(settings, PROBLEMS, WatchedRunner(points, settings.home), lambda _: NEWEST)


async def notify(governor: Governor, token: str) -> None:
    transport = httpx.ASGITransport(governor.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://governor") as client:
        body, headers = {"version": "4", "alerts": [ALERT]}, {"Authorization": f"Bearer {token}"}
        (await client.post("/v1/webhooks/alertmanager", json=body, headers=headers)).raise_for_status()


def live(home: Path, fatal: int) -> None:
    """Live one life of the governor: take in the alert unless that was acknowledged, then see the run to its end."""
    points, acknowledged = Points(fatal), home / "acknowledged"
    for name in ("before_cursor_execute", "commit"):
        event.listen(Engine, name, points.reach)
    governor = build(points)
    if not acknowledged.exists():
        asyncio.run(notify(governor, Path(os.environ["TIDEMILL_GOVERNOR_TOKEN_FILE"]).read_text()))
        acknowledged.touch()
    for _ in range(20 if fatal == 0 else 1):
        governor.worker.make_pass()
        wait_for_record(home)
        governor.worker.make_pass()
        if is_over(governor):
            return


def wait_for_record(home: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not list(home.glob("runs/*/run.json")) and time.monotonic() < deadline:
        time.sleep(0.01)


def is_over(governor: Governor) -> bool:
    runs = governor.worker._parts.store.read_ledger("flight-delays").runs
    return [run.state for run in runs] == ["promoted"]


def fork(home: Path, fatal: int) -> int:
    """Live one life in a child; return how it ended, negative for a signal."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.environ["TIDEMILL_HOME"] = str(home)
    code = 1
    try:
        live(home, fatal)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def kill_everywhere(base: Path) -> None:
    for fatal in itertools.count(1):
        home = base / str(fatal)
        first = fork(home, fatal)
        second = fork(home, 0)
        ran = (home / "ran.txt").read_text().splitlines() if (home / "ran.txt").exists() else []
        print(json.dumps({"point": fatal, "first": first, "second": second, "ran": len(ran)}), flush=True)
        if first != -signal.SIGKILL:
            return


if __name__ == "__main__":
    if sys.argv[1] == "kill":
        kill_everywhere(load_settings().home)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        serve(build(Points(0)), "127.0.0.1", 0, 0.2)
