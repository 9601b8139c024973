"""The training rows as every finding sees them: outcomes, days, and each feature in the bins of the profile.

In: a prepared folder, of which only the role `train` is opened. Out: `TrainingRows`. Called by explore.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.contract.problem import Problem
from components.base.dataset import Feature, Prepared
from components.base.statistics.counts import CategoryCounts, measure_psi
from components.base.statistics.resampling import Array
from components.base.statistics.shifts import accept_shifts, choose_window_days, count_by_day, measure_windows
from components.base.task import Task
from components.features.explore.profile import Profile, build_profile

Codes = NDArray[np.intp]

# The standard error of a rank correlation or of a share of 20,000 rows is below 0.008: nobody would see more rows.
SAMPLE_ROWS = 20_000


class Association(NamedTuple):
    """How strongly one feature goes with the outcome, alone."""

    strength: float
    """Share of the uncertainty about the outcome that the feature removes, in [0, 1]."""
    solo_score: float
    """Score of the feature alone, learnt on other days than it is scored on, in the unit of the task's finding."""


class Exploration(Protocol):
    """What a task adds to the exploration."""

    SOLO_SCORE: str
    """What `Association.solo_score` is called in the report."""
    SOLO_SCORE_MEANING: str
    """One sentence on how to read it."""
    FINDERS: Sequence[Callable[["TrainingRows"], list[Any]]]
    """Findings about the outcome; each returns `Statement`s."""

    @staticmethod
    def measure_association(codes: Codes, y: Array, days: Codes, bins: int) -> Association:
        """Measure how strongly the bins of a feature, (n,), go with the outcomes, (n,), of rows on some days, (n,)."""


@dataclass(frozen=True)
class Measured:
    """What one feature tells about the outcome, alone."""

    feature: Feature
    codes: Codes
    """Bin of each row, shape (n,); the last bin holds missing values."""
    labels: list[str]
    """Name of each bin."""
    missing_ratio: float
    association: Association
    psi: float
    """Population stability index of the last third of the rows against the first."""

    @property
    def missing_code(self) -> int:
        """The bin of missing values."""
        return len(self.labels) - 1


@dataclass(frozen=True)
class TrainingRows:
    """The rows of the role `train`, and what they are called."""

    task: Task
    rows: pd.DataFrame
    y: Array
    """Outcome of each row, shape (n,)."""
    days: Codes
    """Day of each row, counted from the first, shape (n,)."""
    profile: Profile
    features: tuple[Feature, ...]

    @property
    def problem(self) -> Problem:
        """The contract."""
        return self.task.problem

    @property
    def times(self) -> pd.Series:
        """The time of each prediction."""
        times: pd.Series = self.rows["predicted_at"]
        return times

    @cached_property
    def shift_days(self) -> int:
        """Days of the windows whose shifts are accepted: those of monitoring, or half of the training days if fewer."""
        return choose_window_days(self.problem.monitoring.window_days, int(self.days.max()) + 1)

    @cached_property
    def window_psi(self) -> Array:
        """PSI of each window of `shift_days` against the other rows, shape (windows, features); see `shifts.py`."""
        rows = self.problem.monitoring.minimum_rows
        by_day = (count_by_day(one.codes, self.days, len(one.labels)) for one in self.measured.values())
        return np.column_stack([measure_windows(counts, self.shift_days, rows) for counts in by_day])

    @cached_property
    def shifts(self) -> dict[str, float]:
        """PSI that no feature exceeded in 95 % of these windows, by feature; empty when none has enough rows."""
        if not np.isfinite(self.window_psi).any():
            return {}
        accepted = accept_shifts(self.window_psi, self.problem.monitoring.drift.maximum_psi)
        return dict(zip(self.measured, accepted.tolist(), strict=True))

    @cached_property
    def sample(self) -> pd.DataFrame:
        """Rows drawn without replacement, always the same, for what need not see every row."""
        return self.rows.sample(min(SAMPLE_ROWS, len(self.rows)), random_state=self.problem.search.seed)

    @cached_property
    def measured(self) -> dict[str, Measured]:
        """Every feature by name, the most informative first."""
        found = [_measure(self, feature) for feature in self.features]
        return {one.feature.name: one for one in sorted(found, key=lambda m: -m.association.strength)}


def read_training_rows(task: Task, prepared: Prepared) -> TrainingRows:
    """Read the training rows and count their profile."""
    rows = prepared.read("train")
    times = rows["predicted_at"]
    days = (times.dt.floor("D") - times.min().floor("D")).dt.days.to_numpy(dtype=np.intp)
    profile = build_profile(rows, prepared.features, prepared.target)
    outcomes = rows[prepared.target].to_numpy(dtype=np.float64)
    return TrainingRows(task, rows, outcomes, days, profile, prepared.features)


def _measure(training: TrainingRows, feature: Feature) -> Measured:
    bins, values = training.profile.columns[feature.name], training.rows[feature.name]
    codes = bins.code(values)
    size = len(bins.vector())
    if isinstance(bins, CategoryCounts):
        labels = [*bins.counts, "other", "unseen", "missing"]
    else:
        labels = [*(f"bin {number}" for number in range(len(bins.edges) + 1)), "missing"]
    third = (int(training.days.max()) + 1) / 3
    early, late = training.days < third, training.days >= 2 * third
    has_both = early.any() and late.any()
    return Measured(
        feature=feature,
        codes=codes,
        labels=labels,
        missing_ratio=float((codes == size - 1).mean()),
        association=training.task.exploration.measure_association(codes, training.y, training.days, size),
        psi=measure_psi(bins.count(values[early]), bins.count(values[late])) if has_both else 0.0,
    )
