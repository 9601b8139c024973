"""The comparison of an endpoint's answers with what they should be."""

import numpy as np
import pytest

from components.release.golden_rows import (
    TOLERANCE,
    Expected,
    count_different_decisions,
    greatest_difference,
)
from components.serving.client import Answers


def answers(probabilities, decisions):
    rows = len(decisions)
    return Answers(np.reshape(probabilities, (-1, 1)), tuple(decisions), ((),) * rows, np.ones(rows), np.zeros(rows))


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
