"""The request-time features are the same for one request and for a table, and a bad value is missing."""

import math
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.base.contract.load import load_problem
from components.base.contract.problem import Problem
from components.features.request import feature_kind, parse_timestamp, request_row, request_table

NEW_YORK = "America/New_York"


PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines/problems/flight-delays.yaml")


@pytest.fixture
def problem() -> Problem:
    return PROBLEM


INSTANTS = (
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.none() | st.just(UTC))
    | st.datetimes(
        datetime(2013, 3, 10), datetime(2013, 3, 11), timezones=st.just(ZoneInfo(NEW_YORK)), allow_imaginary=True
    )
    | st.datetimes(datetime(2013, 11, 3), datetime(2013, 11, 4), timezones=st.just(UTC))
)
TIMES = (
    INSTANTS
    | INSTANTS.map(datetime.isoformat)
    | st.sampled_from(
        [
            None,
            math.nan,
            pd.NaT,
            "",
            "tomorrow",
            "2013-13-01",
            "2013-07-01T05:00:00Z",
            5,
            "0001-01-01",
            "9999-12-31T23:59",
        ]
    )
)
TEXTS = st.none() | st.text(max_size=4) | st.just(math.nan) | st.just(pd.NA)
NUMBERS = st.none() | st.floats() | st.integers() | st.booleans() | st.sampled_from(["12", "x", 10**400])
ROWS = st.fixed_dictionaries(
    {"carrier": TEXTS, "origin": TEXTS, "dest": TEXTS, "distance": NUMBERS, "scheduled_at": TIMES}
)


def _same(left, right) -> bool:
    both_nan = isinstance(left, float) and isinstance(right, float) and math.isnan(left) and math.isnan(right)
    return both_nan or (left == right and type(left) is type(right))


@given(st.lists(ROWS, min_size=1, max_size=5))
def test_one_request_and_a_table_of_requests_give_the_same_features(rows):
    columns = {name: pd.Series([row[name] for row in rows], dtype=object) for name in rows[0]}
    table = request_table(PROBLEM, pd.DataFrame(columns))
    for position, row in enumerate(rows):
        single = request_row(PROBLEM, row)
        assert list(single) == list(table.columns)
        for name, value in single.items():
            assert _same(value, table[name].tolist()[position]), name


@given(st.lists(st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), min_size=1, max_size=20))
def test_a_timestamp_column_and_single_timestamps_give_the_same_features(instants):
    column = pd.Series(pd.to_datetime(pd.Series(instants, dtype="object"), utc=True)).astype("datetime64[us, UTC]")
    requests = pd.DataFrame({"scheduled_at": column, "distance": 1.0}).assign(carrier="UA", origin="EWR", dest="BOS")
    table = request_table(PROBLEM, requests)
    for position, instant in enumerate(instants):
        single = request_row(PROBLEM, {"scheduled_at": instant})
        for name in ("scheduled_hour", "scheduled_weekday"):
            assert _same(single[name], table[name].tolist()[position])


def test_local_hour_follows_daylight_saving_time(problem):
    hours = [
        request_row(problem, {"scheduled_at": text})["scheduled_hour"]
        for text in ("2013-01-15T17:30:00Z", "2013-07-15T17:30:00Z", "2013-11-03T05:30Z", "2013-11-03T06:30Z")
    ]
    # Eastern time is five hours behind in winter, four in summer; half past one comes twice in November.
    assert hours == [12.5, 13.5, 1.5, 1.5]


def test_local_weekday_is_that_of_the_zone_and_not_of_utc(problem):
    # Tuesday 02:00 UTC is still Monday evening in New York.
    assert request_row(problem, {"scheduled_at": "2013-07-02T02:00:00Z"})["scheduled_weekday"] == 0.0


def test_a_timestamp_without_a_zone_is_utc():
    assert parse_timestamp("2013-07-01T05:00:00") == datetime(2013, 7, 1, 5, tzinfo=UTC)


def test_a_request_keeps_what_it_sends_in_the_right_types(problem):
    row = {"carrier": "UA", "origin": "EWR", "dest": "IAH", "distance": 1400, "scheduled_at": "2013-01-01T10:15:00Z"}
    assert request_row(problem, row) == {
        "carrier": "UA",
        "origin": "EWR",
        "dest": "IAH",
        "distance": 1400.0,
        "scheduled_hour": 5.25,
        "scheduled_weekday": 1.0,
        "route": "EWR-IAH",
    }


def test_a_join_with_a_missing_part_is_missing(problem):
    assert request_row(problem, {"origin": "EWR", "dest": None})["route"] is None


@pytest.mark.parametrize("distance", [None, math.nan, math.inf, -math.inf, "12", 10**400, [1]])
def test_what_is_no_finite_number_is_missing(problem, distance):
    assert math.isnan(request_row(problem, {"distance": distance})["distance"])


def test_the_table_keeps_index_and_dtypes(problem):
    requests = pd.DataFrame(
        {"carrier": ["UA"], "origin": ["EWR"], "dest": [None], "distance": [1], "scheduled_at": ["2013-01-01"]},
        index=[9],
    )
    table = request_table(problem, requests)
    assert list(table.index) == [9]
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == {
        name: "float64" if feature_kind(problem, name) == "numeric" else "object" for name in problem.features.request
    }
