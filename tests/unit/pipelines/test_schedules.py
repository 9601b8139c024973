"""The recurring runs of a platform become those of the contracts, whatever state they were left in."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.base.contract.load import load_problem
from components.base.errors import PermanentError
from components.base.runner import RecurringRun
from pipelines.runners.local import LocalRunner
from pipelines.runners.schedules import apply, convert_cron, fingerprint_pipelines, list_wanted, plan_changes

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml")
PRINTS = {"refresh": "r1", "monitoring": "m1"}
WANTED = list_wanted([PROBLEM], PRINTS)


class Platform:
    """Keeps recurring runs in memory, and may die before one of its changes."""

    def __init__(self, kept, changes_left=99):
        self.kept, self.changes_left = list(kept), changes_left

    def _change(self):
        if self.changes_left == 0:
            raise KeyboardInterrupt
        self.changes_left -= 1

    def create_schedule(self, schedule):
        self._change()
        self.kept.append(replace(schedule, id=f"id-{len(self.kept)}-{self.changes_left}"))

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
