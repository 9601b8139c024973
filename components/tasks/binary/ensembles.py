"""Combine fitted classifiers as one: their mean, or a logistic regression over their probabilities.

Notation
    m    members
    P    probabilities of the members    (n, m)

Called through `BinaryTask` by `combine` and `ensemble`.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.task import Kind

Array = NDArray[np.float64]

# Shown to a wrapper whose parts are all fitted: it only has to see both classes.
_WRAPPER_ROWS = 500


def fit_stacker(probabilities: Array, y: Array) -> Any:
    """Fit the logistic regression that weighs the members' probabilities.

    Source: Wolpert (1992), Stacked generalization, Neural Networks 5(2).
    """
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(probabilities, y.astype(int))


def find_stacker(stacking: Any) -> Any:
    """Return the logistic regression that `combine_members` froze into a stacking."""
    return stacking.final_estimator.estimator


def combine_members(kind: Kind, members: dict[str, Any], stacker: Any, X: pd.DataFrame, y: pd.Series) -> Any:
    """Wrap fitted members as one classifier without fitting any of them again.

    Stacking is fitted on out-of-fold predictions, which scikit-learn itself cannot make in time order: the finished
    logistic regression is frozen into a StackingClassifier that takes it and its members as they are.
    """
    from sklearn.ensemble import StackingClassifier, VotingClassifier
    from sklearn.frozen import FrozenEstimator

    if kind == "single":
        return next(iter(members.values()))
    seen = pd.concat([y[y == outcome].head(_WRAPPER_ROWS) for outcome in (0, 1)]).index
    if kind == "voting":
        frozen = [(name, FrozenEstimator(member)) for name, member in members.items()]
        return VotingClassifier(frozen, voting="soft").fit(X.loc[seen], y.loc[seen])
    stacking = StackingClassifier(
        list(members.items()), final_estimator=FrozenEstimator(stacker), cv="prefit", stack_method="predict_proba"
    )
    return stacking.fit(X.loc[seen], y.loc[seen])
