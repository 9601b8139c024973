"""The current solution and the predictor that knows nothing."""

import numpy as np
import pandas as pd
import pytest

from components.models.baselines import DUMB, GroupRate, build_baselines, fit_baselines


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


def test_both_baselines_are_built_from_the_contract(problem):
    assert list(build_baselines(problem)) == ["shop_rule", DUMB]


def test_baselines_decide_by_thresholds_of_their_own(problem, prepared):
    fitted = fit_baselines(problem, prepared)
    assert set(fitted) == {"current_solution", "dumb"}
    train = prepared.read("train")
    assert fitted["dumb"].estimator.predict_proba(train)[:, 1] == pytest.approx(train["late"].mean())
    rates = train.groupby("shop")["late"].mean()
    forecast = fitted["current_solution"].estimator.predict_proba(pd.DataFrame({"shop": ["A", "C"]}))[:, 1]
    assert forecast == pytest.approx([rates["A"], rates["C"]])
