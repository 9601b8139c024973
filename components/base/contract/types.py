"""The words that every section of the problem contract is made of: names, texts, ratios, and the closed section.

Imported by `base/contract/problem.py` and by the sections that live in files of their own.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Text = Annotated[str, Field(min_length=3)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}]})]
"""Money: a number, or in YAML arithmetic of `business.values`, which `amounts.py` makes a number of."""
Sql = Annotated[str, Field(min_length=1, description="A DuckDB SQL expression over the columns of the source")]
ColumnType = Literal["string", "int", "float", "bool", "timestamp"]


class Section(BaseModel):
    """A closed, frozen section: an unknown key is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True)
