"""The wait for a processor, against the two clocks that the system keeps for a thread."""

import os
import time

import pytest

from components.base.processor_wait import read_wait_seconds


def test_time_on_the_clock_is_time_on_a_processor_and_the_wait_for_one():
    waited, worked, begun = read_wait_seconds(os.getpid()), time.thread_time(), time.perf_counter()
    while time.thread_time() - worked < 0.3:
        pass
    clock, worked = time.perf_counter() - begun, time.thread_time() - worked
    # This thread is the main thread of the process too, so its wait is counted twice.
    waited = (read_wait_seconds(os.getpid()) - waited) / 2
    assert worked + waited == pytest.approx(clock, rel=0.1)


def test_a_process_that_has_ended_or_is_elsewhere_has_no_wait():
    assert read_wait_seconds(None) == 0.0
    assert read_wait_seconds(2**22 + 1) == 0.0
