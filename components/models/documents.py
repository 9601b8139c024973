"""Write and read the JSON documents that pass between the steps of the models phase and on to the report.

Not a number and infinity become null: JSON knows neither, and a reader must not take them for a value.
"""

from pathlib import Path
from typing import Any

import orjson


def write_document(document: dict[str, Any], path: Path | str) -> None:
    """Write a document as indented JSON; NumPy numbers are written as plain ones."""
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY))


def read_document(path: Path | str) -> dict[str, Any]:
    """Read a document that `write_document` wrote."""
    document: dict[str, Any] = orjson.loads(Path(path).read_bytes())
    return document
