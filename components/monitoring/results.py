"""What one monitoring run found: the document that reports, metrics, alerts and the governor read.

Written by the `monitor` step to `<problem>/monitoring/<as_of>.json` in the object store, one a moment; a run that is
repeated replaces its own document. Nothing is computed here.

Conventions
    ratio       a share within 0 and 1
    shift       population stability index in nats, see `features.counts.measure_shift`
    contender   `served` are the decisions taken; `current_solution` and `previous` (the champion before the one
                in charge) are what they would have decided on the same rows, under the same capacity
    None        not known: too few rows, or nothing to compare with
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from components.base.adapters.s3 import ObjectStore
from components.base.contract.types import MetricName
from components.base.errors import DataError

Contender = Literal["served", "current_solution", "previous"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Frozen):
    """A number with its 95 % interval; a bound is None where the rows cannot tell."""

    estimate: float
    low: float | None = None
    high: float | None = None


class Window(_Frozen):
    """The predictions that are judged: `start` counts in, `end` does not; both UTC."""

    start: datetime
    end: datetime


class DayTraffic(_Frozen):
    """One day of UTC."""

    day: str
    rows: int
    actions: int
    mean_probability: float


class Traffic(_Frozen):
    """What was asked and answered."""

    rows: int
    """Rows predicted in the window, replays left out."""
    replayed_rows: int
    """Rows that came again under the same request id."""
    versions: dict[str, int]
    """Rows by model version."""
    actions: int
    """Rows that got the action, under the capacity."""
    mean_probability: float | None
    by_day: tuple[DayTraffic, ...]


class FeatureState(_Frozen):
    """One input of the model, as it was served, against the rows that the model learned from."""

    name: str
    source: str
    """The feature view, or `request`."""
    kind: Literal["numeric", "categorical"]
    importance_ratio: float
    """Share of the model's permutation importance; all features add up to 1."""
    shift: float | None
    shift_limit: float | None
    """The greatest of: the contract's limit, how much it moved in training, and what noise reaches in so few rows."""
    jensen_shannon: float | None
    """Jensen-Shannon distance, base 2: 0 to 1."""
    wasserstein: float | None
    """Wasserstein distance in reference standard deviations; None for categories."""
    missing_ratio: float
    reference_missing_ratio: float
    unseen_ratio: float
    """Share of rows with a category that training never saw."""
    out_of_range_ratio: float
    """Share of rows outside the contract's range."""
    drifts: bool
    """The shift is beyond its limit."""
    matters: bool
    """It drifts, and the model leans on it."""


class Drift(_Frozen):
    """The shifts in one number each."""

    weighted_shift: float | None
    """Mean shift of the features, weighted by importance."""
    greatest_relevant_shift: float | None
    """Greatest shift, as a multiple of its limit, among features that are important enough; above 1 is an alert."""
    feature: str | None
    """The feature of that shift."""
    prediction_shift: float | None
    prediction_shift_limit: float | None


class ViewAge(_Frozen):
    """How old the values of one feature view were when they were served."""

    view: str
    ttl_seconds: float | None
    median_seconds: float | None
    p95_seconds: float | None
    expired_ratio: float
    """Share of rows whose values were older than the time to live, and so were served as missing."""
    unknown_ratio: float
    """Share of rows whose entity the store did not hold."""
    reference_missing_ratio: float
    """Share of training rows that had no value of the view: some entities are always too old, or new."""

    @property
    def expired_rise(self) -> float:
        """Expired rows beyond those that training lacked too: what is left is a feed that is late."""
        return min(self.expired_ratio, max(0.0, self.expired_ratio + self.unknown_ratio - self.reference_missing_ratio))


class FeatureSkew(_Frozen):
    """One feature as served against the point-in-time join for the same keys and moments."""

    name: str
    rows: int
    different_ratio: float
    mean_absolute_difference: float | None


class Skew(_Frozen):
    """Training/serving skew on a sample of the window."""

    rows: int
    different_ratio: float
    """Share of all compared values that differ."""
    features: tuple[FeatureSkew, ...]
    """The most different first."""


class AgeCoverage(_Frozen):
    """Labels of the predictions of one age."""

    age_days: int
    rows: int
    labelled: int


class Labels(_Frozen):
    """How far the labels of the window's predictions have come."""

    rows: int
    due: int
    """Rows whose label should be known by now."""
    labelled: int
    coverage_ratio: float | None
    """Labelled among due."""
    overdue: int
    """Due, but not there."""
    lag_hours_median: float | None
    lag_hours_p95: float | None
    by_age: tuple[AgeCoverage, ...]
    changed: int
    """Labels of which there is more than one version."""
    new_since_training: int
    """Labels that have come since the `as_of` of the model in charge."""


class SliceScore(_Frozen):
    """The primary metric of one group of rows."""

    column: str
    value: str
    rows: int
    score: Estimate
    at_release: float | None


class EstimatedPerformance(_Frozen):
    """The score that the probabilities themselves promise where labels are missing; blind to a change of concept."""

    metric: MetricName
    rows: int
    score: float
    on_labelled: float | None
    """The same estimate on rows whose labels have come: what it is worth, beside the realised score."""


class Performance(_Frozen):
    """How good the model in charge was on labels that have matured."""

    rows: int
    positive_ratio: float | None
    scores: dict[MetricName, Estimate]
    at_release: dict[MetricName, float]
    """Its scores on the test rows of its release."""
    limit_metric: MetricName
    limit: float
    is_below_limit: bool
    """The whole interval is on the wrong side of the limit."""
    slices: tuple[SliceScore, ...]
    estimated: tuple[EstimatedPerformance, ...]


class ContenderValue(_Frozen):
    """What one contender's decisions earned on the labelled rows, in the contract's currency."""

    label: str
    rows: int
    actions: int
    right_actions: int | None = None
    """Actions on rows whose label turned out positive; None where nobody counted them."""
    total: float
    per_1000: Estimate
    gain_of_served_per_1000: Estimate | None
    """Served less this contender; None for `served` itself."""


class Value(_Frozen):
    """The business value of the window."""

    currency: str
    contenders: dict[Contender, ContenderValue]
    limit_per_1000: float
    """Smallest gain over the current solution."""
    is_below_limit: bool


class Finding(_Frozen):
    """One thing that somebody should know, in words."""

    severity: Literal["critical", "warning", "note"]
    topic: Literal["traffic", "features", "drift", "skew", "labels", "performance", "value"]
    title: str
    text: str
    action: str
    """What to do, or who does it already."""


class MonitoringResult(_Frozen):
    """One window of one problem, as known at `as_of`."""

    version: Literal[1] = 1
    problem: str
    as_of: datetime
    window: Window
    computed_at: datetime
    """By the wall clock."""
    seconds: float
    model_version: str
    """In charge at `as_of`; the judgements of the model are on its rows alone."""
    model_rows: int
    """Rows of that version in the window."""
    previous_version: str | None
    traffic: Traffic
    features: tuple[FeatureState, ...]
    """The most important first."""
    drift: Drift
    views: tuple[ViewAge, ...]
    skew: Skew | None
    labels: Labels
    performance: Performance | None
    value: Value | None
    findings: tuple[Finding, ...]
    """The gravest first."""


def results_prefix(problem: str) -> str:
    """Return where the results of a problem lie in the object store."""
    return f"{problem}/monitoring/"


def write_result(store: ObjectStore, result: MonitoringResult) -> str:
    """Write a result, in the place of an earlier one of the same moment; return its URI."""
    key = f"{results_prefix(result.problem)}{result.as_of:%Y-%m-%dT%H%M%SZ}.json"
    return store.put_bytes(key, result.model_dump_json(indent=1).encode())


def read_results(store: ObjectStore, problem: str, last: int | None = None) -> list[MonitoringResult]:
    """Read the results of a problem, oldest first, only the newest `last` of them if given.

    Raises:
        DataError: a document is not one of these.
    """
    keys = [found.key for found in store.list_objects(results_prefix(problem)) if found.key.endswith(".json")]
    chosen = keys if last is None else keys[-last:]
    return [_read(store, key) for key in chosen]


def _read(store: ObjectStore, key: str) -> MonitoringResult:
    try:
        return MonitoringResult.model_validate_json(store.get_bytes(key))
    except ValueError as error:
        raise DataError(
            f"monitoring {key}: it must be a monitoring result, but got {error}. Remove it and run `make monitor`."
        ) from error
