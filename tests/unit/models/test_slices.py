"""Slices that regress veto a release; groups that must be alike are compared by their true positive rates."""

import numpy as np
import pandas as pd
import pytest

from components.base.statistics.groups import name_groups
from components.models.scorecard import open_rows, score_contender
from components.models.slices import ReferenceCard, compare_fairness, compare_slices
from components.tasks.binary.policy import ThresholdPolicy


@pytest.fixture(scope="module")
def rows(small):
    return small.make_rows(0, 20, seed=4)


def judge(opened, label, p, threshold):
    return score_contender(opened, label, p[:, None], ThresholdPolicy(threshold=threshold))


def forecast(rows, noise, seed=0):
    logit = 1.5 * rows["warmth"].fillna(0).to_numpy() - 1
    return 1 / (1 + np.exp(-(logit + noise * np.random.default_rng(seed).normal(size=len(rows)))))


def test_slice_that_regresses_fails_although_the_whole_is_fine(task, rows):
    opened = open_rows(task, rows)
    good = forecast(rows, 0.0)
    hurt = np.where(rows["shop"] == "B", 1 - good, good)
    described, gate = compare_slices(
        opened, judge(opened, "new", hurt, 0.5), ReferenceCard("champion", judge(opened, "old", good, 0.5))
    )
    verdicts = {entry.group: entry.verdict for entry in described}
    assert verdicts == {"A": "pass", "B": "fail", "C": "pass", "missing": "pass"}
    assert gate.verdict == "fail"
    assert gate.reason.startswith("Worse than the champion: shop B loses 0.")
    loss = next(entry.loss for entry in described if entry.group == "B")
    assert loss.low > 0.1


def test_group_with_few_rows_is_counted_and_not_judged(task, rows):
    opened = open_rows(task, rows)
    judged = judge(opened, "same", forecast(rows, 0.0), 0.5)
    described, gate = compare_slices(opened, judged, ReferenceCard("champion", judged))
    missing = next(entry for entry in described if entry.group == "missing")
    assert (missing.rows, missing.gated, missing.score) == (16, False, None)
    assert gate.reason == "None of 3 groups is worse than the champion by more than its limit."


def test_lower_is_better_metric_finds_the_same_regression(task, rows, small):
    opened = open_rows(small.change(task, metrics={"primary": "log_loss"}), rows)
    good = forecast(rows, 0.0)
    hurt = np.where(rows["shop"] == "B", 1 - good, good)
    described, _ = compare_slices(
        opened, judge(opened, "new", hurt, 0.5), ReferenceCard("champion", judge(opened, "old", good, 0.5))
    )
    assert [entry.group for entry in described if entry.verdict == "fail"] == ["B"]


def test_fairness_compares_true_positive_rates(task, rows, small):
    declared = small.change(
        task, fairness=[{"column": "shop", "maximum_gap": 0.2}], business={"capacity_per_day": None}
    )
    opened = open_rows(declared, rows)
    everywhere = judge(opened, "all", np.full(len(rows), 0.9), 0.5)
    described, (gate,) = compare_fairness(opened, everywhere)
    assert (gate.verdict, described[0].gap.estimate) == ("pass", 0)
    never_in_a = judge(opened, "not A", np.where(rows["shop"] == "A", 0.1, 0.9), 0.5)
    described, (gate,) = compare_fairness(opened, never_in_a)
    assert (gate.verdict, gate.value, gate.limit) == ("fail", 1.0, 0.2)
    few = open_rows(declared, rows.head(20))
    _, (gate,) = compare_fairness(few, judge(few, "few", np.full(20, 0.9), 0.5))
    assert (gate.verdict, gate.blocks) == ("not judged", False)
    rates = {group.group: group.rate for group in described[0].groups}
    assert (rates["A"], rates["C"]) == (0, 1)


def test_contract_without_fairness_has_no_such_gate(task, rows):
    opened = open_rows(task, rows)
    assert compare_fairness(opened, judge(opened, "all", np.full(len(rows), 0.9), 0.5)) == ((), [])


def test_number_with_many_values_is_grouped_by_quartiles():
    column = pd.Series([*range(100), np.nan])
    groups = name_groups(column)
    assert groups.value_counts().to_dict() == {
        "0 to 24.75": 25,
        "24.75 to 49.5": 25,
        "49.5 to 74.25": 25,
        "74.25 to 99": 25,
        "missing": 1,
    }


def test_value_of_most_rows_is_a_group_of_its_own():
    """Of 1,000 rows 550 are 0, and the other 450 make two groups: half of the rows in two quarters."""
    groups = name_groups(pd.Series([0.0] * 550 + list(range(1, 451))))
    assert groups.value_counts().to_dict() == {"0": 550, "1 to 225.5": 225, "225.5 to 450": 225}


def test_number_with_few_values_and_text_are_grouped_by_value():
    assert name_groups(pd.Series([1.0, 2.0, None])).tolist() == ["1", "2", "missing"]


def test_groups_have_the_texts_that_values_have_everywhere():
    whole = pd.Series([4, 12_345_678, None], dtype="Int64")
    assert name_groups(whole).tolist() == ["4", "12345678", "missing"]
    assert name_groups(pd.Series([True, None, False], dtype=object)).tolist() == ["true", "missing", "false"]
    assert name_groups(pd.Series(["a", None])).tolist() == ["a", "missing"]
    assert name_groups(pd.Series([*range(40), None], dtype="Int64")).iloc[[0, 39, 40]].tolist()[2] == "missing"
    assert name_groups(pd.Series(["EWR", None], dtype=object)).tolist() == ["EWR", "missing"]
    assert name_groups(pd.Series([3, 4])).tolist() == ["3", "4"]
