"""What counts as another decision."""

import numpy as np
import pytest

from components.base.task import find_other_decisions


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ([True, False], [True, True], [False, True]),
        (["order", "wait"], ["order", "order"], [False, True]),
        ([1.0, 250.0, 0.0], [1.0 + 1e-12, 250.001, 1e-10], [False, True, False]),
    ],
)
def test_numbers_that_differ_by_rounding_are_one_decision(one, other, found):
    assert find_other_decisions(np.array(one), np.array(other)).tolist() == found
