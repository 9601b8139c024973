"""Documents come back as they were written, and a wrong file is refused in words."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.base.documents import Document, Number, read, write
from components.base.errors import DataError
from components.base.gate import Gate


class Point(Document):
    name: str
    value: Number
    parts: tuple[Number, ...] = ()


@given(value=st.floats(), parts=st.lists(st.floats(allow_infinity=False)))
def test_a_document_comes_back_with_undefined_numbers_as_nan(tmp_path_factory, value, parts):
    path = tmp_path_factory.mktemp("documents") / "new" / "point.json"
    write(Point(name="p", value=value, parts=tuple(parts)), path)
    back = read(Point, path)
    assert np.array_equal(
        [back.value, *back.parts], [value if math.isfinite(value) else math.nan, *parts], equal_nan=True
    )


def test_every_fault_of_a_wrong_document_is_named(tmp_path):
    path = tmp_path / "point.json"
    path.write_text('{"name": 1, "other": 2}')
    with pytest.raises(
        DataError, match=r"readable Point, but got name: .*; value: .*; other: .*step that writes it again"
    ):
        read(Point, path)


@pytest.mark.parametrize("content", [None, "no json"])
def test_a_missing_or_damaged_file_is_refused_with_its_place(tmp_path, content):
    path = tmp_path / "point.json"
    if content:
        path.write_text(content)
    with pytest.raises(DataError, match=r"point\.json: the file must be a readable Point"):
        read(Point, path)


def test_a_gate_without_a_number_survives_a_file(tmp_path):
    gate = Gate(name="slices", verdict="not judged", value=None, limit=None, reason="No group has enough rows.")
    write(gate, tmp_path / "gate.json")
    assert read(Gate, tmp_path / "gate.json") == gate
