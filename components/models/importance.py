"""What the model leans on and where it is most wrong: permutation importance by original column, and its worst cases.

In: the model and the opened test rows. Out: documents for the report and for the ranking of drift. Called by
`evaluate`.
"""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.statistics.folds import sample_evenly
from components.base.task import Output
from components.models.artifact import Model
from components.models.documents import Importance, WorstCase
from components.models.parallel import run_all
from components.models.scorecard import OpenedTest

Array = NDArray[np.float64]

# Rows shuffled: an average precision of 2,000 is steady to about 0.01, and every feature costs predicting them.
_ROWS = 2000
_REPEATS = 3
# Cases shown of each kind: a table that is read to its end.
_CASES = 10


def permute_features(opened: OpenedTest, model: Model) -> tuple[Importance, ...]:
    """Return the fall of the primary metric when one column is shuffled, the greatest first.

    Source: Breiman (2001), Random Forests, Machine Learning 45(1), section 10; Fisher, Rudin, Dominici (2019), JMLR 20.
    """
    places = sample_evenly(np.arange(len(opened.rows)), _ROWS)
    rows, outcomes = opened.rows.iloc[places][model.feature_names], opened.outcomes[places]
    whole = _score(model, outcomes, model.predict(rows))
    shuffled = run_all([partial(_score_shuffled, model, rows, outcomes, name) for name in model.feature_names])
    metric = model.task.primary
    measured = [
        Importance(
            feature=feature.name,
            origin=feature.origin,
            mean=float(np.mean([metric.gain(whole, value) for value in values])),
            std=float(np.std(values, ddof=1)),
        )
        for feature, values in zip(model.features, shuffled, strict=True)
    ]
    return tuple(sorted(measured, key=lambda entry: -entry.mean))


def list_worst_cases(opened: OpenedTest, output: Output, features: list[str]) -> tuple[WorstCase, ...]:
    """Return the most confident errors of each kind, with what the model saw."""
    return tuple(
        WorstCase(
            kind=kind,
            output=tuple(output[place].tolist()),
            outcome=float(opened.outcomes[place]),
            key=_describe_row(opened.rows.iloc[place], list(opened.task.problem.examples.key)),
            features=_describe_row(opened.rows.iloc[place], features),
        )
        for kind, places in opened.task.rank_errors(opened.outcomes, output).items()
        for place in places[:_CASES]
    )


def _score(model: Model, outcomes: Array, output: Output) -> float:
    return model.task.primary.score(outcomes, output, model.policy.apply(output))


def _score_shuffled(model: Model, rows: pd.DataFrame, outcomes: Array, name: str) -> list[float]:
    generator = np.random.default_rng([model.task.problem.search.seed, model.feature_names.index(name)])
    orders = [generator.permutation(len(rows)) for _ in range(_REPEATS)]
    # All repeats in one prediction: a pipeline costs some milliseconds a call, whatever the rows.
    repeated = pd.concat([rows] * _REPEATS, ignore_index=True)
    repeated[name] = rows[name].take(np.concatenate(orders)).to_numpy()
    return [_score(model, outcomes, one) for one in np.split(model.predict(repeated), _REPEATS)]


def _describe_row(row: pd.Series, names: list[str]) -> dict[str, Any]:
    """Return the values of these columns as JSON can hold them."""
    described: dict[str, Any] = {}
    for name in names:
        value = row[name]
        if isinstance(value, pd.Timestamp):
            value = value.isoformat()
        elif value is pd.NaT:
            value = None
        described[name] = value.item() if isinstance(value, np.generic) else value
    return described
