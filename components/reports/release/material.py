"""What the report is made of: the documents that the steps left, read once and kept as they are.

In: the folders and files of the steps. Out: a `Material`. A step that left nothing gives an empty document, and the
report says so. Called by `present`; judges nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.base.contract.problem import Problem
from components.base.dataset import Prepared, read_prepared
from components.base.documents import D, read
from components.base.text.wording import say_plainly
from components.data.dictionary import Dictionary
from components.data.quality import Quality
from components.release.record import Deployment, Release

if TYPE_CHECKING:
    import pandas as pd

Document = dict[str, Any]
# Document -> the step artifact that holds it, and the file in its folder ("" when the artifact is the file itself).
_PLACES = {
    "findings": ("profile", "findings.json"),
    "leaderboard": ("leaderboard", ""),
    "tuned": ("tuned", ""),
    "model": ("model", "model.json"),
    "evaluation": ("evaluation", "evaluation.json"),
}
# Who is meant, in words for a reader who never saw the code.
_ROLES = {
    "challenger": "New model",
    "champion": "Champion",
    "current_solution": "Current solution",
    "dumb": "Same risk for all",
}
REFERENCES = ("champion", "current_solution")


@dataclass(frozen=True)
class Material:
    """Everything that a report shows, before it is shown."""

    problem: Problem
    run_id: str
    as_of: str
    documents: Mapping[str, Document]
    """By name of `_PLACES`; empty where the step left nothing."""
    release: Release | None = None
    deployment: Deployment | None = None
    quality: Quality | None = None
    dictionary: Dictionary | None = None
    prepared: Prepared | None = None
    pictures: Mapping[str, str] = field(default_factory=dict)
    """SVG by file name of a finding."""
    predictions: "pd.DataFrame | None" = None
    """Predictions on test rows, as `evaluate` kept them."""
    manifest: str = ""
    """The InferenceService as YAML."""

    def __getitem__(self, name: str) -> Document:
        """Return a document, empty when there is none."""
        return self.documents.get(name, {})

    @property
    def noun(self) -> str:
        """What is predicted, in the plural: the name of the source of examples."""
        return say_plainly(self.problem.examples.source)

    @property
    def outcome(self) -> str:
        """The outcome as an adjective: the name of the target."""
        return say_plainly(self.problem.target.name)

    @property
    def contenders(self) -> dict[str, Document]:
        """Who was judged on the test rows, in the order of the story."""
        judged = self["evaluation"].get("contenders", {})
        return {role: judged[role] for role in _ROLES if role in judged}

    @property
    def reference(self) -> str | None:
        """Whom the new model has to beat: the champion, without one the current solution."""
        return next((role for role in REFERENCES if role in self["evaluation"].get("comparisons", {})), None)

    def name_role(self, role: str) -> str:
        """Name a contender in words; a champion that this release replaced is the previous model."""
        version = (self["evaluation"].get("champion") or {}).get("version")
        if role != "champion" or not version:
            return _ROLES[role]
        is_replaced = self.deployment is not None and self.deployment.outcome == "promoted"
        return f"{'Previous model' if is_replaced else _ROLES[role]} (version {version})"


def read_material(problem: Problem, run_id: str, as_of: str, places: Mapping[str, Path]) -> Material:
    """Read every document that exists.

    Args:
        problem: The contract.
        run_id: The run's id in Kubeflow Pipelines.
        as_of: ISO 8601, UTC.
        places: Path of each step's artifact: accepted, prepared, profile, leaderboard, tuned, model, evaluation,
            release, deployment.
    """
    paths = {name: places[step] / file for name, (step, file) in _PLACES.items() if step in places}
    documents = {name: _read_json(path) for name, path in paths.items()}
    pictures = {
        finding["picture"]: (places["profile"] / finding["picture"]).read_text(encoding="utf-8")
        for finding in documents.get("findings", {}).get("findings", [])
    }
    deployment = _read_record(Deployment, places, "deployment", "deployment.json")
    manifest = deployment.inference_service if deployment else None
    return Material(
        problem=problem,
        run_id=run_id,
        as_of=as_of,
        documents=documents,
        release=_read_record(Release, places, "release", "release.json"),
        deployment=deployment,
        quality=_read_record(Quality, places, "accepted", "quality.json"),
        dictionary=_read_record(Dictionary, places, "accepted", "dictionary.json"),
        prepared=read_prepared(places["prepared"]) if "prepared" in places else None,
        pictures=pictures,
        predictions=_read_predictions(places.get("evaluation")),
        manifest=(places["deployment"] / manifest).read_text(encoding="utf-8") if manifest else "",
    )


def _read_json(path: Path) -> Document:
    if not path.is_file():
        return {}
    document: Document = json.loads(path.read_text(encoding="utf-8"))
    return document


def _read_record(kind: type[D], places: Mapping[str, Path], step: str, file: str) -> D | None:
    """Read a document of a step, if the step left one."""
    path = places[step] / file if step in places else None
    return read(kind, path) if path and path.is_file() else None


def _read_predictions(folder: Path | None) -> "pd.DataFrame | None":
    from components.base.tables import read_table

    path = folder / "predictions.parquet" if folder else None
    return read_table(path) if path and path.is_file() else None
