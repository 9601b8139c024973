"""Which values of two tables are equal."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.base.dataset import Feature
from components.features.differences import compare_values

RATIO = Feature("ratio", "numeric", "v", "r")
MAKER = Feature("maker", "categorical", "v", "m")
NUMBERS = st.lists(st.floats(allow_nan=True, allow_infinity=False, width=32), min_size=1)
TEXTS = st.lists(st.none() | st.text(max_size=3), min_size=1)


def test_moved_lost_and_gained_values_differ_and_missing_ones_do_not():
    one, other = pd.Series([0.1, math.nan, 0.3, math.nan]), pd.Series([0.2, math.nan, math.nan, 0.5])
    is_equal, mean = compare_values(RATIO, one, other)
    assert is_equal.tolist() == [False, True, False, False]
    assert mean == pytest.approx(0.1)
    texts = pd.Series(["A", None, "B", None], dtype=object), pd.Series(["A", None, "A", "C"], dtype=object)
    is_equal, mean = compare_values(MAKER, *texts)
    assert is_equal.tolist() == [True, True, False, False]
    assert mean is None


def test_values_without_a_common_number_have_no_mean():
    assert compare_values(RATIO, pd.Series([math.nan]), pd.Series([0.5]))[1] is None


@given(NUMBERS, TEXTS)
def test_a_table_equals_itself(numbers, texts):
    assert compare_values(RATIO, pd.Series(numbers), pd.Series(numbers))[0].all()
    assert compare_values(MAKER, pd.Series(texts, dtype=object), pd.Series(texts, dtype=object))[0].all()


@given(NUMBERS)
def test_order_does_not_matter(numbers):
    one, other = pd.Series(numbers), pd.Series(numbers[::-1])
    assert (compare_values(RATIO, one, other)[0] == compare_values(RATIO, other, one)[0]).all()
