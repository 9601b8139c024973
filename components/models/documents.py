"""The documents of the models phase: what select, tune, ensemble and evaluate write, and later steps read.

Scores are in the unit of their metric, money is in the contract's currency, times are ISO 8601 in UTC, ratios are in
[0, 1]. Where a field is a `dict` of details, the task wrote it and the task's pages read it; everybody else passes it
on.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from components.base.documents import Document, Number
from components.base.gate import Gate, Verdict
from components.base.statistics.resampling import Gain, Interval
from components.base.task import Kind, Outcome

Contender = Literal["challenger", "champion", "current_solution", "dummy"]


class Spread(Document):
    """A score over the folds."""

    mean: Number
    std: Number
    """Standard deviation between the folds."""
    folds: tuple[Number, ...]
    """The score of each fold, in time order."""

    @classmethod
    def of(cls, folds: Sequence[float]) -> Self:
        """Summarise the scores of two folds or more."""
        return cls(mean=float(np.mean(folds)), std=float(np.std(folds, ddof=1)), folds=tuple(folds))


class FoldRecord(Document):
    """One fold of the cross-validation in time order."""

    fit_rows: int
    fit_until: str
    score_from: str
    score_until: str
    score_rows: int
    outcome: Outcome
    """Outcomes of the scored rows."""


class LeaderboardEntry(Document):
    """One contender of the selection."""

    name: str
    kind: Literal["candidate", "current_solution", "dummy"]
    scores: dict[str, Spread]
    """By metric; empty when the contender failed."""
    value_per_1000: Spread | None
    """Of decisions by a policy chosen on the first half of each fold, measured on the second."""
    fit_seconds: float
    """Processor time over all folds."""
    error: str | None
    is_cut_short: bool = False
    """Whether it was left out for having reached the ceiling of seconds."""
    rank: int
    """From 1, by the primary metric."""
    beats_baselines: bool
    chosen: bool = False
    """Whether the family goes on to be tuned."""


class Leaderboard(Document):
    """What `select` found, best first."""

    problem: str
    metric: str
    """The primary metric."""
    higher_is_better: bool
    gap_hours: int
    folds: tuple[FoldRecord, ...]
    entries: tuple[LeaderboardEntry, ...]
    chosen: tuple[str, ...]
    """Families that go on, best first."""
    note: str
    """Why these, in words."""
    champion: dict[str, dict[str, Any]] = Field(default={})
    """Parameters of the champion by family; tuning tries them second."""
    seconds: float


class TrialRecord(Document):
    """One trial of the search."""

    number: int
    parameters: dict[str, Any]
    score: float | None
    """Mean over the folds; None unless the trial is complete."""
    folds: tuple[Number, ...]
    state: Literal["complete", "pruned", "failed"]
    reason: str | None
    """Why it was pruned or failed."""


class TunedFamily(Document):
    """The search of one family."""

    family: str
    parameters: dict[str, Any]
    """Of the best complete trial."""
    score: Spread | None
    default_score: Spread | None
    """Of the family's default parameters, the first trial."""
    trials: tuple[TrialRecord, ...]
    rows: int
    """Rows of the largest fold, fitted and scored."""
    seconds: float
    """Measured: all else is the same in a search of the same rows."""


class Tuned(Document):
    """What the steps `tune` found, best family first."""

    problem: str
    metric: str
    higher_is_better: bool
    trials: int
    """Wanted of each family."""
    ceiling_seconds: float
    """Most that the search of one family may take."""
    families: tuple[TunedFamily, ...]

    @property
    def cut_short(self) -> tuple[TunedFamily, ...]:
        """The families whose search reached the ceiling: another machine would have come to another trial."""
        return tuple(entry for entry in self.families if len(entry.trials) < self.trials)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all but measured seconds."""
        kept = self.model_dump_json(exclude={"families": {"__all__": {"seconds"}}})
        return hashlib.sha256(kept.encode()).hexdigest()


class KindRecord(Document):
    """One way to combine the tuned candidates."""

    kind: Kind
    families: tuple[str, ...]
    score: Number
    """On out-of-fold predictions of train rows."""
    behind_best: Number
    standard_error: Number
    """Of the paired difference to the best."""
    chosen: bool


class CrossValidated(Document):
    """The expected score of the chosen kind."""

    score: Number
    low: Number
    high: Number
    rows: int


class RefitRecord(Document):
    """Whether the recipe was fitted again on train and validation rows, and the check before it."""

    rows: int
    """That the model learned from, before any thinning out."""
    psi: float
    """Of the outputs, on validation rows that no model of the check had seen."""
    loss_gain: float
    """By how much newer rows lower the mean loss there; positive is better."""
    is_refitted: bool
    reason: str


class OutputShift(Document):
    """How answers change with newer rows, measured on rows from which neither model has learned."""

    rows: int
    psi: float
    """Of the outputs; the greatest of their columns."""
    flipped_ratio: float
    """Share of the decisions, under the capacity, that are other ones; 0 where decisions are numbers."""
    loss_gain: float
    """By how much newer rows lower the mean loss; positive is better."""


class GoldenShift(Document):
    """How the served model answers golden rows, from which it has learned, beside the judged one; decides nothing."""

    rows: int
    mean_difference: float
    """Of the outputs, absolute."""
    flipped: int
    """Decisions that are other ones, before any capacity."""


class ReleaseRefit(Document):
    """Which model a release serves, with the check behind it. Whatever `evaluate` found is of the judged model."""

    is_refitted: bool
    """Whether the recipe, fitted on all roles, is served; else the judged model is."""
    rows: int
    """That the served model learned from, before any thinning out."""
    until: str
    """The newest of them by time of prediction."""
    shifts: tuple[OutputShift, ...]
    """On the later half of the test rows with the earlier one learned, then the other way round; empty unchecked."""
    golden: GoldenShift | None
    """None where the judged model is served."""
    reason: str

    @property
    def is_kept_back(self) -> bool:
        """Whether the contract wanted newer rows, and the check did not allow it."""
        return bool(self.shifts) and not self.is_refitted


class ModelDetails(Document):
    """What `ensemble` found on its way to the model."""

    metric: str
    train_rows: int
    parameters: dict[str, dict[str, Any]]
    """Of each member, by family."""
    trials: str = ""
    """Fingerprint of the search that found them."""
    comparison: tuple[KindRecord, ...]
    reason: str
    """Why this kind, in words."""
    cross_validated: CrossValidated
    calibration: dict[str, Any]
    """The task's record of the calibration: `method` and `reason` at least."""
    policy: dict[str, Any]
    """The task's record of how the policy was chosen."""
    refit: RefitRecord | None = None
    """None for a model of an older platform, which learned from train rows alone."""

    @model_validator(mode="before")
    @classmethod
    def _drop_seconds(cls, described: dict[str, Any]) -> dict[str, Any]:
        """Read the details of an older platform, which measured its time: the same model had another file each time."""
        return {name: value for name, value in described.items() if name != "seconds"}


class TestRecord(Document):
    """The opened test rows."""

    __test__ = False  # no test of pytest's

    fingerprint: str
    """SHA-256 over the sorted hashes of the rows."""
    rows: int
    days: int
    start: str
    end: str
    outcome: Outcome
    earlier_openings: int
    """How many other models had been judged on these rows."""


class BootstrapRecord(Document):
    """How intervals were made."""

    resamples: int
    unit: str
    """What was drawn: `day` or `run`."""
    confidence: float


class ContenderRecord(Document):
    """One contender on the test rows."""

    label: str
    policy: dict[str, Any]
    scores: dict[str, Interval]
    """By metric."""
    value_per_1000: Interval
    value_total: float
    actions: int
    """Rows with an action, under the capacity."""
    over_capacity: int
    """Rows that wanted an action and got none for lack of capacity."""
    details: dict[str, Any]
    """The task's counts and curves."""


class ComparisonRecord(Document):
    """How much better the challenger is than another contender: positive is better, whatever the metric."""

    primary: Gain
    value_per_1000: Gain


class ChampionRecord(Document):
    """The champion that the challenger met."""

    version: str
    comparable: bool
    reason: str


class Generalisation(Document):
    """The fall from cross-validation to test."""

    cross_validated: Number
    test: Interval
    gap: Interval
    limit: float


class SliceRecord(Document):
    """One group of a slice beside the reference."""

    column: str
    group: str
    rows: int
    outcome: Outcome
    limit: float
    gated: bool
    """Whether the group has enough rows to be compared."""
    verdict: Literal["pass", "fail"]
    reference_name: str
    score: Interval | None = None
    reference: Interval | None = None
    loss: Interval | None = None
    """How much worse than the reference."""


class FairnessGroup(Document):
    """One group of a fairness limit."""

    group: str
    rows: int
    qualified: int
    """Rows that count: those that an action would be right for."""
    rate: Number
    """Share of the qualified rows that got the action."""


class FairnessRecord(Document):
    """The groups of one column that must be treated alike."""

    column: str
    groups: tuple[FairnessGroup, ...]
    gap: Interval
    limit: float
    verdict: Literal["pass", "fail", "not judged"]


class SpotHalf(Document):
    """A weak spot on one half of the days."""

    rows: int
    mean_outcome: float | None
    mean_output: float | None
    """Mean of the first column of the output."""
    advantage: float | None
    """Mean loss of a constant forecast minus that of the model."""


class WeakSpot(Document):
    """A group of rows where the model knows little."""

    conditions: tuple[str, ...]
    found: SpotHalf
    confirmed: SpotHalf
    p_value: float
    adjusted_p_value: float
    is_confirmed: bool
    loss_rise: float | None = None
    """Mean loss on the confirming half minus that of the reference there; None without rows or a reference."""


class WorstCase(Document):
    """One row that the model got badly wrong."""

    kind: str
    """What kind of error, as the task calls it."""
    output: tuple[float, ...]
    outcome: float
    key: dict[str, Any]
    features: dict[str, Any]


class Importance(Document):
    """What a feature is worth to the model: fall of the primary metric when its column is shuffled."""

    feature: str
    origin: str
    mean: Number
    std: Number


class Evaluation(Document):
    """What `evaluate` found on the test rows."""

    problem: str
    metric: str
    higher_is_better: bool
    currency: str
    opened: TestRecord
    bootstrap: BootstrapRecord
    contenders: dict[Contender, ContenderRecord]
    value_by_day: dict[Contender, dict[str, float]]
    """What each contender's decisions earned, by day of UTC; the dummy is left out."""
    verdict: Verdict
    reasons: tuple[str, ...]
    gates: tuple[Gate, ...]
    comparisons: dict[Contender, ComparisonRecord]
    champion: ChampionRecord | None
    generalisation: Generalisation
    slices: tuple[SliceRecord, ...]
    fairness: tuple[FairnessRecord, ...]
    policy_curve: tuple[dict[str, Any], ...]
    """What other policies would have done on test, as the task describes it; shown, decides nothing."""
    weak_spots: tuple[WeakSpot, ...]
    worst_cases: tuple[WorstCase, ...]
    importance: tuple[Importance, ...]
    seconds: float
