"""What the model leans on and where it is most wrong: permutation importance by original column, and its worst cases.

In: the model and the opened test rows. Out: JSON documents for the report and for the ranking of drift. Called by
`evaluate`.
"""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.contract.problem import Problem
from components.base.statistics.folds import sample_evenly
from components.base.statistics.scores import gain, score
from components.models.artifact import Model
from components.models.parallel import run_all
from components.models.scorecard import OpenedTest

Document = dict[str, Any]
Array = NDArray[np.float64]

# Rows shuffled: an average precision of 2,000 is steady to about 0.01, and every feature costs predicting them.
_ROWS = 2000
_REPEATS = 3
# Cases shown of each kind: a table that is read to its end.
_CASES = 10


def permute_features(opened: OpenedTest, model: Model) -> list[Document]:
    """Return the fall of the primary metric when one column is shuffled, the greatest first.

    Source: Breiman (2001), Random Forests, Machine Learning 45(1), section 10; Fisher, Rudin, Dominici (2019), JMLR 20.
    """
    places = sample_evenly(np.arange(len(opened.rows)), _ROWS)
    rows, outcomes = opened.rows.iloc[places][model.feature_names], opened.outcomes[places]
    problem = opened.problem
    whole = score(problem.metrics.primary, outcomes, model.predict(rows), model.threshold)
    tasks = [partial(_shuffle, problem, model, rows, outcomes, name) for name in model.feature_names]
    measured = [
        {
            "feature": feature.name,
            "origin": feature.origin,
            "mean": float(np.mean([gain(problem.metrics.primary, whole, value) for value in values])),
            "std": float(np.std(values, ddof=1)),
        }
        for feature, values in zip(model.features, run_all(tasks), strict=True)
    ]
    return sorted(measured, key=lambda entry: -float(entry["mean"]))


def list_worst_cases(opened: OpenedTest, probabilities: Array, features: list[str]) -> list[Document]:
    """Return the most confident errors of both kinds, with what the model saw."""
    kinds = (("false_alarm", 0, np.argsort(-probabilities, kind="stable")), ("missed", 1, np.argsort(probabilities)))
    return [
        {
            "kind": kind,
            "probability": float(probabilities[place]),
            "outcome": outcome,
            "key": _describe_row(opened.rows.iloc[place], list(opened.problem.examples.key)),
            "features": _describe_row(opened.rows.iloc[place], features),
        }
        for kind, outcome, order in kinds
        for place in order[opened.outcomes[order] == outcome][:_CASES]
    ]


def _shuffle(problem: Problem, model: Model, rows: pd.DataFrame, outcomes: Array, name: str) -> list[float]:
    generator = np.random.default_rng([problem.search.seed, model.feature_names.index(name)])
    orders = [generator.permutation(len(rows)) for _ in range(_REPEATS)]
    # All repeats in one prediction: a pipeline costs some milliseconds a call, whatever the rows.
    repeated = pd.concat([rows] * _REPEATS, ignore_index=True)
    repeated[name] = rows[name].take(np.concatenate(orders)).to_numpy()
    predicted = model.predict(repeated).reshape(_REPEATS, len(rows))
    return [score(problem.metrics.primary, outcomes, one, model.threshold) for one in predicted]


def _describe_row(row: pd.Series, names: list[str]) -> Document:
    return {name: _plain(row[name]) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if value is None or value is pd.NaT:
        return None
    return value.item() if isinstance(value, np.generic) else value
