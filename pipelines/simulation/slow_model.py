"""Slow a running predictor from outside, as a throttled container is: stop its process for a moment, again and again.

In: the process. Out: a context, in which it is slow. Nothing of the product knows of it.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# A fourteenth of the processor: what took 8 ms takes 120, well beyond a p99 of 50.
_STOPPED_SECONDS = 0.04
_RUNNING_SECONDS = 0.003


@contextmanager
def slowed(pid: int) -> Iterator[None]:
    """Stop and continue the process until the end of the block, which leaves it running."""
    ended = threading.Event()
    thread = threading.Thread(target=_slow, args=(pid, ended), name="slow-model", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _slow(pid: int, ended: threading.Event) -> None:
    # The process may have ended meanwhile.
    with suppress(ProcessLookupError):
        while not ended.is_set():
            os.kill(pid, signal.SIGSTOP)
            try:
                ended.wait(_STOPPED_SECONDS)
            finally:
                os.kill(pid, signal.SIGCONT)
            ended.wait(_RUNNING_SECONDS)
