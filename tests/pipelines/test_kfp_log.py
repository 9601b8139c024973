"""A run is followed by what kfp.local prints: which step runs, for how long, how it ended and why."""

from pathlib import Path

from pipelines.runners.kfp_log import KfpLog, StepRun, error_of


class Heard:
    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def step_started(self, step: StepRun) -> None:
        self.events.append(("started", step.name))

    def step_progressed(self, step: StepRun) -> None:
        self.events.append(("progressed", step.message))

    def step_finished(self, step: StepRun) -> None:
        self.events.append((step.status, step.name))


def follow(tmp_path: Path, *texts: str) -> tuple[KfpLog, Heard]:
    heard = Heard()
    log = KfpLog(tmp_path / "run.log", heard)
    for text in texts:
        log.write(text)
    return log, heard


RUN = """10:00:00.000 - INFO - Executing task \x1b[96m'ingest'\x1b[0m
    [KFP Executor 2026-11-24 10:00:00,100 INFO]: ingest: 10 rows
10:00:01.000 - INFO - Task \x1b[96m'ingest'\x1b[0m finished with status \x1b[92mSUCCESS\x1b[0m
10:00:01.000 - INFO - Task validate cache hit (key=0123456789ab); skipping execution.
"""


def test_log_reports_each_step_as_it_changes(tmp_path: Path) -> None:
    _, heard = follow(tmp_path, RUN)
    assert heard.events == [
        ("started", "ingest"),
        ("progressed", "10 rows"),
        ("done", "ingest"),
        ("started", "validate"),
        ("reused", "validate"),
    ]


def test_own_time_of_a_step_lies_between_its_input_and_its_output(tmp_path: Path) -> None:
    stamps = ("10:00:00,500 INFO]: Got executor_input:", "10:00:02,750 INFO]: Wrote executor output file to x.")
    lines = "".join(f"    [KFP Executor 2026-11-24 {stamp}\n" for stamp in stamps)
    log, _ = follow(tmp_path, "Executing task 'ingest'\n" + lines + "Task 'ingest' finished with status SUCCESS\n")
    assert log.steps[0].own_seconds == 2.25


def test_log_reports_the_same_however_the_text_is_cut(tmp_path: Path) -> None:
    _, whole = follow(tmp_path, RUN)
    _, cut = follow(tmp_path, *RUN)
    assert cut.events == whole.events


def test_log_file_holds_every_character(tmp_path: Path) -> None:
    log, _ = follow(tmp_path, RUN, "unfinished")
    log.close()
    assert (tmp_path / "run.log").read_text() == RUN + "unfinished"


FAILED = """INFO - Executing task 'validate'
    Traceback (most recent call last):
      File "x.py", line 1, in <module>
        raise KeyError
    KeyError
    The above exception was the direct cause of the following exception:
    Traceback (most recent call last):
      File "x.py", line 2, in <module>
    components.base.errors.DataError: validate: 2 faults.
      first
      second

ERROR - Task 'validate' finished with status FAILURE
----------------
Pipeline 'training' finished with status FAILURE. Inner task failed: 'validate'.
"""


def test_error_of_a_failed_step_is_its_own_text_without_traceback(tmp_path: Path) -> None:
    log, heard = follow(tmp_path, FAILED)
    assert heard.events[-1] == ("failed", "validate")
    assert error_of(log.steps[-1]) == "components.base.errors.DataError: validate: 2 faults.\n  first\n  second"


def test_step_that_was_killed_shows_its_last_words(tmp_path: Path) -> None:
    log, _ = follow(tmp_path, "Executing task 'tune'\n    half way\nTask 'tune' finished with status FAILURE\n")
    assert error_of(log.steps[-1]) == "half way"
