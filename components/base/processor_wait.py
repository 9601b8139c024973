"""How long a thread was ready to run while other programs had the processors.

In: a process. Out: seconds, from Linux's `schedstat` (https://docs.kernel.org/scheduler/sched-stats.html, "time spent
waiting on a runqueue"). Called by who judges a latency: that time says something about the machine's other work and
nothing about the program that was measured.
"""

from pathlib import Path

_THIS_THREAD = Path("/proc/thread-self/schedstat")


def read_wait_seconds(process: int | None) -> float:
    """Return the wait of this thread and of the main thread of a process together, since each was started.

    The main thread is the one that answers in a server with one event loop. The result is 0 without a process, and on
    a system that does not count.
    """
    if process is None:
        return 0.0
    try:
        return _read(_THIS_THREAD) + _read(Path(f"/proc/{process}/task/{process}/schedstat"))
    except OSError:
        return 0.0


def _read(path: Path) -> float:
    """Return the second of the three numbers: nanoseconds on the runqueue."""
    return int(path.read_text().split()[1]) / 1e9
