"""What served rows are compared with: the model's files, the contract's ranges and the views' times to live.

In: the contract and the folder of a registered model. Out: a `TrainingReference`. Called by the monitor, once for the
champion; no row of training or test is read.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from components.base.contract.problem import Column
from components.base.dataset import Feature
from components.base.documents import read
from components.base.errors import DataError, ModelRefusedError
from components.base.statistics.counts import share_missing
from components.base.task import Task
from components.features.explore.profile import Profile, read_profile
from components.features.feast.feature_store import declared_views
from components.features.online.reader import OnlineView
from components.models.artifact import read_description
from components.models.documents import Evaluation, Importance
from components.monitoring.predictions import list_output_columns

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingReference:
    """One model's inputs as they were in training."""

    profile: Profile
    features: tuple[Feature, ...]
    """The model's inputs."""
    importance: Mapping[str, float]
    """Share of the permutation importance by feature; they add up to 1, or are all 0."""
    ranges: Mapping[str, Column]
    """The contract's column of each request feature that is a request column unchanged."""
    views: tuple[OnlineView, ...]
    output_column: str
    """Column of the log that is compared with the profile's scores: the first of the output."""

    def measure_missing(self, view: OnlineView) -> float:
        """Return the share of training rows without any value of the view, by its most complete feature."""
        columns = [self.profile.columns[one.name] for one in view.features if one.name in self.profile.columns]
        return min(map(share_missing, columns), default=0.0)


def read_evaluation(model_folder: Path) -> Evaluation | None:
    """Read the evaluation of a registered model's release; None for one that an older platform wrote.

    Raises:
        ModelRefusedError: the file is missing or damaged.
    """
    path = model_folder / "evaluation.json"
    try:
        return read(Evaluation, path)
    except DataError as error:
        if not _is_of_older_platform(path):
            raise _refuse(model_folder, error) from error
        log.warning(
            "monitor: the champion's evaluation is of an older platform, so its scores at release and the importance "
            "of its features are unknown, and no drift counts as relevant. Run the training pipeline again."
        )
        return None


def read_reference(task: Task, model_folder: Path, evaluation: Evaluation | None) -> TrainingReference:
    """Read the reference of a registered model; without an evaluation no feature has an importance.

    Raises:
        ModelRefusedError: a file is missing or damaged.
    """
    try:
        profile, features = read_profile(model_folder / "profile.json"), read_description(model_folder).features
    except (OSError, ValueError, KeyError, TypeError, ModelRefusedError) as error:
        raise _refuse(model_folder, error) from error
    return make_reference(task, profile, features, evaluation.importance if evaluation else ())


def make_reference(
    task: Task, profile: Profile, features: Sequence[Feature], importance: Sequence[Importance]
) -> TrainingReference:
    """Build a reference of its parts; `importance` is that of the evaluation."""
    problem = task.problem
    columns = problem.sources[problem.examples.source].columns
    requested = {feature.name for feature in features if feature.origin == "request"}
    return TrainingReference(
        profile=profile,
        features=tuple(features),
        importance=share_importance([feature.name for feature in features], importance),
        ranges={
            name: columns[feature.columns[0]]
            for name, feature in problem.features.request.items()
            if name in requested and feature.transform == "identity"
        },
        views=tuple(declared_views(problem)),
        output_column=list_output_columns(task)[0],
    )


def share_importance(names: Sequence[str], importance: Sequence[Importance]) -> dict[str, float]:
    """Return each feature's share of the permutation importance; a negative importance counts as none."""
    measured = {entry.feature: entry.mean for entry in importance if entry.mean > 0}
    kept = {name: measured.get(name, 0.0) for name in names}
    total = sum(kept.values())
    return {name: value / total if total else 0.0 for name, value in kept.items()}


def _is_of_older_platform(path: Path) -> bool:
    """Whether the file is whole and has the parts that an evaluation has had from the first."""
    try:
        document = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return False
    return isinstance(document, dict) and {"contenders", "importance"} <= set(document)


def _refuse(model_folder: Path, error: Exception) -> ModelRefusedError:
    return ModelRefusedError(
        f"reference {model_folder.name}: profile.json, evaluation.json and model.json must be readable, but got "
        f"{error!r}. Train and register the model again."
    )
