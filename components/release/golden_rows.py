"""Choose golden rows and compare an endpoint's answers for them with the expected ones.

`register` chooses the rows and stores them with the model; `deploy` sends them. The expected answer is the output of
the scikit-learn pipeline over the online features of the same time, to `TOLERANCE`, and the policy's decision of it.

Training saw the features of these rows at an earlier time. The difference is reported (`measure_skew`) and is no reason
to refuse: a rate changes with time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from components.base.contract.problem import Problem
from components.base.dataset import Feature, Prepared
from components.base.task import Output
from components.release.record import FeatureDifference
from components.serving.client import Answers

# The compiled model adds in another order than scikit-learn: a few units in the last place of a double.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Expected:
    """The expected answers, row by row."""

    output: Output
    """Shape (n, k)."""
    decisions: tuple[Any, ...]


def choose_golden_rows(problem: Problem, prepared: Prepared) -> pd.DataFrame:
    """Take rows of the test period at even distances in time: request columns and features, no outcome."""
    columns = list(dict.fromkeys([*problem.examples.request, *prepared.feature_names]))
    return spread_rows(prepared.read("test"), problem.serving.golden_rows)[columns]


def spread_rows(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """Take at most `count` rows at even distances, the first and the last among them."""
    positions = np.linspace(0, len(table) - 1, min(count, len(table))).round().astype(int)
    return table.iloc[positions].reset_index(drop=True)


def greatest_difference(answers: Answers, expected: Expected) -> float:
    """Return the greatest absolute difference of two outputs; 1 for missing answers."""
    if answers.output.shape != expected.output.shape:
        return 1.0
    return float(np.abs(answers.output - expected.output).max(initial=0.0))


def count_different_decisions(answers: Answers, expected: Expected) -> int:
    """Count the rows whose decision differs; missing answers differ."""
    same = sum(bool(got == wanted) for got, wanted in zip(answers.decisions, expected.decisions, strict=False))
    return max(len(answers.decisions), len(expected.decisions)) - same


def measure_skew(
    features: Sequence[Feature], trained: pd.DataFrame, served: pd.DataFrame
) -> tuple[FeatureDifference, ...]:
    """Compare the features served now with those that training saw for the same rows.

    Args:
        features: The model's inputs.
        trained: n rows of the features at the time of each row's prediction.
        served: The same n rows with the online features of now.

    Returns:
        One entry a feature: rows that differ, and the mean absolute difference where both are numbers.
    """
    skew = []
    for feature in features:
        before, now = trained[feature.name], served[feature.name]
        both_missing = before.isna().to_numpy() & now.isna().to_numpy()
        mean: float | None = None
        if feature.kind == "numeric":
            old, new = before.to_numpy(dtype=float), now.to_numpy(dtype=float)
            is_same = np.isclose(old, new, rtol=0, atol=TOLERANCE)
            difference = np.abs(old - new)
            mean = float(np.nanmean(difference)) if np.isfinite(difference).any() else None
        else:
            is_same = (before.to_numpy() == now.to_numpy()).astype(bool)
        different = int((~(is_same | both_missing)).sum())
        skew.append(
            FeatureDifference(
                feature=feature.name, rows=len(before), different_rows=different, mean_absolute_difference=mean
            )
        )
    return tuple(skew)
