"""Follow a run to its end and show each step as it changes. Called by `tidemill submit`.

In: a runner and the key of a run that was started. Out: lines, and the report of the run that has ended. A runner that
does not answer for a while is no end of the run: it is looked at again.
"""

import time
from collections.abc import Callable, Iterator

from components.base.errors import TransientError
from components.base.runner import Runner, RunProgress, RunReport, StepProgress

_PAUSE_SECONDS = 5.0
# Five minutes without an answer, or without the run: long enough for an API server that restarts.
_PATIENCE = 60


def follow_run(
    runner: Runner,
    key: str,
    problem: str,
    show: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> RunReport:
    """Return the report of the run when it has ended; show its page once and each step at each change.

    Raises:
        TransientError: the runner has not answered, or has not seen the run, for five minutes.
    """
    shown: dict[str, StepProgress] = {}
    page, missed = None, 0
    while missed < _PATIENCE:
        try:
            progress = runner.read_progress(key, problem)
        except TransientError as error:
            show(f"{error}")
            progress = RunProgress(RunReport("unknown"), url=page)
        if progress.url != page:
            page = progress.url
            show(f"{key}: {page}")
        for line in _list_changes(shown, progress.steps):
            show(line)
        if progress.report.state in ("succeeded", "failed"):
            return progress.report
        missed = missed + 1 if progress.report.state == "unknown" else 0
        sleep(_PAUSE_SECONDS)
    raise TransientError(f"run {key}: it must be visible within five minutes, but is not. Look with `tidemill runs`.")


def _list_changes(shown: dict[str, StepProgress], steps: tuple[StepProgress, ...]) -> Iterator[str]:
    """Yield a line for each step that has another state than before, and remember it."""
    for step in steps:
        before = shown.get(step.name)
        if before is None or before.state != step.state:
            shown[step.name] = step
            seconds = "" if step.seconds is None else f"{step.seconds:6.0f} s"
            yield f"  {step.name:<12}{step.state:<10}{seconds}".rstrip()
