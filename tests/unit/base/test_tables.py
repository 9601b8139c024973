"""Tables keep their content, their types and their bytes."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.base.errors import DataError
from components.base.tables import fingerprint_files, read_table, write_table


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "number": [1.5, np.nan, -0.0],
            "word": ["a", None, "ü"],
            "moment": pd.to_datetime(["2013-01-01T10:00:00.123456", None, "2013-07-01T00:00:00.0"]),
        },
        index=[7, 8, 9],
    )


def test_written_table_comes_back_without_its_index(table, tmp_path):
    write_table(table, tmp_path / "t.parquet")
    back = read_table(tmp_path / "t.parquet")
    assert list(back.index) == [0, 1, 2]
    assert back["word"].tolist() == ["a", None, "ü"]
    np.testing.assert_array_equal(back["number"], table["number"])


def test_naive_and_zoned_timestamps_are_written_as_utc_microseconds(table, tmp_path):
    table["zoned"] = table["moment"].dt.tz_localize("America/New_York")
    write_table(table, tmp_path / "t.parquet")
    schema = pq.read_schema(tmp_path / "t.parquet")
    assert schema.field("moment").type == schema.field("zoned").type == pa.timestamp("us", tz="UTC")
    back = read_table(tmp_path / "t.parquet")
    assert back["moment"][0] == pd.Timestamp("2013-01-01T10:00:00.123456Z")
    assert back["zoned"][0] == pd.Timestamp("2013-01-01T15:00:00.123456Z")


def test_the_same_table_gives_the_same_bytes(table, tmp_path):
    write_table(table, tmp_path / "a.parquet")
    write_table(pa.Table.from_pandas(table.reset_index(drop=True)), tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_columns_come_in_the_order_asked_for(table, tmp_path):
    write_table(table, tmp_path / "t.parquet")
    assert list(read_table(tmp_path / "t.parquet", ["word", "number"]).columns) == ["word", "number"]


def test_every_missing_column_is_named_with_its_nearest(table, tmp_path):
    write_table(table, tmp_path / "t.parquet")
    words = "t.parquet: every wanted column must be there, but nunber, zzz is not. Did you mean 'number'?"
    with pytest.raises(DataError, match=re.escape(words)):
        read_table(tmp_path / "t.parquet", ["nunber", "zzz", "word"])


def test_truncated_file_is_named(table, tmp_path):
    path = tmp_path / "t.parquet"
    write_table(table, path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=re.escape("t.parquet: the file must be whole parquet, but got")):
        read_table(path)


def test_fingerprint_of_a_text_is_that_of_a_file_with_it(tmp_path):
    paths = [tmp_path / name for name in ("a.sql", "b.sql")]
    for path in paths:
        path.write_text(f"SELECT '{path.stem} é'", encoding="utf-8")
    texts = {"a.sql": "SELECT 'a é'"}
    assert fingerprint_files(paths) == fingerprint_files(paths[1:], texts) != fingerprint_files(paths[1:])


@settings(max_examples=20, deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.binary(max_size=30), min_size=1))
def test_fingerprint_sees_names_and_contents_and_no_order(tmp_path_factory, contents):
    folder = tmp_path_factory.mktemp("files")
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    paths = sorted(folder.iterdir())
    before = fingerprint_files(paths)
    assert before == fingerprint_files(reversed(paths))
    paths[0].write_bytes(paths[0].read_bytes() + b"x")
    assert before != fingerprint_files(paths)
    assert before != fingerprint_files([paths[0].rename(folder / "z"), *paths[1:]])


def test_whole_numbers_of_which_one_is_missing_stay_whole(tmp_path):
    columns = {"number": [2**53 + 1, None], "word": ["a", "b"], "tiny": pa.array([1, None], pa.uint8()), "all": [1, 2]}
    table = pa.table(columns)
    write_table(table, tmp_path / "t.parquet")
    frame = read_table(tmp_path / "t.parquet")
    assert frame.columns.tolist() == table.column_names
    assert frame.dtypes.astype(str).tolist() == ["Int64", "object", "UInt8", "int64"]
    assert frame["number"].tolist() == [2**53 + 1, pd.NA]
    assert pa.Table.from_pandas(frame, preserve_index=False).to_pydict() == table.to_pydict()
