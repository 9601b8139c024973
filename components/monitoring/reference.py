"""What served rows are compared with: the model's files, the contract's ranges and the views' times to live.

In: the contract and the folder of a registered model. Out: a `TrainingReference`. Called by the monitor, once for the
champion; no row of training or test is read.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.base.contract.problem import Column, Problem
from components.base.dataset import Feature
from components.base.errors import ModelRefusedError
from components.features.explore.profile import Profile, read_profile
from components.features.feast.feature_store import declared_views
from components.features.online.reader import OnlineView
from components.models.artifact import read_features


@dataclass(frozen=True)
class TrainingReference:
    """One model's inputs as they were in training."""

    profile: Profile
    features: tuple[Feature, ...]
    """The model's inputs."""
    importance: Mapping[str, float]
    """Share of the permutation importance by feature; they add up to 1, or are all 0."""
    ranges: Mapping[str, Column]
    """The contract's column by request feature that is one as it came."""
    views: tuple[OnlineView, ...]

    def measure_missing(self, view: OnlineView) -> float:
        """Return the share of training rows without any value of the view, by its most complete feature."""
        columns = [self.profile.columns[one.name] for one in view.features if one.name in self.profile.columns]
        return (
            min((column.missing / self.profile.rows for column in columns), default=0.0) if self.profile.rows else 0.0
        )


def read_reference(problem: Problem, model_folder: Path) -> TrainingReference:
    """Read the reference of a registered model.

    Raises:
        ModelRefusedError: a file is missing or damaged.
    """
    try:
        profile = read_profile(model_folder / "profile.json")
        evaluation = json.loads((model_folder / "evaluation.json").read_text(encoding="utf-8"))
        return make_reference(problem, profile, read_features(model_folder), evaluation["importance"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelRefusedError(
            f"reference {model_folder.name}: profile.json, evaluation.json and model.json must be readable, but got "
            f"{error!r}. Train and register the model again."
        ) from error


def make_reference(
    problem: Problem, profile: Profile, features: Sequence[Feature], importance: Sequence[Mapping[str, Any]]
) -> TrainingReference:
    """Put a reference together; `importance` is the list of the evaluation."""
    return TrainingReference(
        profile=profile,
        features=tuple(features),
        importance=share_importance([feature.name for feature in features], importance),
        ranges=_find_ranges(problem, features),
        views=tuple(declared_views(problem)),
    )


def share_importance(names: Sequence[str], importance: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return each feature's share of the permutation importance; one that shuffling improves has none."""
    measured = {entry["feature"]: max(float(entry["mean"]), 0.0) for entry in importance}
    kept = {name: measured.get(name, 0.0) for name in names}
    total = sum(kept.values())
    return {name: value / total if total else 0.0 for name, value in kept.items()}


def _find_ranges(problem: Problem, features: Sequence[Feature]) -> dict[str, Column]:
    columns = problem.sources[problem.examples.source].columns
    requested = {feature.name for feature in features if feature.origin == "request"}
    return {
        name: columns[feature.columns[0]]
        for name, feature in problem.features.request.items()
        if name in requested and feature.transform == "identity"
    }
