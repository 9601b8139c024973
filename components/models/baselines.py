"""The two baselines of every leaderboard: the current solution of the contract, and a predictor that knows nothing.

In: rows with their request and feature columns. Out: scikit-learn classifiers, used by select and evaluate like any
candidate. They are scored beside the candidates, never saved or served.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from components.base.contract import Problem
from components.base.prepared import Prepared
from components.models.calibrate import find_threshold

DUMB = "prior"


class GroupRate(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Forecast the past share of positive rows of the row's group; the overall share where the group is too small."""

    def __init__(self, group_by: list[str], minimum_rows: int) -> None:
        """Name the columns that make a group and the fewest rows that a group must have had."""
        self.group_by = group_by
        self.minimum_rows = minimum_rows

    def fit(self, X: pd.DataFrame, y: ArrayLike) -> "GroupRate":
        """Count the share of positive rows of each group."""
        outcomes = np.asarray(y, dtype=np.float64)
        self.classes_ = np.array([0, 1])
        self.overall_ = float(outcomes.mean())
        groups = pd.Series(outcomes).groupby(self._name_groups(X).to_numpy()).agg(["mean", "size"])
        self.rates_ = groups.loc[groups["size"] >= self.minimum_rows, "mean"].to_dict()
        return self

    def predict_proba(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Return the probabilities of outcome 0 and 1, shape (n, 2)."""
        rates = self._name_groups(X).map(self.rates_).fillna(self.overall_).to_numpy(dtype=np.float64)
        return np.column_stack([1 - rates, rates])

    def _name_groups(self, X: pd.DataFrame) -> pd.Series:
        """Join the columns into one name a row; a number counts by its whole part, as people say `at 17 o'clock`."""
        parts = [
            (np.floor(X[column]) if pd.api.types.is_numeric_dtype(X[column]) else X[column]).astype(str)
            for column in self.group_by
        ]
        names = parts[0]
        for part in parts[1:]:
            names = names + "|" + part
        return names


def build_baselines(problem: Problem) -> dict[str, Any]:
    """Return the unfitted baselines by name: the current solution first, then the dumb predictor."""
    from sklearn.dummy import DummyClassifier

    rule = problem.baseline
    return {
        rule.name: GroupRate(list(rule.group_by), rule.minimum_rows),
        DUMB: DummyClassifier(strategy="prior"),
    }


@dataclass(frozen=True)
class Baseline:
    """A baseline fitted on train rows, with the threshold that earns most on validation rows."""

    label: str
    estimator: Any
    threshold: float


def fit_baselines(problem: Problem, prepared: Prepared) -> dict[str, Baseline]:
    """Fit the baselines on the rows that the challenger had, and give each the threshold that suits it best."""
    train, validation = prepared.read("train"), prepared.read("validation")
    columns = list(problem.baseline.group_by)
    fitted = {}
    for label, estimator in build_baselines(problem).items():
        estimator.fit(train[columns], train[prepared.target])
        found = find_threshold(problem, estimator, columns, validation)
        role = "dumb" if label == DUMB else "current_solution"
        fitted[role] = Baseline(label, estimator, found["chosen"]["threshold"])
    return fitted
