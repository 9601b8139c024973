"""What one monitoring run found: the document that reports, metrics, alerts and the governor read.

Written by the `monitor` step to `<problem>/monitoring/<as_of>.json` in the object store, one an `as_of`; a run that
is repeated replaces its own document. Nothing is computed here.

Conventions
    ratio       a share within 0 and 1
    PSI         population stability index, see `base.statistics.counts.measure_psi`
    output      what a model returns for a row; means are those of its first column
    contender   `served` are the decisions taken; `current_solution` and `previous` (the champion before this one) are
                what they would have decided on the same rows, under the same capacity; `no_action` is to do nothing
    None        unknown: too few rows, or nothing to compare with

A field that was renamed after version 1 of the document still reads its old name: see `_renamed`.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from components.base.adapters.s3 import ObjectStore
from components.base.errors import DataError

Contender = Literal["served", "current_solution", "no_action", "previous"]


def _renamed(old: str, new: str) -> Any:
    """Return a field that is written as `new` and also read as `old`, its name in version 1 of the document."""
    return Field(validation_alias=AliasChoices(new, old))


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Frozen):
    """A number with its 95 % interval; a bound is None where there are too few rows for it."""

    estimate: float
    low: float | None = None
    high: float | None = None


class Window(_Frozen):
    """The predictions that are monitored: from `start` to before `end`, both UTC."""

    start: datetime
    end: datetime


class DayTraffic(_Frozen):
    """One day of UTC."""

    day: str
    rows: int
    actions: int
    mean_output: float = _renamed("mean_probability", "mean_output")


class Traffic(_Frozen):
    """Requests and answers."""

    rows: int
    """Rows predicted in the window, without repeated requests."""
    repeated_rows: int = _renamed("replayed_rows", "repeated_rows")
    """Rows that were sent again under the same key with the same content."""
    reused_keys: int = 0
    """Keys that came with more than one content: each of their rows counts."""
    versions: dict[str, int]
    """Rows by model version."""
    actions: int
    """Rows that got the action, under the capacity."""
    mean_output: float | None = _renamed("mean_probability", "mean_output")
    by_day: tuple[DayTraffic, ...]


class FeatureState(_Frozen):
    """One input of the model, as it was served, against the rows that the model learned from."""

    name: str
    source: str
    """The feature view, or `request`."""
    kind: Literal["numeric", "categorical"]
    importance_ratio: float
    """Share of the model's permutation importance; all features add up to 1."""
    psi: float | None = _renamed("shift", "psi")
    psi_limit: float | None = _renamed("shift_limit", "psi_limit")
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
    """The PSI exceeds its limit."""
    matters: bool
    """It drifts, and is important to the model."""


class Drift(_Frozen):
    """The drift of all features and of the outputs, in one number each."""

    weighted_psi: float | None = _renamed("weighted_shift", "weighted_psi")
    """Mean PSI of the features, weighted by importance."""
    greatest_relevant_psi: float | None = _renamed("greatest_relevant_shift", "greatest_relevant_psi")
    """Greatest PSI, as a multiple of its limit, among features that are important enough; an alert fires above 1."""
    feature: str | None
    """The feature with that PSI."""
    prediction_psi: float | None = _renamed("prediction_shift", "prediction_psi")
    prediction_psi_limit: float | None = _renamed("prediction_shift_limit", "prediction_psi_limit")
    shift_days: int | None = None
    """Days of the windows of training rows that the limits come from, beside the contract's; see `Profile`."""


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
    """One feature as served against the point-in-time join for the same keys and times."""

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
    """How many of the window's predictions have labels."""

    rows: int
    due: int
    """Rows whose label should be known at `as_of`."""
    labelled: int
    coverage_ratio: float | None
    """Labelled among due."""
    overdue: int
    """Due, but missing."""
    lag_hours_median: float | None
    lag_hours_p95: float | None
    by_age: tuple[AgeCoverage, ...]
    changed: int
    """Labels with more than one version."""
    new_since_training: int
    """Labels that arrived after the champion's `as_of`."""
    known_before: int = 0
    """Rows whose label was known before they were predicted: it does not count."""


class SliceScore(_Frozen):
    """The primary metric of one group of rows."""

    column: str
    value: str
    rows: int
    score: Estimate
    at_release: float | None


class EstimatedPerformance(_Frozen):
    """The score expected of the outputs where labels are missing; it does not see a change of concept."""

    metric: str
    rows: int
    score: float
    on_labelled: float | None
    """The same estimate on labelled rows, to be compared with the measured score."""


class Performance(_Frozen):
    """How good the champion was on matured labels."""

    rows: int
    mean_outcome: float | None = _renamed("positive_ratio", "mean_outcome")
    scores: dict[str, Estimate]
    at_release: dict[str, float]
    """Its scores on the test rows of its release."""
    limit_metric: str
    limit: float
    is_below_limit: bool
    """The whole interval violates the limit."""
    slices: tuple[SliceScore, ...]
    estimated: tuple[EstimatedPerformance, ...]


class ContenderValue(_Frozen):
    """What one contender's decisions earned on the labelled rows, in the contract's currency."""

    label: str
    rows: int
    actions: int
    right_actions: int | None = None
    """Actions on rows with a positive outcome; None where they were not counted."""
    total: float
    per_1000: Estimate
    gain_of_served_per_1000: Estimate | None
    """Value of `served` minus that of this contender; None for `served` itself."""


class Value(_Frozen):
    """The business value of the window."""

    currency: str
    contenders: dict[Contender, ContenderValue]
    limit_per_1000: float
    """Smallest accepted gain over the current solution."""
    is_below_limit: bool
    """The whole interval of the gain is below the limit, or below 0 over doing nothing."""

    def find_gain(self, name: Contender) -> Estimate | None:
        """Return the gain of `served` over a contender per 1,000; None if it is unknown."""
        other = self.contenders.get(name)
        return other.gain_of_served_per_1000 if other else None


class WindowFinding(_Frozen):
    """One finding in words."""

    severity: Literal["critical", "warning", "note"]
    topic: Literal["data", "traffic", "features", "drift", "skew", "labels", "performance", "value"]
    title: str
    text: str
    action: str
    """What to do, or which service acts already."""


class MonitoringResult(_Frozen):
    """One window of one problem, as known at `as_of`."""

    version: Literal[1, 2] = 2
    """1 has other names for some fields, see `_renamed`."""
    problem: str
    as_of: datetime
    window: Window
    computed_at: datetime
    """Wall-clock time."""
    seconds: float
    model_version: str
    """The champion at `as_of`; features, performance and value are those of its rows alone."""
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
    findings: tuple[WindowFinding, ...]
    """The most severe first."""


def results_prefix(problem: str) -> str:
    """Return the prefix of a problem's results in the object store."""
    return f"{problem}/monitoring/"


def write_result(store: ObjectStore, result: MonitoringResult) -> str:
    """Write a result, replacing one of the same `as_of`; return its URI."""
    key = f"{results_prefix(result.problem)}{result.as_of:%Y-%m-%dT%H%M%SZ}.json"
    return store.put_bytes(key, result.model_dump_json(indent=1).encode())


def read_results(store: ObjectStore, problem: str, last: int | None = None) -> list[MonitoringResult]:
    """Read the results of a problem, oldest first, only the newest `last` of them if given.

    Raises:
        DataError: a document is not one of these.
    """
    keys = [found.key for found in store.list_objects(results_prefix(problem)) if found.key.endswith(".json")]
    results = []
    for key in keys if last is None else keys[-last:]:
        try:
            results.append(MonitoringResult.model_validate_json(store.get_bytes(key)))
        except ValueError as error:
            raise DataError(
                f"monitoring {key}: it must be a monitoring result, but got {error}. Remove it and run `make monitor`."
            ) from error
    return results
