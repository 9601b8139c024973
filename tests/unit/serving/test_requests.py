"""Request bodies into typed rows: what is read, what is refused, and that nothing a caller sends breaks the reader."""

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from components.base.contract.load import load_problem
from components.serving.predictor.requests import (
    RequestError,
    RequestField,
    RequestSchema,
    WrongValueError,
    plain_value,
    write_v1,
)
from components.serving.predictor.tensors import describe_inputs, list_answer_datatypes, parse_v2, write_v2
from components.tasks import open_task

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines/problems/flight-delays.yaml")
SCHEMA = RequestSchema.of(PROBLEM)
DATATYPES = list_answer_datatypes(open_task(PROBLEM))
ROW = {
    "carrier": "UA",
    "flight": 1545,
    "origin": "EWR",
    "dest": "IAH",
    "tailnum": None,
    "scheduled_at": datetime(2013, 7, 1, 9, 15, tzinfo=UTC),
    "distance": 1400.0,
}


def field(kind: str, **changed) -> RequestField:
    return RequestField(
        **{"name": "x", "type": kind, "is_nullable": False, "minimum": None, "maximum": None} | changed, example=None
    )


flights = st.fixed_dictionaries(
    {
        "carrier": st.text(max_size=5),
        "flight": st.integers(1, 9999),
        "origin": st.text(max_size=4),
        "dest": st.text(max_size=4),
        "tailnum": st.none() | st.text(max_size=8),
        "scheduled_at": st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),
        "distance": st.floats(10, 6000),
    }
)


@given(rows=st.lists(flights, min_size=1, max_size=5))
def test_rows_come_back_as_they_were_written(rows):
    body = orjson.dumps(write_v1(rows))
    assert SCHEMA.parse_v1(body) == rows
    assert parse_v2(SCHEMA, DATATYPES, orjson.dumps(write_v2(SCHEMA, rows)))[0] == rows


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["instances", "inputs", "name", "data", "carrier", "shape"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(body=st.binary(max_size=60) | json_values.map(orjson.dumps))
@example(body=b'{"inputs": [{"name": null}], "outputs": {}}')
@example(body=b'{"inputs": [{"name": "flight", "data": {}, "shape": 5, "datatype": []}]}')
@example(body=b'{"instances": [null], "instances": {}}')
def test_any_body_is_read_or_refused_with_words(body):
    for parse in (SCHEMA.parse_v1, lambda given: parse_v2(SCHEMA, DATATYPES, given)):
        with pytest.raises(RequestError) as refusal:
            parse(body)
        assert str(refusal.value)
        assert 400 <= refusal.value.status < 500


def test_schema_follows_the_contract():
    assert SCHEMA.names == ["carrier", "flight", "origin", "dest", "tailnum", "scheduled_at", "distance"]
    assert SCHEMA.maximum_rows == PROBLEM.serving.maximum_rows
    assert [f.name for f in SCHEMA.fields if f.is_nullable] == ["tailnum"]
    datatypes = {tensor["name"]: tensor["datatype"] for tensor in describe_inputs(SCHEMA)}
    assert (datatypes["flight"], datatypes["distance"], datatypes["scheduled_at"]) == ("INT64", "FP64", "BYTES")


def test_example_of_the_schema_is_a_right_request():
    assert SCHEMA.parse_v1(SCHEMA.example_v1().encode())
    assert parse_v2(SCHEMA, DATATYPES, orjson.dumps(write_v2(SCHEMA, [SCHEMA.example()])))[0]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2013-07-01T09:15:00Z", datetime(2013, 7, 1, 9, 15, tzinfo=UTC)),
        ("2013-07-01T05:15:00-04:00", datetime(2013, 7, 1, 9, 15, tzinfo=UTC)),
        ("2013-07-01 09:15", datetime(2013, 7, 1, 9, 15, tzinfo=UTC)),
    ],
)
def test_timestamp_is_read_into_utc(text, instant):
    assert field("timestamp").read(text) == instant
    assert field("timestamp").read(text).utcoffset() == timedelta(0)


@pytest.mark.parametrize("value", ["2013-07-01", "noon", "12:00", 5, True, {}, [], "0001-01-01T00:00:00+23:00"])
def test_timestamp_refuses_what_is_no_moment(value):
    with pytest.raises(WrongValueError, match=re.escape('must be a time like "2013-07-01T12:00:00Z", but got ')):
        field("timestamp").read(value)


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("int", 1.5, "must be a whole number, but got 1.5"),
        ("int", "7", 'must be a whole number, but got "7"'),
        ("int", 2**63, "must be a whole number of 64 bits, and beyond 2^53 without point or exponent, but got 92233"),
        ("int", -(2**63) - 1, "must be a whole number of 64 bits, and beyond 2^53"),
        ("int", 1e300, "must be a whole number of 64 bits, and beyond 2^53"),
        ("int", float(2**60), "must be a whole number of 64 bits, and beyond 2^53"),
        ("int", math.inf, "must be a whole number, but got "),
        ("float", True, "must be a finite number, but got true"),
        ("float", math.nan, "must be a finite number, but got "),
        ("float", [1, 2], "must be a finite number, but got a list of 2"),
        ("bool", 1, "must be true or false, but got 1"),
        ("string", 7, "must be text, but got 7"),
        ("string", "a" * 201, "must have at most 200 characters, but has 201"),
        ("string", None, "must be text, but got null"),
    ],
)
def test_wrong_value_is_refused_with_words(kind, value, words):
    with pytest.raises(WrongValueError, match=re.escape(words)):
        field(kind).read(value)


def test_range_is_enforced_and_its_ends_belong_to_it():
    bounded = field("float", minimum=10, maximum=20)
    assert (bounded.read(10), bounded.read(20)) == (10.0, 20.0)
    with pytest.raises(WrongValueError, match=re.escape("must be at least 10, but got 9.99")):
        bounded.read(9.99)
    with pytest.raises(WrongValueError, match=re.escape("must be at most 20, but got 1000000")):
        bounded.read(1_000_000)


def test_whole_float_is_a_whole_number():
    assert field("int").read(7.0) == 7
    assert isinstance(field("int").read(7.0), int)


def test_only_the_first_faults_are_told():
    body = orjson.dumps({"instances": [{**SCHEMA.example(), "distance": "far"}] * 50})
    with pytest.raises(RequestError, match=re.escape("And 45 more faults. Send {")) as refusal:
        SCHEMA.parse_v1(body)
    assert str(refusal.value).count("must be a finite number") == 5


def test_what_the_caller_sent_is_repeated_shortened_and_on_one_line():
    body = orjson.dumps({"instances": [{**SCHEMA.example(), "flight": "x\n" * 500}]})
    with pytest.raises(RequestError) as refusal:
        SCHEMA.parse_v1(body)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (math.nan, None),
        (pd.NaT, None),
        (np.float64(1.5), 1.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        ("UA", "UA"),
        (pd.Timestamp("2013-07-01T09:15", tz="UTC"), "2013-07-01T09:15:00+00:00"),
        (datetime(2013, 7, 1), "2013-07-01T00:00:00+00:00"),
        (datetime(2013, 7, 1, tzinfo=timezone(timedelta(hours=-4))), "2013-07-01T00:00:00-04:00"),
    ],
)
def test_plain_value_is_what_json_can_hold(value, plain):
    assert plain_value(value) == plain
    assert type(plain_value(value)) is type(plain)


def test_row_with_every_column_missing_names_all_of_them_at_once():
    with pytest.raises(RequestError) as refusal:
        SCHEMA.parse_v1(b'{"instances": [{}]}')
    assert str(refusal.value).count("but it is missing") == 5
    assert "And 2 more faults." in str(refusal.value)


def test_typed_row_keeps_null_where_the_contract_allows_it():
    assert SCHEMA.parse_v1(orjson.dumps(write_v1([ROW]))) == [ROW]
