import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from components.base.child_process import ChildPlan, OwnedProcess

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
DEAF = [
    sys.executable,
    "-S",
    "-c",
    "import signal, time; signal.signal(15, lambda *_: print('deaf', flush=True)); "
    "print('up', flush=True); time.sleep(60)",
]

OWNER = """
import sys, time
from pathlib import Path
from threading import Thread
from components.base.child_process import ChildPlan, OwnedProcess

def start():
    plan = ChildPlan(sys.argv[2:], {}, Path(sys.argv[1]), sys.stderr.buffer)
    print(OwnedProcess(plan).pid, flush=True)

caller = Thread(target=start)
caller.start()
caller.join()
time.sleep(60)
"""


def plan(folder, command, **environment):
    return ChildPlan(command, environment, folder, (folder / "log").open("wb"))


def wait_until(happened, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.02)
    return happened()


def start(folder, command, **environment):
    child = plan(folder, command, **environment)
    with child.log:
        return OwnedProcess(child)


def test_a_child_sees_only_the_environment_of_its_plan(tmp_path):
    program = "import os; print(os.environ['A'], 'PATH' in os.environ)"
    child = start(tmp_path, [sys.executable, "-S", "-c", program], A="1")
    assert wait_until(lambda: not child.is_running())
    assert (tmp_path / "log").read_text() == "1 False\n"


def test_stop_asks_first(tmp_path):
    child = start(tmp_path, SLEEP)
    assert child.is_running()
    child.stop(5)
    assert not child.is_running()
    assert not psutil.pid_exists(child.pid)


def test_stop_kills_what_does_not_listen(tmp_path):
    child = start(tmp_path, DEAF)
    assert wait_until(lambda: "up" in (tmp_path / "log").read_text())
    child.stop(0.2)
    assert not psutil.pid_exists(child.pid)
    assert "deaf" in (tmp_path / "log").read_text()


def test_a_program_that_is_not_there_ends_at_once_with_its_reason_in_the_log(tmp_path):
    child = start(tmp_path, ["/no/such/program"])
    assert wait_until(lambda: not child.is_running())
    assert "FileNotFoundError" in (tmp_path / "log").read_text()


def test_a_folder_that_is_not_there_is_told_at_once(tmp_path):
    with (tmp_path / "log").open("wb") as log, pytest.raises(FileNotFoundError):
        OwnedProcess(ChildPlan(SLEEP, {}, tmp_path / "gone", log))


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_a_child_ends_when_its_owner_is_killed(tmp_path):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path), *SLEEP],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        pid = int(owner.stdout.readline())
        time.sleep(0.3)
        # The thread that called has ended by now; the child has not.
        assert psutil.Process(pid).is_running()
        os.kill(owner.pid, signal.SIGKILL)
    assert wait_until(lambda: not psutil.pid_exists(pid))
