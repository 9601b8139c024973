"""Single, voting or stacking: the simplest within one standard error."""

import numpy as np
import pytest

from components.models.combine import HeldOut, compare_kinds, list_forecasts


def choose(task, rows):
    compared = compare_kinds(task, ["left", "right"], rows)
    return compared, compared.chosen


def test_members_that_complete_each_other_are_combined(task, small):
    compared, chosen = choose(task, small.held_out(first=1.5, second=1.5))
    assert chosen.kind in ("voting", "stacking")
    assert chosen.score > max(kind.score for kind in compared.kinds if kind.kind == "single")


def test_single_is_taken_when_the_other_member_knows_nothing(task, small):
    compared, chosen = choose(task, small.held_out(first=2.0, second=0.0))
    assert (chosen.kind, chosen.families) == ("single", ("left",))
    assert "single (left)" in compared.reason


def test_two_equal_members_are_not_worth_an_ensemble(task, small):
    rows = small.held_out(first=2.0)
    twins = HeldOut(rows.outputs[:, [0, 0]], rows.outcomes, rows.predicted_at, rows.folds)
    assert choose(task, twins)[1].kind == "single"


def test_direction_of_the_metric_is_respected(task, small):
    lower_is_better = small.change(task, metrics={"primary": "log_loss"})
    _, chosen = choose(lower_is_better, small.held_out(first=2.0, second=0.0))
    assert chosen.families == ("left",)


def test_lone_family_is_single(task, small):
    rows = small.held_out()
    lone = HeldOut(rows.outputs[:, :1], rows.outcomes, rows.predicted_at, rows.folds)
    compared = compare_kinds(task, ["left"], lone)
    assert [kind.kind for kind in compared.kinds] == ["single"]
    assert compared.cross_validated.rows == 800


def test_stacking_forecasts_a_fold_from_earlier_folds_only(task, small):
    rows = small.held_out()
    stacked = list_forecasts(task, ["left", "right"], rows)[-1].output
    changed = HeldOut(rows.outputs, np.where(rows.folds == 2, 1 - rows.outcomes, rows.outcomes), *vars_of(rows))
    again = list_forecasts(task, ["left", "right"], changed)[-1].output
    assert again == pytest.approx(stacked)
    first_two = rows.select(rows.folds < 2)
    stacker = task.fit_stacker(first_two.outputs, first_two.outcomes)
    expected = stacker.predict_proba(rows.outputs[rows.folds == 2][:, :, 0])[:, 1:]
    assert stacked[-len(expected) :] == pytest.approx(expected)


def vars_of(rows):
    return rows.predicted_at, rows.folds
