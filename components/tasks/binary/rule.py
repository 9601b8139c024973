"""The current solution of a binary problem as an estimator: the past share of positive rows of the row's group.

In: rows with the columns of the groups. Out: a scikit-learn classifier, fitted and scored like any candidate, and what
of it is written as JSON. Called through `BinaryTask`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from components.models.groups import name_groups


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
        groups = pd.Series(outcomes).groupby(name_groups(X, self.group_by).to_numpy()).agg(["mean", "size"])
        self.rates_ = groups.loc[groups["size"] >= self.minimum_rows, "mean"].to_dict()
        return self

    def predict_proba(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Return the probabilities of outcome 0 and 1, shape (n, 2)."""
        rates = name_groups(X, self.group_by).map(self.rates_).fillna(self.overall_).to_numpy(dtype=np.float64)
        return np.column_stack([1 - rates, rates])


def describe_rule(rule: GroupRate) -> dict[str, Any]:
    """Return a fitted rule as JSON can hold it."""
    return {
        "group_by": rule.group_by,
        "minimum_rows": rule.minimum_rows,
        "overall_rate": rule.overall_,
        "rates": {name: float(rate) for name, rate in rule.rates_.items()},
    }


def restore_rule(described: Mapping[str, Any]) -> GroupRate:
    """Rebuild the rule that `describe_rule` described; it forecasts the same of any row."""
    rule = GroupRate(described["group_by"], described["minimum_rows"])
    rule.classes_ = np.array([0, 1])
    rule.overall_, rule.rates_ = described["overall_rate"], described["rates"]
    return rule
