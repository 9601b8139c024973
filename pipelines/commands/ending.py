"""How a command ends that is ended from outside, by a signal or by its disk: in order, and in words.

In: the function of a command. Out: the same function, and exit code 128 + number after a signal. Called by `app.py` for
every command.
"""

import errno
import functools
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import typer

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP interrupt the block as Ctrl-C does; what follows the first signal is ignored.

    A signal that whoever started the program told it to ignore, as `nohup` does, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.getsignal(one) for one in _SIGNALS if signal.getsignal(one) is not signal.SIG_IGN}

    def interrupt(number: int, _: FrameType | None) -> None:
        for one in before:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt(number)

    for one in before:
        signal.signal(one, interrupt)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def name_signal(interrupt: KeyboardInterrupt) -> signal.Signals:
    """Return the signal that interrupted the command."""
    return signal.Signals(interrupt.args[0]) if interrupt.args else signal.SIGINT


def end_in_words(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Let the function of a command say that a signal ended it, and what to do next."""

    @functools.wraps(function)
    def command(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except KeyboardInterrupt as interrupt:
            ended_by = name_signal(interrupt)
            typer.echo(
                f"tidemill {name}: {ended_by.name} has ended it. What was finished is kept: the same command goes on "
                "from there, and `tidemill runs` lists the runs.",
                err=True,
            )
            raise typer.Exit(128 + ended_by) from interrupt

    return command


def describe_disk_fault(error: OSError) -> str | None:
    """Return what is wrong with the disk and what to do; None for any other error."""
    if error.errno not in _DISK_FAULTS:
        return None
    return (
        f"{error.filename or 'the disk'}: it must take what is written, but got: {error.strerror}. Make room, give the "
        "right to write, or set another TIDEMILL_HOME, and run the same command again: it goes on from what is kept."
    )
