"""The recurring runs of a platform become those of the contracts, whatever state they were left in."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.base.contract.load import load_problem
from components.base.errors import PermanentError
from components.base.runner import ListedRun, RecurringRun
from pipelines.runners.local import LocalRunner
from pipelines.runners.schedules import apply, convert_cron, fingerprint_pipelines, list_wanted, plan_changes

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml")
PRINTS = {"refresh": "r1", "monitoring": "m1"}
WANTED = list_wanted([PROBLEM], PRINTS)


class Platform:
    """Keeps recurring runs in memory, and may die before one of its changes."""

    def __init__(self, kept, changes_left=99, runs=()):
        self.kept, self.changes_left, self.runs = list(kept), changes_left, list(runs)

    def _change(self):
        if self.changes_left == 0:
            raise KeyboardInterrupt
        self.changes_left -= 1

    def create_schedule(self, schedule):
        self._change()
        self.kept.append(replace(schedule, id=f"id-{len(self.kept)}-{self.changes_left}"))

    def list_runs(self, problem):
        return [run for run in self.runs if run.problem == problem]

    def delete_schedule(self, schedule):
        self._change()
        self.kept = [one for one in self.kept if one.id != schedule.id]


@pytest.mark.parametrize(
    ("contract", "kubeflow"),
    [
        ("0 5 * * *", "0 0 5 * * *"),
        ("*/15 6-9 1,15 JUL *", "0 */15 6-9 1,15 JUL *"),
        ("0 6 * * 7", "0 0 6 * * 0"),
        ("0 6 * * 1,7", "0 0 6 * * 1,0"),
        ("0 6 * * 5-7", "0 0 6 * * 5-6,0"),
        ("0 6 * * wed", "0 0 6 * * wed"),
    ],
)
def test_a_cron_line_gets_a_field_for_seconds_and_sunday_as_zero(contract, kubeflow):
    assert convert_cron(contract) == kubeflow


@pytest.mark.parametrize("cron", ["0 6 L * *", "0 6 * * MON#2"])
def test_a_day_that_kubeflow_does_not_know_is_refused(cron):
    with pytest.raises(PermanentError, match="Write days as numbers or names"):
        convert_cron(cron)


def test_refresh_and_monitoring_of_each_contract_are_wanted():
    assert [(one.name, one.pipeline, one.cron) for one in WANTED] == [
        ("flight-delays-monitoring", "monitoring", "0 0 6 * * *"),
        ("flight-delays-refresh", "refresh", "0 0 5 * * *"),
    ]


def test_another_cron_line_or_another_pipeline_replaces_one_that_is_kept():
    platform = Platform([])
    list(apply(plan_changes(WANTED, []), platform))
    later = PROBLEM.model_copy(update={"refresh": PROBLEM.refresh.model_copy(update={"schedule": "0 4 * * *"})})
    plan = plan_changes(list_wanted([later], PRINTS), platform.kept)
    assert [(change.action, change.schedule.cron) for change in plan] == [("replace", "0 0 4 * * *")]
    plan = plan_changes(list_wanted([PROBLEM], PRINTS | {"monitoring": "m2"}), platform.kept)
    assert [(change.action, change.schedule.name) for change in plan] == [("replace", "flight-delays-monitoring")]


def test_one_that_was_switched_off_is_switched_on_again():
    platform = Platform([])
    list(apply(plan_changes(WANTED, []), platform))
    switched_off = [replace(one, is_enabled=False) for one in platform.kept]
    assert [change.action for change in plan_changes(WANTED, switched_off)] == ["replace", "replace"]


MADE = datetime(2026, 11, 20, 12, tzinfo=UTC)


def make_run(as_of, pipeline="refresh", is_scheduled=True):
    return ListedRun(
        f"{pipeline}-{as_of}", pipeline, "flight-delays", as_of, "running", MADE, is_scheduled=is_scheduled
    )


def replaced_refresh(platform):
    """Make the recurring runs of an image, then those of the next one; return the refresh."""
    list(apply(plan_changes(WANTED, platform.kept), platform))
    platform.kept = [replace(one, since=one.since or MADE) for one in platform.kept]
    later = list_wanted([PROBLEM], PRINTS | {"refresh": "r2"})
    list(apply(plan_changes(later, platform.kept), platform))
    return next(one for one in platform.kept if one.pipeline == "refresh")


def test_a_new_recurring_run_makes_up_nothing_from_before_its_problem_was_known():
    platform = Platform([])
    list(apply(plan_changes(WANTED, []), platform))
    assert [one.since for one in platform.kept] == [None, None]


def test_a_replaced_recurring_run_goes_on_from_the_due_time_that_was_started_last():
    # Nobody else's run, and none of another pipeline, was the clock's.
    runs = [make_run("2026-11-22T05:00:00+00:00"), make_run("2026-11-21T05:00:00+00:00")]
    others = [make_run("2026-11-23T05:00:00+00:00", "monitoring"), make_run("2026-11-24", is_scheduled=False)]
    assert replaced_refresh(Platform([], runs=runs + others)).since == datetime(2026, 11, 22, 5, tzinfo=UTC)


def test_a_recurring_run_that_had_not_started_anything_goes_on_from_its_own_begin():
    assert replaced_refresh(Platform([])).since == MADE


def test_a_replacement_that_was_interrupted_forgets_no_due_time():
    platform = Platform([], runs=[make_run("2026-11-22T05:00:00+00:00")])
    list(apply(plan_changes(WANTED, []), platform))
    platform.changes_left = 1
    later = list_wanted([PROBLEM], PRINTS | {"refresh": "r2"})
    with pytest.raises(KeyboardInterrupt):
        list(apply(plan_changes(later, platform.kept), platform))
    assert len(platform.kept) == 1
    platform.changes_left = 99
    list(apply(plan_changes(later, platform.kept), platform))
    assert platform.kept[-1].since == datetime(2026, 11, 22, 5, tzinfo=UTC)


kept_runs = st.lists(
    st.builds(
        RecurringRun,
        name=st.sampled_from(["flight-delays-refresh", "flight-delays-monitoring", "old-refresh", "mine"]),
        problem=st.sampled_from(["flight-delays", "old"]),
        cron=st.just("0 0 5 * * *"),
        is_enabled=st.booleans(),
        mark=st.sampled_from(["", "stale", WANTED[0].mark, WANTED[1].mark]),
    ),
    max_size=6,
).map(lambda runs: [replace(one, id=f"kept-{number}") for number, one in enumerate(runs)])


@given(kept=kept_runs, dies_after=st.integers(0, 6))
def test_whatever_was_kept_and_however_often_it_dies_the_end_is_the_contracts(kept, dies_after):
    platform = Platform(kept, dies_after)
    try:
        list(apply(plan_changes(WANTED, platform.kept), platform))
    except KeyboardInterrupt:
        platform.changes_left = 99
        list(apply(plan_changes(WANTED, platform.kept), platform))
    assert plan_changes(WANTED, platform.kept) == []
    ours = [one for one in platform.kept if one.mark]
    assert sorted((one.name, one.mark) for one in ours) == [(one.name, one.mark) for one in WANTED]
    assert all(one.is_enabled for one in ours)
    assert [one for one in platform.kept if not one.mark] == [one for one in kept if not one.mark]


def test_the_fingerprint_of_a_pipeline_changes_with_its_image():
    assert fingerprint_pipelines("tidemill-python:1") == fingerprint_pipelines("tidemill-python:1")
    assert fingerprint_pipelines("tidemill-python:1") != fingerprint_pipelines("tidemill-python:2")


def test_one_machine_keeps_none_and_says_who_is_the_clock(tmp_path):
    with pytest.raises(PermanentError, match="tidemill govern"):
        list(apply(plan_changes(WANTED, []), LocalRunner(tmp_path, {})))
