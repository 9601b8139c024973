import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.base.adapters.object_keys import key_faults
from components.base.adapters.s3 import ObjectStore
from components.base.errors import DataError
from components.base.settings import S3Endpoint


@pytest.mark.parametrize(
    "key", ["a", "a/b", "carrier=AA/part 0.parquet", "%2F?#&", "ü/😀", "..a/b..", "x" * 255, "a/.uploads"]
)
def test_a_portable_key_has_no_fault(key):
    assert list(key_faults(key)) == []


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("", "it must have 1 to 1024 bytes, but got 0."),
        ("ü" * 600, "it must have 1 to 1024 bytes, but got 1200."),
        ("/a", "no part between slashes must be empty, '.' or '..'."),
        ("a//b", "no part between slashes must be empty, '.' or '..'."),
        ("a/", "no part between slashes must be empty, '.' or '..'."),
        ("a/../b", "no part between slashes must be empty, '.' or '..'."),
        ("a/" + "ü" * 128, "each part between slashes must have at most 255 bytes."),
        ("a\\b", "it must hold neither backslashes nor characters that cannot be printed."),
        ("a\nb", "it must hold neither backslashes nor characters that cannot be printed."),
        ("\ud83d", "it must be valid Unicode, but half a surrogate pair stands alone in it."),
        (".uploads/x", "it must not begin with '.uploads/', where SeaweedFS keeps unfinished uploads."),
    ],
)
def test_a_key_that_services_read_differently_has_its_fault_named(key, fault):
    assert fault in list(key_faults(key))


@given(st.text(st.characters(codec=None)))
def test_any_text_is_judged_without_an_exception(key):
    assert all(fault.endswith(".") for fault in key_faults(key))


def test_a_bad_key_is_refused_before_anything_is_sent(tmp_path):
    nobody = ObjectStore(S3Endpoint("http://127.0.0.1:9", "a", "b"), "tidemill")
    words = "object key '/a\\\\b': 2 faults.\n  no part between slashes must be empty"
    with pytest.raises(DataError, match=re.escape(words)):
        nobody.put_bytes("/a\\b", b"")
