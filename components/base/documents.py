"""Documents: what one step writes and another reads, as JSON with a type.

In: a frozen model of the document's fields. Out: indented JSON, and the model back. Not a number and infinity are null
in JSON, which knows neither; a field of type `Number` reads null as not a number. Called by every step that leaves a
document.
"""

import math
from pathlib import Path
from typing import Annotated, TypeVar

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from components.base.errors import DataError

Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
"""A float that may be undefined: not a number here, null in JSON."""


class Document(BaseModel):
    """A closed, frozen document: an unknown field is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True)


D = TypeVar("D", bound=BaseModel)


def write(document: BaseModel, path: Path | str) -> None:
    """Write a document, whole or not at all; its folder is made when it is missing."""
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    partial = place.with_name(f"{place.name}.partial")
    partial.write_bytes(orjson.dumps(document.model_dump(), option=options))
    partial.replace(place)


def read(kind: type[D], path: Path | str) -> D:
    """Read a document that `write` wrote.

    Raises:
        DataError: the file is missing, is no JSON, or has other fields; every fault is named.
    """
    try:
        return kind.model_validate(orjson.loads(Path(path).read_bytes()))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'the document'}: {fault['msg']}"
            for fault in error.errors()
        )
    except (OSError, orjson.JSONDecodeError) as error:
        faults = str(error)
    raise DataError(
        f"{path}: the file must be a readable {kind.__name__}, but got {faults}. Run the step that writes it again."
    )
