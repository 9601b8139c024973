"""The current solution and the dummy."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.base.errors import ModelRefusedError
from components.models.baselines import Baseline, fit_baselines, load_current_solution, save_current_solution
from components.tasks.binary.policy import ThresholdPolicy
from components.tasks.binary.rule import GroupRate

GROUP = st.tuples(
    st.one_of(st.none(), st.text(max_size=3)), st.one_of(st.just(float("nan")), st.floats(-30, 30, width=32))
)


def table(groups):
    carriers, hours = zip(*groups, strict=True)
    return pd.DataFrame({"carrier": pd.Series(carriers, dtype=object), "hour": np.array(hours, dtype="float64")})


def test_group_rate_is_the_past_share_of_its_group():
    """Group (A, 17) was late 2 of 4 times, (B, 9) once in 3 times: too few for a minimum of 4, so 3 of 7 overall."""
    rows = pd.DataFrame({"carrier": list("AAAABBB"), "hour": [17.0, 17.5, 17.25, 17.9, 9, 9, 9]})
    fitted = GroupRate(["carrier", "hour"], 4).fit(rows, [1, 1, 0, 0, 1, 0, 0])
    fresh = pd.DataFrame({"carrier": ["A", "B", "C", None], "hour": [17.7, 9.0, 17.0, np.nan]})
    assert fitted.predict_proba(fresh)[:, 1].tolist() == [0.5, 3 / 7, 3 / 7, 3 / 7]
    assert fitted.predict_proba(fresh).sum(axis=1).tolist() == [1, 1, 1, 1]


def test_missing_group_is_a_group_of_its_own():
    rows = pd.DataFrame({"carrier": ["A", "A", None, None]})
    fitted = GroupRate(["carrier"], 2).fit(rows, [0, 0, 1, 1])
    assert fitted.predict_proba(rows)[:, 1].tolist() == [0, 0, 1, 1]


def test_both_baselines_are_built_from_the_contract(task):
    names = {role: baseline.name for role, baseline in task.build_baselines().items()}
    assert names == {"current_solution": "shop_rule", "dummy": "prior"}


def test_baselines_decide_by_policies_of_their_own(task, prepared):
    fitted = fit_baselines(task, prepared)
    assert set(fitted) == {"current_solution", "dummy"}
    assert fitted["current_solution"].policy != fitted["dummy"].policy
    train = prepared.read("train")
    assert fitted["dummy"].estimator.predict_proba(train)[:, 1] == pytest.approx(train["late"].mean())
    rates = train.groupby("shop")["late"].mean()
    forecast = fitted["current_solution"].estimator.predict_proba(pd.DataFrame({"shop": ["A", "C"]}))[:, 1]
    assert forecast == pytest.approx([rates["A"], rates["C"]])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fitted=st.lists(st.tuples(GROUP, st.integers(0, 1)), min_size=1, max_size=30),
    fresh=st.lists(GROUP, min_size=1, max_size=30),
    minimum_rows=st.integers(1, 4),
    threshold=st.floats(0, 1),
)
def test_a_saved_current_solution_forecasts_the_same_of_any_rows(
    fitted, fresh, minimum_rows, threshold, tmp_path, task
):
    groups, outcomes = zip(*fitted, strict=True)
    rule = GroupRate(["carrier", "hour"], minimum_rows).fit(table(groups), outcomes)
    policy = ThresholdPolicy(threshold=threshold)
    save_current_solution(task, Baseline("rule", rule, policy), tmp_path / "baseline.json")
    loaded = load_current_solution(task, tmp_path / "baseline.json")
    rows = table([*groups, *fresh])
    np.testing.assert_array_equal(task.predict(loaded.estimator, rows), rule.predict_proba(rows)[:, 1:])
    assert (loaded.label, loaded.policy) == ("rule", policy)


def test_a_group_has_one_name_whatever_the_type_of_its_columns():
    """The log types a whole hour as an integer or a column of nulls as numbers; training had floats and texts."""
    rows = pd.DataFrame({"carrier": ["A", "A", None, None], "hour": [17.0, 17.5, 9.0, 9.0]})
    fitted = GroupRate(["carrier", "hour"], 2).fit(rows, [1, 0, 1, 1])
    assert fitted.predict_proba(pd.DataFrame({"carrier": ["A"], "hour": [17]}))[0, 1] == 0.5
    assert fitted.predict_proba(pd.DataFrame({"carrier": [np.nan], "hour": [9]}))[0, 1] == 1


def test_a_damaged_current_solution_is_refused_by_name(tmp_path, task):
    (tmp_path / "baseline.json").write_text("{}")
    with pytest.raises(ModelRefusedError, match=re.escape("baseline.json: the file must be readable, but got")):
        load_current_solution(task, tmp_path / "baseline.json")
