"""The current solution of a regression as an estimator: quantiles of the past of the row's group.

In: rows with the columns of the groups. Out: a scikit-learn regressor, fitted and scored like any candidate, and what
of it is written as JSON. Called through `RegressionTask`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from components.models.groups import name_groups

Array = NDArray[np.float64]


class GroupQuantiles(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Predict the past median of the row's group, with quantiles as its interval; those of all for small groups."""

    def __init__(self, group_by: list[str], minimum_rows: int, coverage: float) -> None:
        """Name the columns that make a group, none for one group, its fewest rows, and the interval's coverage."""
        self.group_by = group_by
        self.minimum_rows = minimum_rows
        self.coverage = coverage

    def fit(self, X: pd.DataFrame, y: ArrayLike) -> "GroupQuantiles":
        """Take the quantiles of each group."""
        outcomes, rest = pd.Series(np.asarray(y, dtype=np.float64)), (1 - self.coverage) / 2
        levels = [0.5, rest, 1 - rest]
        self.overall_ = outcomes.quantile(levels).tolist()
        self.quantiles_: dict[str, list[float]] = {}
        if self.group_by:
            groups = outcomes.groupby(name_groups(X, self.group_by).to_numpy())
            kept = {name: group for name, group in groups if len(group) >= self.minimum_rows}
            self.quantiles_ = {str(name): group.quantile(levels).tolist() for name, group in kept.items()}
        return self

    def predict(self, X: pd.DataFrame) -> Array:
        """Return the median of each row's group, shape (n,)."""
        return self.predict_interval(X)[:, 0]

    def predict_interval(self, X: pd.DataFrame) -> Array:
        """Return median, low and high end of each row's group, shape (n, 3)."""
        names = name_groups(X, self.group_by) if self.group_by else pd.Series([""] * len(X))
        return np.array([self.quantiles_.get(name, self.overall_) for name in names], dtype=np.float64).reshape(-1, 3)


def describe_rule(rule: GroupQuantiles) -> dict[str, Any]:
    """Return a fitted rule as JSON can hold it."""
    return {
        "group_by": rule.group_by,
        "minimum_rows": rule.minimum_rows,
        "coverage": rule.coverage,
        "overall": rule.overall_,
        "quantiles": rule.quantiles_,
    }


def restore_rule(described: Mapping[str, Any]) -> GroupQuantiles:
    """Rebuild the rule that `describe_rule` described; it predicts the same for any row."""
    rule = GroupQuantiles(described["group_by"], described["minimum_rows"], described["coverage"])
    rule.overall_, rule.quantiles_ = described["overall"], described["quantiles"]
    return rule
