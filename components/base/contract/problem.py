"""The schema of the problem contract: one closed pydantic model per section.

In: the YAML of `pipelines/problems/<name>.yaml`, parsed. Out: a frozen `Problem` that every step reads. Here is what
every task shares; a task has its own `Problem` in a file of its name (`binary.py`), listed in `tasks.py`. The sections
on the time after the release are in `monitoring.py`. `load.py` loads files, checks what crosses sections and puts the
faults into words; nothing here does I/O.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from components.base.contract.monitoring import Monitoring, Refresh, Retraining
from components.base.contract.types import Amount, ColumnType, Name, Ratio, Section, Sql, Text
from components.base.text.wording import say_plainly

# Operational systems write a placeholder where they know no time. The usual ones lie outside of these days: 0001, 1601,
# 1753, 1899, 1900, 1970 and 1980-01-01 before, 2099-12-31, 2999 and 9999 after. A row with one would be the first event
# of all, or never be available.
_EARLIEST_DAY, _LATEST_DAY = date(1990, 1, 1), date(2099, 12, 30)


class Decision(Section):
    """The business decision that a prediction serves."""

    question: Text
    taken_by: Text
    users: list[Text] = Field(min_length=1)
    unit: Text
    moment: Text
    action: Text
    current_solution: Text
    expected_change: Text


class Owner(Section):
    """Who answers for the model."""

    team: Text
    contact: Text
    escalation: Text


class Column(Section):
    """One column as delivered, or derived by `expression` after the delivered ones were typed."""

    type: ColumnType
    description: Text
    unit: str | None = None
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    allowed: list[str] | None = None
    pattern: str | None = None
    earliest: date | None = Field(
        default=None, description="first plausible day (UTC) of a timestamp; of a source's event and availability 1990"
    )
    latest: date | None = Field(
        default=None, description="last plausible day (UTC) of a timestamp; of a source's event and availability 2099"
    )
    expression: Sql | None = None
    delivered_as: str | None = Field(
        default=None, min_length=1, description="name of the column in the files, where it is another one"
    )
    since: date | None = Field(
        default=None, description="of a nullable column: deliveries of earlier periods lack it, and it is NULL there"
    )


class Reference(Section):
    """Rows point to another source; `keep` accepts an orphan and counts it, `quarantine` sets it aside."""

    columns: list[Name] = Field(min_length=1)
    source: Name
    to: list[Name] = Field(min_length=1)
    orphans: Literal["keep", "quarantine"]
    reason: Text


class Filter(Section):
    """Rows left out on purpose, shown in the report with their number."""

    name: Name
    drop_when: Sql
    reason: Text


class Freshness(Section):
    """How old the newest row may be at `as_of`, in hours."""

    warn_hours: float = Field(gt=0)
    stop_hours: float = Field(gt=0)


class Volume(Section):
    """Rows of the newest month as a ratio of the median of earlier months."""

    minimum_ratio: float = Field(ge=0)
    maximum_ratio: float = Field(gt=0)


class Source(Section):
    """One feed of the landing zone: `events` come in drops that add rows, `snapshot` replaces the whole."""

    description: Text
    kind: Literal["events", "snapshot"]
    path: Text = Field(description="glob below landing/<problem>/")
    format: Literal["csv", "parquet"]
    delimiter: Literal[",", ";", "\t", "|"] = Field(default=",", description="of CSV")
    encoding: Literal["utf-8", "utf-16", "latin-1"] = Field(
        default="utf-8", description="of CSV; utf-16 is little-endian with its mark"
    )
    key: list[Name] = Field(min_length=1)
    event_timestamp: Name | None = None
    available_at: Name | None = None
    maximum_quarantine_ratio: Ratio = 0.05
    freshness: Freshness | None = None
    volume: Volume | None = None
    columns: dict[Name, Column] = Field(min_length=1)
    references: list[Reference] = Field(default=[])
    filters: list[Filter] = Field(default=[])

    def plausible_days(self, name: str) -> tuple[date | None, date | None]:
        """Return the first and the last day that a timestamp may have; None where every day is plausible."""
        column = self.columns[name]
        if name not in (self.event_timestamp, self.available_at):
            return column.earliest, column.latest
        return column.earliest or _EARLIEST_DAY, column.latest or _LATEST_DAY


class Data(Section):
    """How the data steps run."""

    engine: Literal["duckdb", "spark"] = Field(
        default="duckdb",
        description="what runs ingest, validate, build and the point-in-time join: DuckDB on one machine, or Spark",
    )


class Examples(Section):
    """The rows that are predicted: one row of `source`, predicted at `predicted_at`, labelled at `label_at`."""

    source: Name
    key: list[Name] = Field(min_length=1)
    predicted_at: Name
    label_at: Name
    request: list[Name] = Field(min_length=1)


class Target(Section):
    """What is predicted. `outcomes` explains special cases (a cancelled flight) and is shown in the report."""

    name: Name
    expression: Sql
    outcomes: dict[Name, Sql] = Field(default={}, description="named special cases, counted in the report")
    decision_on_special_cases: Text


class RequestFeature(Section):
    """A feature computed from request columns, the same way in training and serving."""

    transform: Literal["identity", "hour_of_day", "day_of_week", "join"]
    columns: list[Name] = Field(min_length=1)
    description: Text
    unit: str | None = None
    timezone: str = "UTC"
    separator: str = "-"
    used_by_model: bool = True


class Features(Section):
    """The Feast feature service and the request-time features beside it."""

    service: Name
    request: dict[Name, RequestFeature]
    fallback: Text = Field(description="what is served for an unknown entity")


class Split(Section):
    """Time-ordered roles, counted back from a gap before `as_of`; the gap must cover the label delay."""

    train_days: int | None = Field(default=None, gt=0, description="train looks back so far; None is the whole history")
    validation_days: int = Field(gt=0)
    test_days: int = Field(gt=0, description="with fewer than 10 the intervals of a release are too narrow")
    gap_hours: int = Field(ge=0)
    folds: int = Field(ge=2, le=10)
    minimum_rows: int = Field(gt=0, description="fewest rows of each role")


class Guard(Section):
    """A secondary metric with the worst value allowed on test."""

    metric: str
    minimum: float | None = None
    maximum: float | None = None


class Metrics(Section):
    """Technical metrics: one primary that selects, guards that may veto."""

    primary: str
    guards: Sequence[Guard] = Field(default=[])
    minimum_lift: float = Field(ge=0, description="smallest useful gain in the primary metric over what is in use")
    maximum_generalisation_gap: float = Field(gt=0, description="largest accepted fall from cross-validation to test")
    maximum_weak_spot_loss: float = Field(
        default=0.05,
        ge=0,
        description="rise of the mean loss in a confirmed weak spot over that of the champion or current solution",
    )


class Business(Section):
    """What decisions are worth and how many can be taken."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    reasoning: Text
    capacity_per_day: int | None = Field(default=None, gt=0)
    capacity_periods_per_day: int = Field(
        default=1, ge=1, le=24, description="equal periods of a day (UTC) with an equal part of the capacity each"
    )
    minimum_lift_per_1000: Amount = Field(
        ge=0,
        description="smallest useful gain, currency per 1,000 predictions; `0.5 * true_positive` follows the values",
    )


class RuleBaseline(Section):
    """The current solution: the target's past rate per group, with fewer rows than `minimum_rows` the overall rate."""

    name: Name
    description: Text
    group_by: list[Name] = Field(
        min_length=1,
        description="request features: texts, whole numbers, weekdays; an hour_of_day counts by whole hours",
    )
    minimum_rows: int = Field(gt=0)


class Assumption(Section):
    """A number computed by SQL over the accepted sources, with the range that it must stay in."""

    name: Name
    statement: Text
    sql: Sql
    minimum: float | None = None
    maximum: float | None = None
    on_violation: Literal["warn", "stop"]


class Slice(Section):
    """A group of rows that must not get worse with a release."""

    column: Name
    maximum_regression: float = Field(ge=0, description="largest accepted loss in the primary metric")
    minimum_rows: int = Field(gt=0)


class Fairness(Section):
    """Groups whose true positive rates may differ by at most `maximum_gap`."""

    column: Name
    maximum_gap: Ratio


class AcceptedFinding(Section):
    """A critical finding of explore that the team knows and trains with all the same."""

    finding: str = Field(description="its id, as the stopped run names it")
    features: Sequence[str] = Field(default=[], description="features that it blames; another one stops the run again")
    reason: Text


class Search(Section):
    """Candidates, and how much of the search space is tried."""

    candidates: Sequence[str] = Field(min_length=1)
    keep: int = Field(ge=1, le=3)
    select_rows: int = Field(gt=0, description="rows sampled for the cross-validated comparison")
    tune_rows: int = Field(gt=0)
    fit_rows: int = Field(
        default=400_000, gt=0, description="most rows that the model learns from; of more, evenly spaced ones in time"
    )
    trials: int = Field(gt=0, description="parameters that tuning tries of each chosen family")
    ceiling_seconds: float = Field(
        default=1800,
        gt=0,
        description="most that one family may take; a run that reaches it may differ from the next and says so",
    )
    seed: int = 0


class Release(Section):
    """Which model an accepted release serves: the judged one, or its recipe fitted once more on newer rows too."""

    refit: Literal["all", "judged"] = Field(
        default="judged",
        description="rows that the served model learns from: all of train, validation and test, or those of the judged",
    )
    maximum_flipped_ratio: Ratio = Field(
        default=0.1,
        description="largest share of decisions that newer rows may change; beyond it the judged model serves",
    )


class Rollout(Section):
    """How long a candidate is watched on a cluster at each share of the requests, and what withdraws it there."""

    start_seconds: float = Field(default=300, gt=0, description="a candidate that does not answer by then is refused")
    shadow_seconds: float = Field(
        default=0, ge=0, description="logged requests are replayed to the dark launch this long"
    )
    soak_seconds: float = Field(default=120, ge=0, description="each share is watched this long")
    maximum_error_ratio: Ratio = Field(default=0.01, description="share of requests that are answered with 5xx")
    maximum_missing_rise: Ratio = Field(
        default=0.05, description="how much more of a feature may be missing than the champion's requests miss of it"
    )
    maximum_score_psi: float = Field(
        default=0.25, gt=0, description="PSI of the candidate's outputs against the champion's in the same time"
    )
    minimum_rows: int = Field(default=200, gt=0, description="fewer rows of a version give no PSI and no ratio")


class Keep(Section):
    """How many days old data stay before `prune` deletes them; without a number, for ever."""

    run_days: int | None = Field(default=None, gt=0, description="what runs left on one machine: logs, steps, pages")
    snapshot_days: int | None = Field(
        default=None, gt=0, description="snapshots and feature tables, since a run used them last"
    )
    prediction_days: int | None = Field(default=None, gt=0, description="logged predictions, by their day")


class Serving(Section):
    """Limits of the endpoint."""

    endpoint: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=53)]
    p99_milliseconds: float = Field(gt=0)
    maximum_body_bytes: int = Field(gt=0)
    maximum_rows: int = Field(gt=0)
    minimum_replicas: int = Field(ge=1)
    maximum_replicas: int = Field(ge=1)
    canary_percent: list[Annotated[int, Field(ge=0, le=100)]] = Field(min_length=1)
    golden_rows: int = Field(gt=0, description="rows replayed through the endpoint before promotion")
    scale_cpu_percent: Annotated[int, Field(ge=10, le=100)] = Field(
        default=70, description="share of the requested CPU above which replicas are added"
    )
    readiness: Literal["strict", "lenient"] = Field(
        default="strict",
        description="without the online store a replica gets no requests (strict), or answers 503 (lenient)",
    )
    rollout: Rollout = Rollout()


class Problem(Section):
    """The whole contract, as far as all tasks share it."""

    version: Literal[3]
    task: str
    name: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=40)]
    title: Text
    summary: Text
    intended_use: Text
    limits: list[Text]
    decision: Decision
    owner: Owner
    sources: dict[Name, Source] = Field(min_length=1)
    data: Data = Data()
    examples: Examples
    target: Target
    features: Features
    split: Split
    metrics: Metrics
    business: Business
    baseline: RuleBaseline
    assumptions: list[Assumption] = Field(default=[])
    slices: list[Slice] = Field(default=[])
    fairness: list[Fairness] = Field(default=[])
    accepted_findings: list[AcceptedFinding] = Field(default=[])
    search: Search
    release: Release = Release()
    serving: Serving
    refresh: Refresh = Refresh()
    monitoring: Monitoring
    retraining: Retraining
    keep: Keep = Keep()

    @property
    def schedules(self) -> dict[Literal["refresh", "monitoring"], str]:
        """The cron lines of the pipelines that a clock starts, in the order in which they run."""
        return {"refresh": self.refresh.schedule, "monitoring": self.monitoring.schedule}

    @property
    def outcome_cases(self) -> Mapping[str, str]:
        """What examples are counted by, as SQL conditions by name: the special cases of the target."""
        return self.target.outcomes

    @property
    def noun(self) -> str:
        """What is predicted, in the plural: the name of the source of examples."""
        return say_plainly(self.examples.source)

    @property
    def outcome(self) -> str:
        """The outcome as an adjective: the name of the target."""
        return say_plainly(self.target.name)
