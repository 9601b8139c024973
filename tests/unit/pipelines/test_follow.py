"""A run is followed to its end: each change is shown once, and a runner that is away for a while is no end."""

import pytest

from components.base.errors import TransientError
from components.base.runner import RunProgress, RunReport, StepProgress
from pipelines.runners.follow import follow_run

RUNNING, DONE = RunReport("running"), RunReport("succeeded", "promoted", "7")


class Script:
    """Answers with each entry once, and with the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def read_progress(self, key, problem):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def follow(*answers):
    lines, waits = [], []
    report = follow_run(Script(*answers), "key", "flight-delays", lines.append, waits.append)
    return report, lines


def test_each_change_of_a_step_is_shown_once_and_the_page_first():
    ingest, validate = StepProgress("ingest", "succeeded", 42.0), StepProgress("validate", "running")
    report, lines = follow(
        RunProgress(RUNNING, (StepProgress("ingest", "running"),), "http://ui/#/runs/details/1"),
        RunProgress(RUNNING, (StepProgress("ingest", "running"),), "http://ui/#/runs/details/1"),
        RunProgress(RUNNING, (ingest, validate), "http://ui/#/runs/details/1"),
        RunProgress(DONE, (ingest, StepProgress("validate", "succeeded", 8.0)), "http://ui/#/runs/details/1"),
    )
    assert report == DONE
    assert lines == [
        "key: http://ui/#/runs/details/1",
        "  ingest      running",
        "  ingest      succeeded     42 s",
        "  validate    running",
        "  validate    succeeded      8 s",
    ]


def test_a_runner_that_is_away_for_a_while_is_looked_at_again():
    report, lines = follow(RunProgress(RUNNING), TransientError("no answer"), RunProgress(DONE))
    assert (report, lines) == (DONE, ["no answer"])


def test_a_run_that_stays_invisible_is_no_success():
    with pytest.raises(TransientError, match="must be visible within five minutes"):
        follow(RunProgress(RunReport("unknown")))
