"""The training rows as every finding sees them: outcomes, days, and each feature in the bins of the profile.

In: a prepared folder, of which only the role `train` is opened. Out: `TrainingRows`. Called by explore.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.contract.problem import Problem
from components.base.dataset import Feature, Prepared
from components.base.statistics.counts import CategoryCounts, NumericCounts, measure_psi
from components.base.text.wording import say_plainly
from components.features.explore.association import Array, Codes, count_outcomes, held_out_auc, information_ratio
from components.features.explore.profile import Profile, build_profile

# The standard error of a rank correlation or of a share of 20,000 rows is below 0.008: nobody would see more rows.
SAMPLE_ROWS = 20_000


@dataclass(frozen=True)
class Measured:
    """What one feature tells about the outcome, alone."""

    feature: Feature
    codes: Codes
    """Bin of each row, shape (n,); the last bin holds missing values."""
    labels: list[str]
    """Name of each bin."""
    missing_ratio: float
    information_ratio: float
    """Mutual information with the outcome as a share of the outcome's entropy."""
    auc: float
    """ROC AUC of the feature alone, learnt on other days than it is scored on."""
    shift: float
    """Population stability index of the last third of the rows against the first."""

    @property
    def missing_code(self) -> int:
        """The bin of missing values."""
        return len(self.labels) - 1


@dataclass(frozen=True)
class TrainingRows:
    """The rows of the role `train`, and what they are called."""

    problem: Problem
    rows: pd.DataFrame
    y: Array
    """Outcome of each row, 0 or 1, shape (n,)."""
    days: Codes
    """Day of each row, counted from the first, shape (n,)."""
    profile: Profile
    features: tuple[Feature, ...]

    @property
    def noun(self) -> str:
        """What a row is, in the plural: the name of the source of examples."""
        return say_plainly(self.problem.examples.source)

    @property
    def outcome(self) -> str:
        """The outcome as an adjective: the name of the target."""
        return say_plainly(self.problem.target.name)

    @property
    def base_rate(self) -> float:
        """The share of rows with the outcome."""
        return float(self.y.mean())

    @property
    def times(self) -> pd.Series:
        """The moment of each prediction."""
        times: pd.Series = self.rows[self.problem.examples.predicted_at]
        return times

    @cached_property
    def sample(self) -> pd.DataFrame:
        """Rows drawn without replacement, always the same, for what need not see every row."""
        return self.rows.sample(min(SAMPLE_ROWS, len(self.rows)), random_state=self.problem.search.seed)

    @cached_property
    def measured(self) -> dict[str, Measured]:
        """Every feature by name, the most informative first."""
        found = [_measure(self, feature) for feature in self.features]
        return {one.feature.name: one for one in sorted(found, key=lambda m: -m.information_ratio)}


def read_training_rows(problem: Problem, prepared: Prepared) -> TrainingRows:
    """Read the training rows and count their profile."""
    rows = prepared.read("train")
    moments = rows[problem.examples.predicted_at]
    days = (moments.dt.floor("D") - moments.min().floor("D")).dt.days.to_numpy(dtype=np.intp)
    profile = build_profile(rows, prepared.features, prepared.target)
    outcomes = rows[prepared.target].to_numpy(dtype=np.float64)
    return TrainingRows(problem, rows, outcomes, days, profile, prepared.features)


def _measure(training: TrainingRows, feature: Feature) -> Measured:
    bins = training.profile.columns[feature.name]
    codes = bins.code(training.rows[feature.name])
    size = len(bins.vector())
    table = count_outcomes(codes, training.y, size)
    return Measured(
        feature=feature,
        codes=codes,
        labels=_name_bins(bins),
        missing_ratio=float(table[-1].sum() / table.sum()),
        information_ratio=information_ratio(table),
        auc=held_out_auc(codes, training.y, training.days, size),
        shift=_shift_within(training, bins, training.rows[feature.name]),
    )


def _shift_within(training: TrainingRows, bins: NumericCounts | CategoryCounts, values: pd.Series) -> float:
    third = (int(training.days.max()) + 1) / 3
    early, late = training.days < third, training.days >= 2 * third
    if not early.any() or not late.any():
        return 0.0
    return measure_psi(bins.count(_take(values, early)), bins.count(_take(values, late)))


def _take(values: pd.Series, rows: NDArray[np.bool_]) -> pd.Series:
    return values[rows]


def _name_bins(bins: NumericCounts | CategoryCounts) -> list[str]:
    if isinstance(bins, CategoryCounts):
        return [*bins.counts, "other", "unseen", "missing"]
    return [*(f"bin {number}" for number in range(len(bins.edges) + 1)), "missing"]
