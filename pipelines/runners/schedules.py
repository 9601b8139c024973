"""Make the platform keep the recurring runs that the contracts schedule, and no others of ours.

In: the contracts, and the recurring runs that the platform keeps. Out: the changes that make them agree; `apply` makes
them. A recurring run of Kubeflow Pipelines cannot be changed: a new one replaces it. One that a person or another
installation made is left alone. Called by `tidemill schedules apply`, which `make deploy` runs: twice changes nothing,
and one that was interrupted goes on.

Trainings are not among them: the governor starts them by `retraining.schedule`, for it alone knows of cooldown, budget,
labels and a pause. Reports are the last step of monitoring and have its schedule.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from components.base.contract.problem import Problem
from components.base.errors import PermanentError
from components.base.runner import Pipeline, RecurringRun, Runner
from components.base.times import parse_time
from pipelines.runners.compile import compile_to

SCHEDULED: tuple[Pipeline, ...] = ("refresh", "monitoring")


@dataclass(frozen=True)
class ScheduleChange:
    """One thing to do, so that the platform keeps what the contracts schedule."""

    action: Literal["create", "replace", "delete"]
    schedule: RecurringRun
    """The one to create; of a deletion the one to delete."""
    replaced: tuple[RecurringRun, ...] = ()
    """Kept now under the same name, and deleted by a replacement."""


def fingerprint_pipelines(image: str) -> dict[Pipeline, str]:
    """Return 16 hexadecimal digits over each scheduled pipeline as it is compiled for the image."""
    found: dict[Pipeline, str] = {}
    with TemporaryDirectory() as folder:
        for pipeline in SCHEDULED:
            path = Path(folder) / f"{pipeline}.yaml"
            compile_to(path, pipeline, image)
            found[pipeline] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return found


def list_wanted(problems: Iterable[Problem], fingerprints: Mapping[Pipeline, str]) -> list[RecurringRun]:
    """Return the recurring runs of the contracts, in the order of their names.

    Raises:
        PermanentError: a cron line cannot be said in Kubeflow's form.
    """
    wanted = []
    for problem in problems:
        for pipeline, schedule in problem.schedules.items():
            name, cron = f"{problem.name}-{pipeline}", convert_cron(schedule)
            mark = hashlib.sha256(f"{cron}\n{fingerprints[pipeline]}".encode()).hexdigest()[:16]
            wanted.append(RecurringRun(name, problem.name, cron, pipeline=pipeline, mark=mark))
    return sorted(wanted, key=lambda schedule: schedule.name)


def plan_changes(wanted: Sequence[RecurringRun], kept: Sequence[RecurringRun]) -> list[ScheduleChange]:
    """Return what must change; nothing for a recurring run that is as it must be, or that a person made."""
    return [*_plan_wanted(wanted, kept), *_plan_deletions(wanted, kept)]


def apply(changes: Iterable[ScheduleChange], runner: Runner) -> Iterator[ScheduleChange]:
    """Make each change and yield it when it is made.

    The old one goes before the new one comes: two of one name would both start. The new one goes on from the due time
    that was started last, so that one that was missed, before or in between, is made up, once.
    """
    for change in changes:
        if change.action == "delete":
            runner.delete_schedule(change.schedule)
        else:
            wanted = replace(change.schedule, since=_find_handled(change, runner))
            for schedule in change.replaced:
                runner.delete_schedule(schedule)
            runner.create_schedule(wanted)
        yield change


def convert_cron(cron: str) -> str:
    """Return a contract's cron line in Kubeflow's form: six fields, seconds first, Sunday as 0.

    Raises:
        PermanentError: the line has a field that Kubeflow's cron does not know.
    """
    if re.search(r"[LW#?]", re.sub(r"(?i)jul|wed", "", cron)):
        raise PermanentError(
            f"schedule {cron!r}: Kubeflow Pipelines must know each field, but it knows neither L, W, # nor ?. "
            "Write days as numbers or names."
        )
    *others, weekdays = cron.split()
    return " ".join(["0", *others, ",".join(_convert_weekdays(part) for part in weekdays.split(","))])


def _find_handled(change: ScheduleChange, runner: Runner) -> datetime | None:
    """Return the newest due time of a pipeline that was started; before the first one the age of its recurring run.

    None where there was neither: no due time before a problem was known is made up. Runs outlive their recurring run,
    so that also one whose replacement was interrupted goes on.
    """
    wanted = change.schedule
    started = [
        parse_time(run.as_of)
        for run in runner.list_runs(wanted.problem)
        if run.is_scheduled and run.pipeline == wanted.pipeline
    ]
    kept = [one.since for one in change.replaced if one.since]
    return max(started, default=min(kept, default=None))


def _convert_weekdays(part: str) -> str:
    """Write the 7 that some crons have for Sunday as 0, also at the end of a range."""
    if part == "7":
        return "0"
    if ends := re.fullmatch(r"(\w+)-7(/1)?", part):
        return "0" if ends[1] == "7" else f"{ends[1]}-6,0"
    return part


def _plan_wanted(wanted: Iterable[RecurringRun], kept: Sequence[RecurringRun]) -> Iterator[ScheduleChange]:
    for schedule in wanted:
        same = tuple(one for one in kept if one.mark and (one.problem, one.name) == (schedule.problem, schedule.name))
        right = [one for one in same if one.mark == schedule.mark and one.is_enabled]
        if not same:
            yield ScheduleChange("create", schedule)
        elif not right:
            yield ScheduleChange("replace", schedule, same)
        else:
            # An interrupted replacement may have left another one.
            yield from (ScheduleChange("delete", one) for one in same if one is not right[0])


def _plan_deletions(wanted: Iterable[RecurringRun], kept: Iterable[RecurringRun]) -> Iterator[ScheduleChange]:
    names = {(schedule.problem, schedule.name) for schedule in wanted}
    yield from (ScheduleChange("delete", one) for one in kept if one.mark and (one.problem, one.name) not in names)
