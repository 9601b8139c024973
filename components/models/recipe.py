"""The recipe of a model: how it is made of rows, all but its calibration and its policy.

In: families with their parameters, and how they are combined; or a finished model, which is read for them. Out: a
fitted estimator of whichever rows are given. Called by `ensemble`, and by `refit` for a model that was judged.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from components.base.dataset import Feature
from components.base.errors import ModelRefusedError
from components.base.statistics.folds import sample_tables
from components.base.task import Kind, Task
from components.models.artifact import Model
from components.models.parallel import run_all
from components.models.pipelines import fill_empty_numbers

# With more rows the members of an ensemble are fitted one after the other: the step stays below 3 GB.
_ROWS_SIDE_BY_SIDE = 200_000


@dataclass(frozen=True)
class Recipe:
    """Fits and combines the members of a model."""

    task: Task
    features: tuple[Feature, ...]
    """Model inputs in the order of the columns."""
    target: str
    kind: Kind
    pipelines: dict[str, Any]
    """Of each member, by family; unfitted."""
    stacker: Any
    """Fitted; None unless the kind is stacking."""

    @property
    def columns(self) -> list[str]:
        """Names of the inputs, then the target: what it reads of a table."""
        return [*(feature.name for feature in self.features), self.target]

    def fit(self, *tables: pd.DataFrame) -> Any:
        """Fit the members on tables of rows that follow each other, thinned out, and combine them."""
        sampled = sample_tables(tables, self.task.problem.search.fit_rows)
        rows, outcomes = sampled[self.columns[:-1]], sampled[self.target]
        del sampled
        fits = [partial(fit_member, pipeline, rows, outcomes) for pipeline in self.pipelines.values()]
        # An encoded copy of many rows is as large as all else: one at a time.
        fitted = run_all(fits) if len(rows) <= _ROWS_SIDE_BY_SIDE else [run_all([one])[0] for one in fits]
        members = dict(zip(self.pipelines, fitted, strict=True))
        return self.task.combine(self.kind, members, self.stacker, rows, outcomes)


def read_recipe(model: Model) -> Recipe:
    """Read the recipe of a finished model: fitted on the same rows again it gives the same estimator.

    Raises:
        ModelRefusedError: the model does not say with which parameters it was fitted.
    """
    described, task = model.description, model.task
    if described.details is None:
        raise ModelRefusedError(
            f"refit {task.problem.name}: the parameters of the model must be in its model.json, but are not: an older "
            "platform wrote it. Train again."
        )
    pipelines = {
        family: task.build_candidate(family, model.features, parameters)
        for family, parameters in described.details.parameters.items()
    }
    stacker = task.find_stacker(model.estimator) if described.kind == "stacking" else None
    return Recipe(task, model.features, described.target, described.kind, pipelines, stacker)


def fit_member(pipeline: Any, rows: pd.DataFrame, outcomes: "pd.Series[Any]") -> Any:
    """Fit a copy of a pipeline; a number column without any value takes no part."""
    from sklearn.base import clone

    return clone(pipeline).fit(fill_empty_numbers(rows), outcomes)
