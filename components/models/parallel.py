"""Fit several models at once: one thread a core, and every fit on one thread.

A fit that spreads over all cores while others run waits for itself (OpenMP spins); whole fits side by side do not.
scikit-learn releases the interpreter lock in its loops, so threads serve and nothing is copied between processes.
Called by select, tune and ensemble.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

T = TypeVar("T")


def count_workers() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_one_thread() -> None:
    """Keep OpenMP of the calling thread to one thread; the setting belongs to the thread and ends with it."""
    threadpool_limits(limits=1, user_api="openmp")


@contextmanager
def quiet_fits() -> Iterator[None]:
    """Keep BLAS to one thread, and silence what is meant: a budget of iterations, a batch larger than few rows."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(), threadpool_limits(limits=1, user_api="blas"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "Got `batch_size` less than 1 or larger")
        yield


def run_all(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Run the tasks side by side and return their results in the order of the tasks; the first error is raised."""
    with quiet_fits(), ThreadPoolExecutor(count_workers(), initializer=use_one_thread) as pool:
        return list(pool.map(lambda task: task(), tasks))
