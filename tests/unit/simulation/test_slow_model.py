"""A slowed process is slow while the block lasts, and runs on after it."""

import subprocess
import sys

import psutil

from pipelines.simulation.slow_model import slowed


def test_process_is_stopped_again_and_again_and_left_running():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        process = psutil.Process(busy.pid)
        try:
            with slowed(busy.pid):
                states = {process.status() for _ in range(2000)}
            assert psutil.STATUS_STOPPED in states
            assert process.status() != psutil.STATUS_STOPPED
        finally:
            busy.kill()


def test_process_that_has_ended_does_no_harm():
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
        with slowed(ended.pid):
            assert ended.returncode == 0
