"""Choose golden rows and compare an endpoint's answers for them with the expected ones.

`register` chooses the rows and stores them with the model; `deploy` sends them. The expected answer is the output of
the scikit-learn pipeline over the online features of the same time, to `TOLERANCE`, and the policy's decision of it.

Training saw the features of these rows at an earlier time, so they are not compared with those: `served_features`
compares the newest requests.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from components.base.contract.problem import Problem
from components.base.dataset import Prepared, spread_rows
from components.base.task import Output, find_other_decisions
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


def greatest_difference(answers: Answers, expected: Expected) -> float:
    """Return the greatest absolute difference of two outputs; 1 for missing answers."""
    if answers.output.shape != expected.output.shape:
        return 1.0
    return float(np.abs(answers.output - expected.output).max(initial=0.0))


def count_different_decisions(answers: Answers, expected: Expected) -> int:
    """Count the rows whose decision differs; missing answers differ."""
    rows = min(len(answers.decisions), len(expected.decisions))
    got, wanted = np.array(answers.decisions[:rows]), np.array(expected.decisions[:rows])
    missing = max(len(answers.decisions), len(expected.decisions)) - rows
    return missing + int(find_other_decisions(got, wanted).sum())
