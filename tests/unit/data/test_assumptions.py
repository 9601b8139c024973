"""Assumptions are numbers with a range."""

import re

import pandas as pd
import pytest

from components.base.contract.problem import Assumption
from components.base.errors import DataError
from components.base.tables import write_table
from components.data.assumptions import check_assumptions
from tests.unit.data.trips import make_problem


def check(folder, sql, minimum=None, maximum=None):
    write_table(pd.DataFrame({"trip": [1, 2], "fare": [2.0, 4.0]}), folder / "trips.parquet")
    write_table(pd.DataFrame({"city": ["ROME"]}), folder / "cities.parquet")
    assumption = Assumption(name="one", statement="One", sql=sql, minimum=minimum, maximum=maximum, on_violation="warn")
    return check_assumptions(make_problem(assumptions=[assumption]), folder)[0]


@pytest.mark.parametrize(
    ("minimum", "maximum", "holds", "words"),
    [
        (3, 3, True, "3 must be within 3 to 3"),
        (3.1, None, False, "3 must be at least 3.1"),
        (None, 2.9, False, "3 must be at most 2.9"),
        (None, None, True, "3 must be any number"),
    ],
)
def test_value_is_held_against_its_range(tmp_path, minimum, maximum, holds, words):
    result = check(tmp_path, "SELECT avg(fare) FROM trips, cities", minimum, maximum)
    assert (result.value, result.holds, result.words) == (3.0, holds, words)


def test_several_rows_are_no_number(tmp_path):
    words = "assumption one: its SQL must return one number, but returned 2 rows."
    with pytest.raises(DataError, match=re.escape(words)):
        check(tmp_path, "SELECT fare FROM trips")


@pytest.mark.parametrize(
    "sql", ["SELECT avg(fare) FROM trips WHERE false", "SELECT 'NaN'::DOUBLE", "SELECT 1 WHERE false"]
)
def test_no_number_violates(tmp_path, sql):
    result = check(tmp_path, sql)
    assert (result.value, result.holds, result.words) == (None, False, "no number must be any number")


def test_failing_sql_is_named(tmp_path):
    with pytest.raises(DataError, match=re.escape("assumption one: DuckDB must be able to")):
        check(tmp_path, "SELECT nothing FROM trips")
