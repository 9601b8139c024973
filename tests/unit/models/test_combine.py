"""Single, voting or stacking: the simplest within one standard error."""

import numpy as np
import pytest

from components.models.combine import HeldOut, compare_kinds, fit_stacker, list_forecasts


def choose(problem, rows):
    compared = compare_kinds(problem, ["left", "right"], rows)
    return compared, next(kind for kind in compared["comparison"] if kind["chosen"])


def test_members_that_complete_each_other_are_combined(problem, small):
    compared, chosen = choose(problem, small.held_out(first=1.5, second=1.5))
    assert chosen["kind"] in ("voting", "stacking")
    assert chosen["score"] > max(kind["score"] for kind in compared["comparison"] if kind["kind"] == "single")


def test_single_is_taken_when_the_other_member_knows_nothing(problem, small):
    compared, chosen = choose(problem, small.held_out(first=2.0, second=0.0))
    assert (chosen["kind"], chosen["families"]) == ("single", ["left"])
    assert "single (left)" in compared["reason"]


def test_two_equal_members_are_not_worth_an_ensemble(problem, small):
    rows = small.held_out(first=2.0)
    twins = HeldOut(rows.probabilities[:, [0, 0]], rows.outcomes, rows.predicted_at, rows.folds)
    assert choose(problem, twins)[1]["kind"] == "single"


def test_direction_of_the_metric_is_respected(problem, small):
    lower_is_better = small.change(problem, metrics={"primary": "log_loss"})
    _, chosen = choose(lower_is_better, small.held_out(first=2.0, second=0.0))
    assert chosen["families"] == ["left"]


def test_lone_family_is_single(problem, small):
    rows = small.held_out()
    lone = HeldOut(rows.probabilities[:, :1], rows.outcomes, rows.predicted_at, rows.folds)
    compared = compare_kinds(problem, ["left"], lone)
    assert [kind["kind"] for kind in compared["comparison"]] == ["single"]
    assert compared["cross_validated"]["rows"] == 800


def test_stacking_forecasts_a_fold_from_earlier_folds_only(small):
    rows = small.held_out()
    stacked = list_forecasts(["left", "right"], rows)[-1].probabilities
    changed = HeldOut(rows.probabilities, np.where(rows.folds == 2, 1 - rows.outcomes, rows.outcomes), *vars_of(rows))
    again = list_forecasts(["left", "right"], changed)[-1].probabilities
    assert again == pytest.approx(stacked)
    first_two = fit_stacker(rows.select(rows.folds < 2))
    expected = first_two.predict_proba(rows.probabilities[rows.folds == 2])[:, 1]
    assert stacked[-len(expected) :] == pytest.approx(expected)


def vars_of(rows):
    return rows.predicted_at, rows.folds
