"""The comparison of an endpoint's answers with what they should be."""

import math

import numpy as np
import pandas as pd
import pytest

from components.base.dataset import Feature
from components.release.golden_rows import (
    TOLERANCE,
    Expected,
    count_different_decisions,
    greatest_difference,
    measure_skew,
)
from components.serving.client import Answers


def answers(probabilities, decisions):
    return Answers(
        np.reshape(probabilities, (-1, 1)), tuple(decisions), ((),) * len(decisions), np.ones(len(decisions))
    )


EXPECTED = Expected(np.array([[0.1], [0.6], [0.9]]), (False, True, True))


def test_equal_answers_have_no_difference():
    same = answers([0.1, 0.6, 0.9], [False, True, True])
    assert greatest_difference(same, EXPECTED) == 0
    assert count_different_decisions(same, EXPECTED) == 0


def test_difference_is_that_of_the_worst_row():
    assert greatest_difference(answers([0.1, 0.62, 0.85], [True] * 3), EXPECTED) == pytest.approx(0.05)


def test_rounding_of_the_last_place_is_within_the_tolerance():
    assert greatest_difference(answers([0.1 + 5e-17, 0.6, 0.9], [False, True, True]), EXPECTED) < TOLERANCE


@pytest.mark.parametrize(("probabilities", "decisions"), [([], []), ([0.1, 0.6], [False, True])])
def test_missing_answers_are_as_far_off_as_can_be(probabilities, decisions):
    got = answers(probabilities, decisions)
    assert greatest_difference(got, EXPECTED) == 1
    assert count_different_decisions(got, EXPECTED) == 3 - len(decisions)


def test_turned_decision_counts_although_the_probability_is_right():
    assert count_different_decisions(answers([0.1, 0.6, 0.9], [True, True, False]), EXPECTED) == 2


def test_skew_tells_moved_values_from_missing_ones():
    features = (Feature("ratio", "numeric", "v", "r"), Feature("maker", "categorical", "v", "m"))
    trained = pd.DataFrame({"ratio": [0.1, math.nan, 0.3, math.nan], "maker": ["A", None, "B", None]}, dtype=object)
    served = pd.DataFrame({"ratio": [0.2, math.nan, math.nan, 0.5], "maker": ["A", None, "A", "C"]}, dtype=object)
    ratio, maker = measure_skew(features, trained, served)

    # ratio: moved by 0.1, missing in both, lost, gained; maker: same, missing in both, moved, gained.
    assert (ratio.rows, ratio.different_rows) == (4, 3)
    assert ratio.mean_absolute_difference == pytest.approx(0.1)
    assert (maker.different_rows, maker.mean_absolute_difference) == (2, None)


def test_skew_of_a_feature_without_a_common_number_has_no_mean():
    features = (Feature("ratio", "numeric", "v", "r"),)
    (skew,) = measure_skew(features, pd.DataFrame({"ratio": [math.nan]}), pd.DataFrame({"ratio": [0.5]}))
    assert (skew.different_rows, skew.mean_absolute_difference) == (1, None)
