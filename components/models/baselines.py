"""The two baselines of every leaderboard: the current solution of the contract, and a predictor that knows nothing.

In: rows with their request and feature columns. Out: scikit-learn classifiers, used by select and evaluate like any
candidate. They are scored beside the candidates and never served; the current solution is saved as JSON, for the
monitor to tell what it would have decided on later rows.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from components.base.contract.problem import Problem
from components.base.dataset import Prepared
from components.base.errors import ModelRefusedError
from components.models.calibrate import find_threshold

DUMB = "prior"
# The group of rows whose column is missing, however the table says so.
_MISSING = "(missing)"


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
        parts = [_name_values(X[column]) for column in self.group_by]
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

    def predict(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Return the probability of outcome 1 for each row, shape (n,)."""
        probabilities: NDArray[np.float64] = self.estimator.predict_proba(rows)[:, 1]
        return probabilities


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


def save_current_solution(baseline: Baseline, path: Path | str) -> None:
    """Write a fitted current solution as JSON: what `load_current_solution` returns forecasts the same of any row."""
    rule: GroupRate = baseline.estimator
    described = {
        "label": baseline.label,
        "threshold": float(baseline.threshold),
        "group_by": rule.group_by,
        "minimum_rows": rule.minimum_rows,
        "overall_rate": rule.overall_,
        "rates": {name: float(rate) for name, rate in rule.rates_.items()},
    }
    Path(path).write_text(json.dumps(described, indent=1), encoding="utf-8")


def load_current_solution(path: Path | str) -> Baseline:
    """Read a current solution that `save_current_solution` wrote.

    Raises:
        ModelRefusedError: the file is missing or damaged.
    """
    try:
        described = json.loads(Path(path).read_text(encoding="utf-8"))
        rule = GroupRate(described["group_by"], described["minimum_rows"])
        rule.classes_ = np.array([0, 1])
        rule.overall_, rule.rates_ = described["overall_rate"], described["rates"]
        return Baseline(described["label"], rule, described["threshold"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelRefusedError(
            f"current solution {path}: the file must be readable, but got {error!r}. "
            "Train the model again, or fetch it from the registry again."
        ) from error


def _name_values(values: pd.Series) -> pd.Series:
    """Name the values of one column; a number is named the same whatever its type."""
    is_number = pd.api.types.is_numeric_dtype(values)
    named = values.astype("float64") // 1 if is_number else values
    return named.astype(str).where(values.notna(), _MISSING)
