"""Files of a folder land as they lie there."""

import re
from pathlib import Path

import pytest

from components.base.adapters.s3 import ObjectStore
from components.base.errors import PermanentError
from pipelines.commands.land import put_files


def test_folder_lands_as_it_lies(tmp_path: Path, store: ObjectStore) -> None:
    (tmp_path / "sales").mkdir()
    (tmp_path / "sales" / "2026-10.csv").write_text("id\n1\n")
    assert put_files(store, "wine", tmp_path) == 1
    assert store.get_bytes("landing/wine/sales/2026-10.csv") == b"id\n1\n"


def test_empty_folder_is_refused(tmp_path: Path, store: ObjectStore) -> None:
    with pytest.raises(PermanentError, match=re.escape("must be a folder with files, but holds none.")):
        put_files(store, "wine", tmp_path / "nowhere")
