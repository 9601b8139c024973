"""Run one pipeline once on this machine: the very pipeline that Kubeflow runs, its steps shown, a record kept.

In: the settings with a running object store, and a `Job`. Out: a `LocalRun`; `<home>/runs/<name>/` with the log, the
record and what the pipeline presents. Called by `make demo`, `make refresh`, `make monitor`, `make loop`, and by the
governor's runs.
"""

import contextlib
import json
import logging
import os
import resource
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from components.base import documents
from components.base.adapters.s3 import open_store
from components.base.errors import PermanentError, StepFailedError, TidemillError
from components.base.home_lock import hold_alone
from components.base.local_run import BegunRun, LocalRun, StepRecord
from components.base.run_lock import BEGUN, STEP_RUN_FOLDER, claim_run
from components.base.run_records import PipelineRun
from components.base.runner import Pipeline
from components.base.settings import Settings
from components.base.times import parse_time
from components.data.run_end import record_run
from pipelines.runners.compile import import_pipeline
from pipelines.runners.kfp_log import KfpLog, error_of
from pipelines.runners.records import write_record
from pipelines.runners.terminal import Terminal

_logger = logging.getLogger(__name__)

# The page that a person opens first; refresh presents nothing.
_REPORTS = {"training": "report.html", "monitoring": "daily.html"}


@dataclass(frozen=True)
class Job:
    """What to run."""

    pipeline: Pipeline
    problem: str
    as_of: str
    """ISO 8601, UTC."""
    name: str = ""
    """Of the run and its folder; empty makes one of problem, date and time of start."""


def run_pipeline(settings: Settings, job: Job, terminal: Terminal) -> LocalRun:
    """Run the pipeline, show it and record it, whether it ends well or not.

    Raises:
        PermanentError: the pipeline of this problem is under way, or a run of this name has begun.
        StepFailedError: when a step failed; the record is written and the error shown before.
        KeyboardInterrupt: a signal ended the run; the record is written.
    """
    terminal.show_title(job.problem, job.as_of, job.pipeline)
    kind = "" if job.pipeline == "training" else f"{job.pipeline}-"
    name = job.name or f"{job.problem}-{kind}{job.as_of[:10]}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    folder = settings.home / "runs" / name
    with hold_alone(settings.home, f"{job.pipeline} of {job.problem}"), claim_run(folder) as is_ours:
        if not is_ours:
            raise PermanentError(f"run {name}: a name must run once, but this one has. Give the run another name.")
        return _run_claimed(settings, job, folder, terminal)


def _run_claimed(settings: Settings, job: Job, folder: Path, terminal: Terminal) -> LocalRun:
    """Run the pipeline in a folder that is claimed, with the errors of `run_pipeline`."""
    started, clock = datetime.now(UTC), time.monotonic()
    log = KfpLog(folder / "run.log", terminal)
    documents.write(BegunRun(pipeline=job.pipeline, problem=job.problem, as_of=job.as_of), folder / BEGUN)
    interrupt: KeyboardInterrupt | None = None
    with temporary_files_below(folder), _owning_steps(folder):
        try:
            presented = _call_pipeline(settings, job, log, folder / "steps")
        except KeyboardInterrupt as interrupted:
            presented, interrupt = None, interrupted
            log.interrupt("The run was ended by a signal.")
    # Keep what a person or the exporter reads; the tables of a folder stay where they are.
    for file in presented.iterdir() if presented and presented.is_dir() else ():
        if file.is_file() and file.suffix != ".parquet":
            shutil.copy2(file, folder / file.name)
    record = _describe(job, log, folder, presented is not None, started, time.monotonic() - clock)
    write_record(settings.home, record)
    _publish(job, record, settings)
    if interrupt:
        raise interrupt
    if record.status == "failed":
        failed = next((step for step in log.steps if step.status == "failed"), None)
        terminal.show_failure(failed, record.log)
        blamed = failed.name if failed else "none"
        raise StepFailedError(f"{job.problem}: every step of {job.pipeline} must end well, but {blamed} failed.")
    return record


@contextlib.contextmanager
def temporary_files_below(folder: Path) -> Iterator[None]:
    """Let this process and its steps make temporary files below a folder, and remove them at the end.

    kfp makes a folder a step and leaves it there, a step that is killed leaves its own.
    """
    scratch, before = folder / "tmp", os.environ.get("TMPDIR")
    scratch.mkdir(exist_ok=True)
    os.environ["TMPDIR"], tempfile.tempdir = str(scratch), None
    try:
        yield
    finally:
        os.environ.pop("TMPDIR")
        if before is not None:
            os.environ["TMPDIR"] = before
        tempfile.tempdir = None
        shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def _owning_steps(folder: Path) -> Iterator[None]:
    """Let the steps that are started in the block end with this process, and see whether its run is in force."""
    os.environ.update({"STEP_OWNER": str(os.getpid()), STEP_RUN_FOLDER: str(folder.absolute())})
    try:
        yield
    finally:
        del os.environ["STEP_OWNER"], os.environ[STEP_RUN_FOLDER]


def _call_pipeline(settings: Settings, job: Job, log: KfpLog, outputs: Path) -> Path | None:
    """Call the pipeline; return the path of its output below `outputs`, or None when a step failed."""
    with _all_output_to(log):
        from kfp import local

        local.init(
            local.SubprocessRunner(use_venv=False),
            pipeline_root=str(outputs),
            enable_caching=True,
            cache_root=str(settings.home / "kfp-cache"),
        )
        try:
            task = import_pipeline(job.pipeline)(problem=job.problem, as_of=job.as_of)
        except RuntimeError as error:
            log.write(f"{error}\n")
            return None
    return Path(getattr(task.output, "path", task.output))


def _describe(job: Job, log: KfpLog, folder: Path, is_done: bool, started: datetime, seconds: float) -> LocalRun:
    failed = next((step for step in log.steps if step.status == "failed"), None)
    report, summary = folder / _REPORTS.get(job.pipeline, ""), folder / "summary.json"
    fields = {
        "name": folder.name,
        "pipeline": job.pipeline,
        "problem": job.problem,
        "as_of": job.as_of,
        "status": "done" if is_done else "failed",
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "peak_memory_bytes": _peak_memory_bytes(),
        "steps": [
            StepRecord(
                name=step.name,
                status=step.status,
                seconds=round(step.seconds, 2),
                own_seconds=round(step.own_seconds, 2),
                message=step.message,
            )
            for step in log.steps
        ],
        "error": None if is_done else error_of(failed) if failed else "The run was ended between two steps.",
        "log": str(folder / "run.log"),
        "report": str(report) if is_done and report.is_file() else None,
    }
    shown = json.loads(summary.read_text()) if is_done and summary.is_file() else {}
    return LocalRun.model_validate({**shown, **fields})


def _publish(job: Job, record: LocalRun, settings: Settings) -> None:
    """Write the record of the run for the exporter; when the store is out of reach, log a warning."""
    run = PipelineRun(
        pipeline=job.pipeline,
        problem=job.problem,
        name=record.name,
        as_of=parse_time(job.as_of),
        status=record.status,
        started=parse_time(record.started),
        ended=datetime.now(UTC),
        seconds=record.seconds or 0.0,
        error=record.error,
    )
    try:
        record_run(open_store(settings), run)
    except TidemillError as error:
        _logger.warning("run %s: its record is kept on this machine only: %s", record.name, error)


@contextlib.contextmanager
def _all_output_to(log: KfpLog) -> Iterator[None]:
    """Send what kfp and the steps print to the run's log; that a step was reused is said by a logger alone."""
    handler, root = logging.StreamHandler(log), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def _peak_memory_bytes() -> int:
    """Return the largest resident set of this process and its ended children; Linux counts in KiB."""
    usages = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(usage).ru_maxrss for usage in usages) * 1024
