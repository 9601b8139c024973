"""Lines of a segment become the rows of the log: right types, exact values, whatever else lies in the file."""

import dataclasses
import io
import math
import re
from datetime import UTC, date, datetime, timedelta

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.base.contract.load import load_problem
from components.base.contract.names import taken_from_requests
from components.base.dataset import Feature
from components.base.errors import DataError
from components.serving.prediction_log.schema import SegmentHeader, object_key, upgrade_table
from components.serving.prediction_log.segment import LineWriter, read_segment, write_days
from components.tasks import open_task
from tests.unit.serving.prediction_rows import HEADER, READ_AT, ROW, make_prediction, write_lines

PROBLEM = load_problem("pipelines/problems/flight-delays.yaml")
TASK = open_task(PROBLEM)
# The header of the same model as the platform wrote it before outputs and policies.
HEADER_1 = (
    b'{"format":1,"problem":"flight-delays","model_version":"3","threshold":0.4,"sampling_ratio":1.0,'
    b'"label_delay_hours":24.0,"request":{"carrier":"string","flight":"int","scheduled_at":"timestamp",'
    b'"distance":"float","is_full":"bool"},"features":{"carrier":"categorical","wind":"numeric"},'
    b'"views":["carrier_delays","weather"]}\n'
)
LINE_1 = (
    b'[0,"r-1",0,1372662000000000,1372662060000000,0.25,false,"UA",1545,"2013-07-01T09:15:00Z",1400.5,true,'
    b'"UA",7.125,90.5,3600.0,0]\n'
)
LOGGED = READ_AT + 60
floats = st.floats(allow_nan=False, allow_infinity=False)


def write(path, *lines: bytes, header: bytes = HEADER.write()):
    path.write_bytes(b"".join([header, *lines]))
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.jsonl"


def test_a_row_holds_everything_that_was_known(path):
    lines = write_lines("r-1", [ROW], [make_prediction()], LOGGED)
    (row,) = read_segment(write(path, *lines)).rows.to_pylist()
    read = datetime.fromtimestamp(READ_AT, UTC)
    assert row == {
        "request_id": "r-1",
        "row": 0,
        **ROW,
        "event_time": read,
        "logged_at": read + timedelta(seconds=60),
        "label_due_at": read + timedelta(hours=24),
        "model_version": "3",
        "output__probability": 0.25,
        "decision": False,
        "sampling_ratio": 1.0,
        "feature__carrier": "UA",
        "feature__wind": 7.125,
        "age_seconds__carrier_delays": 90.5,
        "age_seconds__weather": 3600.0,
    }


def test_a_segment_of_format_1_is_read_as_one_of_today(path):
    today = write(path.with_name("today.jsonl"), *write_lines("r-1", [ROW], [make_prediction()], LOGGED))
    before = read_segment(write(path, LINE_1, header=HEADER_1))
    assert before.header == HEADER
    assert before.rows.equals(read_segment(today).rows, check_metadata=True)
    assert list(write_days(before)) == list(write_days(read_segment(today)))


def test_an_object_of_format_1_is_read_as_one_of_today(path):
    today = read_segment(write(path, LINE_1, header=HEADER_1)).rows
    place = today.column_names.index("output__probability")
    names = ["probability" if name == "output__probability" else name for name in today.column_names]
    before = today.rename_columns(names).add_column(place + 1, "threshold", [[0.4]])
    assert upgrade_table(before).equals(today)
    assert upgrade_table(today) is today


def test_the_outputs_and_decisions_of_any_task_are_logged(path):
    header = dataclasses.replace(HEADER, outputs=("on time", "late"), decision_type="string", policy={"kind": "most"})
    prediction = make_prediction()._replace(output=[0.75, 0.25], decision="call")
    lines = LineWriter(header).write("r", [ROW], [prediction], LOGGED)
    segment = read_segment(write(path, *lines, header=header.write()))
    (row,) = segment.rows.to_pylist()
    assert (row["output__on time"], row["output__late"], row["decision"]) == (0.75, 0.25, "call")
    ((_, content),) = write_days(segment)
    assert pq.read_schema(io.BytesIO(content)).metadata == {b"format": b"2", b"policy": b'{"kind":"most"}'}


def test_types_are_the_contracts_even_when_all_is_missing(path):
    row = dict.fromkeys(ROW)
    lines = write_lines("r-1", [row], [make_prediction(wind=math.nan)], LOGGED)
    rows = read_segment(write(path, *lines)).rows
    assert rows.schema == HEADER.schema()
    assert rows.column("feature__wind").to_pylist() == rows.column("age_seconds__weather").to_pylist() == [None]
    assert rows.column("scheduled_at").type == pa.timestamp("us", tz="UTC")


# A busy disk is no fault.
@settings(deadline=None)
@given(st.lists(st.tuples(floats, st.text(max_size=20), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=5))
def test_values_come_back_exactly(tmp_path_factory, drawn):
    rows = [{**ROW, "distance": number, "carrier": text, "flight": whole} for number, text, whole in drawn]
    predictions = [make_prediction(wind=number) for number, _, _ in drawn]
    path = write(tmp_path_factory.mktemp("s") / "a.jsonl", *write_lines("r", rows, predictions, LOGGED))
    table = read_segment(path).rows
    assert [
        (row["distance"], row["feature__wind"], row["carrier"], row["flight"], row["row"])
        for row in sorted(table.to_pylist(), key=lambda row: row["row"])
    ] == [(number, number, text, whole, i) for i, (number, text, whole) in enumerate(drawn)]


@pytest.mark.parametrize("text", ["null", "", "a,b", 'say "a"', "two\nlines", "\\", "[0", "0]", "é\u2028\0"])
def test_any_text_stays_itself(path, text):
    lines = [*write_lines("r", [{**ROW, "carrier": text}], [make_prediction()], LOGGED)] * 2
    lines += write_lines("r", [ROW], [make_prediction()], LOGGED)
    assert sorted(read_segment(write(path, *lines)).rows.column("carrier").to_pylist()) == sorted([text, text, "UA"])


def test_a_model_of_one_feature_without_views_is_logged(path):
    header = dataclasses.replace(HEADER, features={"wind": "numeric"}, views=(), request={"flight": "int"})
    lines = LineWriter(header).write("r", [ROW], [make_prediction()], LOGGED)
    (row,) = read_segment(write(path, *lines, header=header.write())).rows.to_pylist()
    assert (row["flight"], row["feature__wind"]) == (1545, 7.125)


def test_days_are_those_of_the_event_time(path):
    midnight = datetime(2013, 7, 2, tzinfo=UTC).timestamp()
    times = [midnight - 1e-6, midnight, midnight + 86_399, READ_AT]
    predictions = [make_prediction(read_at=time) for time in times]
    segment = read_segment(write(path, *write_lines("r", [ROW] * 4, predictions, LOGGED)))
    files = {day: pq.read_table(io.BytesIO(content)) for day, content in write_days(segment)}
    assert {day: file.column("row").to_pylist() for day, file in files.items()} == {
        date(2013, 7, 1): [0, 3],
        date(2013, 7, 2): [1, 2],
    }
    assert all(file.schema == HEADER.schema() for file in files.values())
    assert list(write_days(segment)) == list(write_days(segment))


# A busy disk is no fault.
@settings(deadline=None)
@given(cut=st.integers(min_value=0, max_value=2000))
def test_a_file_cut_off_anywhere_keeps_its_whole_lines(tmp_path_factory, cut):
    lines = write_lines("r", [ROW] * 4, [make_prediction()] * 4, LOGGED)
    content = HEADER.write() + b"".join(lines)
    cut = len(content) - cut % len(content)
    path = tmp_path_factory.mktemp("s") / "a.jsonl"
    path.write_bytes(content[:cut])
    whole = content[:cut].count(b"\n") - 1
    segment = read_segment(path)
    if whole <= 0:
        assert segment is None
    else:
        assert segment.rows.column("row").to_pylist() == list(range(whole))
        assert segment.damaged == (not content[:cut].endswith(b"\n"))


# A busy disk is no fault.
@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["row", b"\0" * 40 + b"\n", b'{"row": "one"}\n', b"{}}\n", b'{"new": "\\\\"}\n']), max_size=9
    )
)
def test_lines_that_cannot_be_read_are_left_out_and_counted(tmp_path_factory, kinds):
    (line,) = write_lines("r", [ROW], [make_prediction()], LOGGED)
    path = write(tmp_path_factory.mktemp("s") / "a.jsonl", *(line if kind == "row" else kind for kind in kinds))
    segment = read_segment(path)
    rows = kinds.count("row")
    assert (len(segment.rows), segment.damaged) == (rows, len(kinds) - rows) if rows else segment is None


@pytest.mark.parametrize("header", [b"nothing\n", b"[]\n", HEADER.write().replace(b'"format":2', b'"format":9')])
def test_rows_under_another_header_are_refused(path, header):
    lines = write_lines("r", [ROW], [make_prediction()], LOGGED)
    with pytest.raises(DataError, match=re.escape(f"{path}: the first line must be the header of a segment")):
        read_segment(write(path, *lines, header=header))


def test_a_header_comes_back_as_it_was_written():
    assert SegmentHeader.read(HEADER.write(), "here") == HEADER


def test_a_header_is_derived_from_the_contract():
    features = [Feature("carrier", "categorical", "request", "c")]
    header = SegmentHeader.of(TASK, features, ("weather",), "7", {})
    assert list(header.request) == PROBLEM.examples.request
    assert (header.request["scheduled_at"], header.request["flight"]) == ("timestamp", "int")
    assert (header.features, header.views) == ({"carrier": "categorical"}, ("weather",))
    assert (header.outputs, header.decision_type) == (("probability",), "bool")
    assert (header.label_delay_hours, header.sampling_ratio) == (24, 1.0)


def test_every_column_of_the_log_is_a_name_that_no_request_column_may_have():
    header = SegmentHeader.of(TASK, [Feature("carrier", "categorical", "request", "c")], ("weather",), "7", {})
    own = [name for name in header.schema().names if name not in header.request]
    assert len(own) > 8
    assert [name for name in own if not list(taken_from_requests(name))] == []


def test_the_key_of_a_segment_names_problem_and_day():
    assert object_key("wine", date(2013, 7, 1), "a-1") == "wine/predictions/day=2013-07-01/a-1.parquet"


def test_lines_are_json_one_a_row():
    lines = write_lines("r-1", [ROW, ROW], [make_prediction()] * 2, LOGGED)
    assert [orjson.loads(line)[1:3] for line in lines] == [["r-1", 0], ["r-1", 1]]
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
