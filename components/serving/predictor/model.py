"""The served model: request rows in, predictions out, with no server around it.

In: a model folder, the task and the online features. Out: `ServedModel`, which the predictor puts behind HTTP.

A prediction takes the request-time features from the row, looks up the rest by entity, and scores them. A feature that
is unknown is missing to the model and named in the prediction. The model's inputs come with the prediction, for the
log; an answer shows less of it.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pandas as pd

from components.base.contract.problem import Problem
from components.base.errors import ModelRefusedError, raise_faults, suggest_name
from components.base.task import Task
from components.features.request import request_row
from components.models.artifact import Model, load_model
from components.serving.predictor.compiled.pipeline import Row, Scorer, compile_scorer
from components.serving.predictor.requests import RequestSchema

logger = logging.getLogger(__name__)


class LookedUp(Protocol):
    """What the online store knows for one row."""

    @property
    def values(self) -> Mapping[str, Any]:
        """Feature values by name, None where unknown."""

    @property
    def ages(self) -> Mapping[str, float | None]:
        """Seconds since the values of each view were known; None for an unknown entity."""

    @property
    def expired(self) -> Sequence[str]:
        """Views whose values are too old to be used."""

    @property
    def read_at(self) -> float:
        """The time at which ages are counted, seconds since 1970 UTC."""


class OnlineLookup(Protocol):
    """Reads the newest known features of the entities in request rows."""

    @property
    def view_names(self) -> tuple[str, ...]:
        """Names of the views that are read."""

    def read(self, rows: Sequence[Row]) -> Sequence[LookedUp]:
        """Return one answer a row, in order."""


class Prediction(NamedTuple):
    """The answer for one request row."""

    output: list[float]
    """The k values of the model's output."""
    decision: Any
    """Of the model's policy, as JSON can hold it."""
    missing_features: list[str]
    features: Row
    """The model's inputs by name, None or NaN where missing."""
    looked_up: LookedUp


@dataclass(frozen=True)
class ServedModel:
    """A model with its features, ready to predict."""

    model: Model
    schema: RequestSchema
    scorer: Scorer
    lookup: OnlineLookup
    version: str
    entities_only: tuple[str, ...]
    """Request-time features that only name an entity, such as a route."""

    @property
    def task(self) -> Task:
        """The kind of problem, bound to its contract."""
        return self.model.task

    @property
    def problem(self) -> Problem:
        """The contract."""
        return self.task.problem

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the model's inputs, in its order."""
        return tuple(self.model.feature_names)

    def predict(self, rows: Sequence[Row]) -> list[Prediction]:
        """Predict typed request rows, as `RequestSchema` reads them."""
        joined, looked_up = self._join(rows)
        features = self._select(joined)
        output = self.scorer.score(features)
        decisions = self.model.policy.apply(output).tolist()
        return [
            Prediction(
                values,
                decision,
                # NaN is the one value that differs from itself.
                [name for name, value in row.items() if value is None or value != value],  # noqa: PLR0124
                row,
                found,
            )
            for values, decision, row, found in zip(output.tolist(), decisions, features, looked_up, strict=True)
        ]

    def assemble(self, rows: Sequence[Row]) -> list[Row]:
        """Return the feature rows of typed request rows: every model input by name, None or NaN where missing."""
        return self._select(self._join(rows)[0])

    def check(self) -> None:
        """Predict one row of unknown entities: what keeps the model from answering is raised here.

        Raises:
            ModelRefusedError: the model reads features that are not served.
        """
        example = {field.name: field.read(field.example) for field in self.schema.fields}
        ((served,), _) = self._join([example])
        raise_faults(
            ModelRefusedError,
            f"model {self.version}",
            [
                f"feature `{name}` must be served, but it is not.{suggest_name(name, served)} "
                f"Check the request features and the service {self.problem.features.service!r}."
                for name in self.feature_names
                if name not in served
            ],
        )
        self.predict([example])

    def _join(self, rows: Sequence[Row]) -> tuple[list[Row], Sequence[LookedUp]]:
        """Return the request-time features that the model may use and the looked-up features of each row.

        What was looked up comes beside them, unchanged.
        """
        own = [request_row(self.problem, row) for row in rows]
        looked_up = self.lookup.read([{**row, **features} for row, features in zip(rows, own, strict=True)])
        for features in own:
            for name in self.entities_only:
                del features[name]
        return [{**features, **found.values} for features, found in zip(own, looked_up, strict=True)], looked_up

    def _select(self, joined: list[Row]) -> list[Row]:
        """Return the model's inputs of each row."""
        names = self.feature_names
        if len(joined[0]) == len(names):
            return joined
        return [{name: row[name] for name in names} for row in joined]


def load_served(folder: Path | str, task: Task, lookup: OnlineLookup, version: str = "") -> ServedModel:
    """Load a model folder and compile it.

    Args:
        folder: `model.skops` and `model.json`, and `golden.parquet` for the comparison at load.
        task: Bound to the contract that the model was trained for.
        lookup: The online features.
        version: Of the model registry; without one, the first 12 digits of the model's SHA-256.
    """
    place = Path(folder)
    model = load_model(task, place)
    golden = place / "golden.parquet"
    sample = pd.read_parquet(golden, columns=model.feature_names) if golden.is_file() else None
    request = task.problem.features.request
    return ServedModel(
        model=model,
        schema=RequestSchema.of(task.problem),
        scorer=compile_scorer(model, sample),
        lookup=lookup,
        entities_only=tuple(name for name, feature in request.items() if not feature.used_by_model),
        version=version or hashlib.sha256((place / "model.skops").read_bytes()).hexdigest()[:12],
    )
