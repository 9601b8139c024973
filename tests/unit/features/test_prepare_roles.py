"""Each example has one role by time, and no label of a role is known later than the next role starts."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.base.contract.problem import Split
from components.base.dataset import ROLES
from components.features.prepare import assign_roles, drop_old_examples, split_limits

AS_OF = datetime(2013, 7, 1, tzinfo=UTC)
SPLITS = st.builds(
    Split,
    validation_days=st.integers(1, 20),
    test_days=st.integers(1, 20),
    gap_hours=st.integers(0, 60),
    folds=st.just(2),
    minimum_rows=st.just(1),
)
# Minutes before `as_of`, and minutes until the label is known.
EXAMPLES = st.lists(st.tuples(st.integers(0, 60 * 24 * 60), st.integers(1, 72 * 60)), min_size=1, max_size=60)


def _series(moments):
    return pd.Series(pd.to_datetime(moments, utc=True))


@given(SPLITS, EXAMPLES)
def test_roles_follow_each_other_with_a_gap_that_covers_every_label(split, examples):
    known = [(before, delay) for before, delay in examples if delay <= before] or [(10, 1)]
    predicted_at = _series([AS_OF - timedelta(minutes=before) for before, _ in known])
    label_at = predicted_at + pd.to_timedelta([delay for _, delay in known], unit="min")
    roles = assign_roles(split, predicted_at, label_at, AS_OF)
    limits = split_limits(split, AS_OF)

    assert len(roles) == len(known)
    assert set(roles) <= {*ROLES, "gap"}
    train, validation, test = (roles == role for role in ROLES)
    assert (label_at[train] <= limits["validation_start"]).all()
    assert (label_at[validation] <= limits["test_start"]).all()
    gap = timedelta(hours=split.gap_hours)
    assert (predicted_at[train] < limits["validation_start"] - gap).all()
    assert (predicted_at[validation] < limits["test_start"] - gap).all()
    assert (predicted_at[validation] >= limits["validation_start"]).all()
    assert (predicted_at[test] >= limits["test_start"]).all()
    assert (predicted_at[test] < AS_OF - gap).all()


@given(SPLITS, st.lists(st.tuples(st.integers(1, 60 * 24 * 60), st.floats(0, 1)), min_size=1, max_size=60))
def test_a_label_within_the_gap_never_decides_whether_a_row_is_in_test(split, examples):
    """Rows whose label is not known at `as_of` do not exist; none of them may lie before the end of test."""
    predicted_at = _series([AS_OF - timedelta(minutes=before) for before, _ in examples])
    label_at = predicted_at + pd.to_timedelta([share * split.gap_hours for _, share in examples], unit="h")
    roles = assign_roles(split, predicted_at, label_at, AS_OF)
    assert (label_at[predicted_at < split_limits(split, AS_OF)["test_end"]] <= AS_OF).all()
    assert (label_at[roles == "test"] <= AS_OF).all()


@given(SPLITS, EXAMPLES)
def test_only_the_gaps_and_late_labels_are_left_out(split, examples):
    predicted_at = _series([AS_OF - timedelta(minutes=before + 1) for before, _ in examples])
    label_at = predicted_at + pd.to_timedelta([delay for _, delay in examples], unit="min")
    roles = assign_roles(split, predicted_at, label_at, AS_OF)
    limits = split_limits(split, AS_OF)
    in_gap = (
        ((predicted_at >= limits["train_end"]) & (predicted_at < limits["validation_start"]))
        | ((predicted_at >= limits["validation_end"]) & (predicted_at < limits["test_start"]))
        | (predicted_at >= limits["test_end"])
    )
    is_late = ((predicted_at < limits["train_end"]) & (label_at > limits["validation_start"])) | (
        (predicted_at < limits["test_start"])
        & (predicted_at >= limits["validation_start"])
        & (label_at > limits["test_start"])
    )
    assert ((roles == "gap") == (in_gap | is_late)).all()


@pytest.mark.parametrize(
    ("hours_before", "role"),
    [
        (1, "gap"),
        (24, "gap"),
        (25, "test"),
        (24 * 29, "test"),
        (24 * 29 + 1, "gap"),
        (24 * 30, "gap"),
        (24 * 30 + 1, "validation"),
    ],
)
def test_limits_are_counted_back_from_as_of(hours_before, role):
    split = Split(validation_days=28, test_days=28, gap_hours=24, folds=3, minimum_rows=1)
    predicted_at = _series([AS_OF - timedelta(hours=hours_before)])
    assert assign_roles(split, predicted_at, predicted_at, AS_OF).tolist() == [role]


def test_a_row_whose_label_came_late_belongs_to_the_gap():
    split = Split(validation_days=28, test_days=28, gap_hours=24, folds=3, minimum_rows=1)
    train_end = split_limits(split, AS_OF)["train_end"]
    predicted_at = _series([train_end - timedelta(hours=1)] * 2)
    label_at = _series([train_end + timedelta(hours=24), train_end + timedelta(hours=25)])
    assert assign_roles(split, predicted_at, label_at, AS_OF).tolist() == ["train", "gap"]


@given(SPLITS, st.integers(1, 30), st.lists(st.integers(1, 60 * 24 * 90), min_size=1, max_size=60))
def test_train_looks_back_as_far_as_the_contract_says_and_later_rows_all_stay(split, train_days, minutes_before):
    limited = split.model_copy(update={"train_days": train_days})
    examples = pd.DataFrame({"predicted_at": _series([AS_OF - timedelta(minutes=before) for before in minutes_before])})
    start = split_limits(limited, AS_OF)["train_end"] - timedelta(days=train_days)
    kept = drop_old_examples(limited, examples, AS_OF)
    assert list(kept["predicted_at"]) == [moment for moment in examples["predicted_at"] if moment >= start]
    assert drop_old_examples(split, examples, AS_OF).equals(examples)
