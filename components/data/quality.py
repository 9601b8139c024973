"""The quality report: how many rows each source delivered, what became of them, and how they meet the contract.

`validate` writes `quality.json`; the release report and the records of runs read it. Ratios are within 0 to 1.
"""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field

from components.base.contract.problem import Reference
from components.base.documents import Document
from components.data.snapshot import DeliveryRows


class RowsByFate(Document):
    """Rows of all sources by what became of them; the first is the sum of the others."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    delivered: int = Field(validation_alias="in", serialization_alias="in")
    accepted: int
    filtered: int
    """Left out on purpose, by a filter of the contract or because a newer row replaced them."""
    quarantined: int
    """Set aside as faulty."""


class FilterRows(Document):
    """What one filter left out."""

    name: str
    reason: str
    rows: int


class FailedCheck(Document):
    """One check that rows of a source failed."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    check: str
    """`<column>.<what>`, such as `arr_delay.maximum`."""
    column: str
    rows: int
    example: str
    """The fault of the first such row, in words."""
    delivery: str = Field(validation_alias="drop", serialization_alias="drop")
    """Key of the delivery that holds the first such row."""
    row: int
    """Line of that row in a CSV, its number in a parquet file."""
    ratio: float
    """Share of the source's rows."""


class Age(Document):
    """How old the newest accepted row is at `as_of`, against the contract."""

    newest: datetime | None
    """UTC; None without a row."""
    age_hours: float | None
    warn_hours: float
    stop_hours: float
    status: Literal["pass", "warn", "stop"]


class MonthRows(Document):
    """Accepted rows of one month."""

    month: str
    """YYYY-MM."""
    rows: int
    rows_per_day: float
    is_complete: bool
    """Whether the month was over at `as_of`."""
    ratio: float | None
    """Rows a day against the median of earlier months; None where these are too few."""
    status: Literal["pass", "thin", "thick"]


class RowsPerDay(Document):
    """Accepted rows a day by month, against the contract."""

    newest_month: str | None
    """The newest month that is complete: its ratio decides the status."""
    ratio: float | None
    minimum_ratio: float | None
    maximum_ratio: float | None
    status: Literal["pass", "stop", "not judged"]
    months: tuple[MonthRows, ...]
    """Every month from the first row to `as_of`."""


class ReferenceRows(Reference):
    """Rows that refer to a row that does not exist."""

    rows: int
    ratio: float
    """Share of the rows that refer to something."""
    distinct: int
    """Different values among them."""
    examples: tuple[str, ...]
    """The most frequent values."""


ChangeKind = Literal["category", "empty", "missing", "unit", "volume"]


class DataChange(Document):
    """One way in which new rows of a source differ from the rows before."""

    source: str
    column: str | None
    """None: it is about the rows of the source."""
    kind: ChangeKind
    words: str
    """What came and what was before, with the deliveries that hold it."""


class ColumnProfile(Document):
    """One column of some rows."""

    missing_ratio: float
    quantiles: tuple[float, ...] = ()
    """Of the numbers that are not 0, at the levels of `changes.py`."""
    days: tuple[float, float] | None = None
    """Least and greatest median of a day; None without days."""
    categories: dict[str, int] = Field(default={})
    """Rows by value of a text that takes few of them."""


class SourceProfile(Document):
    """Some rows of a source, as the next snapshot is compared with them."""

    rows: int
    columns: dict[str, ColumnProfile]


class SourceQuality(Document):
    """The quality of one source."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    description: str
    kind: Literal["events", "snapshot"]
    rows_in: int
    """accepted + filtered + quarantined."""
    accepted: int
    filtered: int
    quarantined: int
    not_yet_available: int
    """Rows that ingest left out, because nobody could know them at `as_of`."""
    deliveries: tuple[DeliveryRows, ...] = Field(validation_alias="drops", serialization_alias="drops")
    missing_months: tuple[str, ...]
    """YYYY-MM without a delivery up to `as_of`; events only."""
    unknown_columns: tuple[str, ...]
    """Delivered, not in the contract, left out."""
    filters: tuple[FilterRows, ...]
    """Every filter in the order of the contract, also those that left out no row."""
    problems: tuple[FailedCheck, ...]
    """By rows, most first."""
    quarantine_ratio: float
    quarantine_limit: float
    freshness: Age | None
    """None without limits in the contract."""
    volume: RowsPerDay | None
    """None for a snapshot."""
    references: tuple[ReferenceRows, ...]
    profile: SourceProfile | None = None
    """Of a snapshot, which is delivered as a whole: the next one is compared with it. None for events."""
    changes: tuple[DataChange, ...] = ()
    """What is new against the report in `Quality.compared_with`."""


class AssumptionResult(Document):
    """One assumption of the contract, checked on the accepted rows."""

    name: str
    statement: str
    value: float | None
    """None: the SQL gave no number, which violates."""
    minimum: float | None
    maximum: float | None
    holds: bool
    on_violation: Literal["warn", "stop"]
    words: str
    """The value against its range."""


class OutcomeRows(Document):
    """Examples by outcome: `positive` of a binary problem, and a field for each special case of the target."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, int]

    rows: int

    def count(self, case: str) -> int:
        """Return the rows of `positive` or of a special case."""
        return int(getattr(self, case))


class MonthOutcomes(OutcomeRows):
    """Examples of one month by outcome."""

    month: str
    """YYYY-MM of the prediction."""


class Outcomes(Document):
    """How often the target takes which value."""

    source: str
    target: str
    totals: OutcomeRows
    months: tuple[MonthOutcomes, ...]


class Quality(Document):
    """What validation found in one snapshot."""

    problem: str
    as_of: datetime
    """UTC."""
    snapshot: str
    """`s3://` prefix of the snapshot."""
    since: datetime | None = None
    """Events known earlier were left out, and nothing here is measured on them; None: none were."""
    compared_with: datetime | None = None
    """`as_of` of the earlier report that the new rows are compared with; None without one."""
    rows: RowsByFate
    verdict: Literal["pass", "warn", "stop"]
    faults: tuple[str, ...]
    """Hard limits of the contract that are broken; one of them stops the run."""
    warnings: tuple[str, ...]
    """What a person should look at, though the run continues."""
    sources: dict[str, SourceQuality]
    assumptions: tuple[AssumptionResult, ...]
    outcomes: Outcomes

    @property
    def changes(self) -> tuple[DataChange, ...]:
        """The changes of all sources."""
        return tuple(change for source in self.sources.values() for change in source.changes)
