"""The file of an alert, `charts/tidemill/runbooks/<AlertName>.yaml`: its closed shape, and all of its faults at once.

In: the folder of the runbooks. Out: `AlertFile`s. Called by `alerts`. The README of the runbooks explains the format
to people; a test compares it with the fields here.
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from components.alerting.types import Severity
from components.base.errors import PermanentError, raise_faults, suggest_name
from components.base.expressions import list_names

FOLDER = Path(__file__).parents[2] / "charts" / "tidemill" / "runbooks"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def read_duration(text: str) -> float:
    """Return the seconds of `90s`, `15m`, `6h` or `3d`."""
    return float(text[:-1]) * _UNITS[text[-1]]


def _check_expression(expression: str | float) -> str:
    list_names(str(expression).replace("$", ""))
    return str(expression)


Text = Annotated[str, Field(min_length=10)]
Duration = Annotated[str, Field(pattern=r"^\d+[smhd]$")]
Expression = Annotated[float | str, AfterValidator(_check_expression)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CounterRise(_Closed):
    """Samples of a counter in a case: it starts at 0."""

    per_minute: float


class CaseFile(_Closed):
    """A state of the world in which the alert must fire, or must not."""

    name: Text
    fires: bool
    at: Duration = "15m"
    series: dict[str, CounterRise | Expression] = {}
    """By selector. An expression may use `threshold` and `now`, both in seconds where they are times."""


class Budget(_Closed):
    """What uses up the error budget of an objective of 30 days."""

    objective: str
    """Field of the contract: the share of good requests."""
    bad_ratio: str
    """PromQL: the share of bad requests; its ranges are `[$range]`."""
    requests: str
    """PromQL: the number of requests."""
    series: dict[str, Expression]
    """A steady world for the cases, per minute: expressions of `requests` and of the share `bad`."""


class BurnWindow(_Closed):
    """One row of table 5-8 of the Site Reliability Workbook."""

    rate: float = Field(gt=0)
    """How many times faster than allowed the budget is used up."""
    long: Duration
    short: Duration


class AlertFile(_Closed):
    """One rule of an alert. A file with `rules` holds several, which replace the fields that they name."""

    severity: Severity
    dashboard: Literal["serving", "model", "pipelines", "retraining"]
    summary: Text
    description: Text
    reason: Text
    query: str | None = None
    above: Expression | None = None
    below: Expression | None = None
    for_: Duration = Field(default="0s", alias="for")
    labels: dict[str, str] = {}
    fields: list[str] = []
    each: Literal["source"] | None = None
    needs_rows: str | None = None
    example: str | None = None
    budget: Budget | None = None
    window: BurnWindow | None = None
    cases: list[CaseFile] = []

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        if self.budget or self.window:
            if not (self.budget and self.window) or self.query or self.above or self.below:
                raise ValueError("budget and window must be given together, without query, above and below")
        elif self.query is None or (self.above is None) == (self.below is None):
            raise ValueError("query and one of above and below must be given")
        if (self.needs_rows is None) != (self.example is None):
            raise ValueError("needs_rows and example must be given together")
        if not (self.budget or self.example) and {case.fires for case in self.cases} != {True, False}:
            raise ValueError("cases must hold at least one that fires and one that does not")
        return self


@functools.lru_cache
def read_alert_files(folder: Path = FOLDER) -> dict[str, list[AlertFile]]:
    """Return the rules of every alert by its name.

    Raises:
        PermanentError: a file has faults; all faults of all files are named.
    """
    faults: list[str] = []
    found = {}
    for file in sorted(folder.glob("*.yaml")):
        rules, wrong = parse_alert(file.read_text(encoding="utf-8"))
        faults += [f"{file.name}: {fault}" for fault in wrong]
        found[file.stem] = rules
    raise_faults(PermanentError, "alerts", faults)
    return found


def parse_alert(text: str) -> tuple[list[AlertFile], list[str]]:
    """Return the rules of a file that hold, and the faults of the others."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return [], [f"the file must be YAML, but does not parse: {' '.join(str(error).split())}."]
    if not isinstance(content, dict):
        return [], ["the file must hold a mapping of fields, but does not."]
    common = {name: value for name, value in content.items() if name != "rules"}
    rules, faults = [], []
    for number, changes in enumerate(content.get("rules", [{}])):
        try:
            rules.append(AlertFile.model_validate({**common, **changes}))
        except ValidationError as error:
            where = f"rules.{number} " if "rules" in content else ""
            faults += [f"{where}{fault}" for fault in _describe(error)]
    return rules, list(dict.fromkeys(faults))


def _describe(error: ValidationError) -> Iterator[str]:
    models: tuple[type[BaseModel], ...] = (AlertFile, CaseFile, CounterRise, Budget, BurnWindow)
    known = ["rules", *(field.alias or name for model in models for name, field in model.model_fields.items())]
    for fault in error.errors():
        path, last = ".".join(map(str, fault["loc"])), str(fault["loc"][-1]) if fault["loc"] else ""
        if fault["type"] == "extra_forbidden":
            yield f"`{path}` must be a known field, but is not.{suggest_name(last, known)}"
        elif fault["type"] == "missing":
            yield f"`{path}` must be given, but is missing."
        else:
            message = re.sub(r"^(Input|Value error,|String) ?", "", fault["msg"])
            text = repr(fault["input"])
            got = text if len(text) <= 80 else f"{text[:77]}..."
            yield f"`{path}`: {message}, but got {got}." if path else f"{message}."
