"""What the report is made of: the documents that the steps left, read once and kept as they are.

In: the task, and the folders and files of the steps. Out: a `Material`. A step that left nothing gives no document, and
the report says so. Called by `present`; judges nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from components.base.contract.problem import Problem
from components.base.dataset import Prepared, read_prepared
from components.base.documents import D, read
from components.base.task import Task
from components.base.text.wording import join_words, say_plainly, write_count, write_date
from components.data.dictionary import Dictionary
from components.data.quality import Quality
from components.features.explore.documents import Findings
from components.models.artifact import ModelDescription
from components.models.documents import Contender, ContenderRecord, Evaluation, Leaderboard, ReleaseRefit, Tuned
from components.models.refit import REFIT
from components.release.record import Deployment, Release

if TYPE_CHECKING:
    import pandas as pd

# Names of the contenders for a reader who does not know the code, in the order of every table and picture.
_ROLES: dict[Contender, str] = {
    "challenger": "New model",
    "champion": "Champion",
    "current_solution": "Current solution",
    "dummy": "Dummy",
}
_NO_TRIAL = "no trial of its search came to an end"
REFERENCES: tuple[Contender, ...] = ("champion", "current_solution")


@dataclass(frozen=True)
class Material:
    """Everything that a report shows, before it is shown; None where a step left nothing."""

    task: Task
    run_id: str
    as_of: str
    quality: Quality | None = None
    dictionary: Dictionary | None = None
    findings: Findings | None = None
    leaderboard: Leaderboard | None = None
    tuned: Tuned | None = None
    model: ModelDescription | None = None
    evaluation: Evaluation | None = None
    refit: ReleaseRefit | None = None
    release: Release | None = None
    deployment: Deployment | None = None
    prepared: Prepared | None = None
    pictures: Mapping[str, str] = field(default_factory=dict)
    """SVG by file name of a finding."""
    predictions: "pd.DataFrame | None" = None
    """Predictions on test rows, as `evaluate` kept them."""
    manifest: str = ""
    """The InferenceService as YAML."""

    @property
    def problem(self) -> Problem:
        """The contract."""
        return self.task.problem

    @property
    def cut_short(self) -> str | None:
        """Why this run may differ from the next one of the same rows, in words; None when it does not."""
        late = [entry.name for entry in (self.leaderboard.entries if self.leaderboard else ()) if entry.is_cut_short]
        places = [f"select left out {say_plainly(name)}" for name in late]
        if self.tuned:
            places += [
                f"{say_plainly(entry.family)} was tuned by {len(entry.trials)} of {self.tuned.trials} trials"
                for entry in self.tuned.cut_short
            ]
        if not places:
            return None
        return (
            f"Not reproducible: {', '.join(places)}, for the ceiling of {self.problem.search.ceiling_seconds:g} s was "
            "reached, and another machine comes further. Raise search.ceiling_seconds, or lower search.trials."
        )

    @property
    def failed(self) -> str | None:
        """Which families of the contract took no part because they failed, and why, in words; None without one."""
        lost = {
            entry.name: entry.error
            for entry in (self.leaderboard.entries if self.leaderboard else ())
            if entry.kind == "candidate" and entry.error and not entry.is_cut_short
        }
        if self.leaderboard and self.tuned:
            tuned = {entry.family for entry in self.tuned.families}
            lost |= dict.fromkeys([name for name in self.leaderboard.chosen if name not in tuned], _NO_TRIAL)
        if not lost:
            return None
        named = join_words([f"{say_plainly(name)} ({error})" for name, error in lost.items()])
        return f"{len(lost)} of {len(self.problem.search.candidates)} families failed and took no part: {named}."

    @property
    def measured_on(self) -> str | None:
        """Whose figures the report shows, where that is not the served model; None where it is."""
        if self.refit is None or not self.refit.is_refitted:
            return None
        return (
            "Every figure of the new model was measured on the judged model. The model that is served is its recipe "
            f"fitted once more on all {write_count(self.refit.rows)} rows, to {write_date(self.refit.until)}."
        )

    @property
    def served(self) -> str | None:
        """What a reader must know of the served model: whose the figures are, or that newer rows had to stay out."""
        return self.refit.reason if self.refit and self.refit.is_kept_back else self.measured_on

    @property
    def contenders(self) -> dict[Contender, ContenderRecord]:
        """Who was judged on the test rows, in the order of `_ROLES`."""
        judged = self.evaluation.contenders if self.evaluation else {}
        return {role: judged[role] for role in _ROLES if role in judged}

    @property
    def reference(self) -> Contender | None:
        """Whom the new model has to beat: the champion, without one the current solution."""
        comparisons = self.evaluation.comparisons if self.evaluation else {}
        return next((role for role in REFERENCES if role in comparisons), None)

    def name_role(self, role: Contender) -> str:
        """Name a contender in words; a champion that this release replaced is the previous model."""
        champion = self.evaluation.champion if self.evaluation else None
        if role != "champion" or champion is None:
            return _ROLES[role]
        is_replaced = self.deployment is not None and self.deployment.outcome == "promoted"
        return f"{'Previous model' if is_replaced else _ROLES[role]} (version {champion.version})"


def read_material(task: Task, run_id: str, as_of: str, places: Mapping[str, Path]) -> Material:
    """Read every document that exists.

    Args:
        task: The task of the contract.
        run_id: The run's id in Kubeflow Pipelines.
        as_of: ISO 8601, UTC.
        places: Path of each step's artifact: accepted, prepared, profile, leaderboard, tuned, model, evaluation,
            served, release, deployment.
    """

    def read_if_left(kind: type[D], step: str, file: str = "") -> D | None:
        path = places[step] / file if step in places else None
        return read(kind, path) if path and path.is_file() else None

    findings = read_if_left(Findings, "profile", "findings.json")
    deployment = read_if_left(Deployment, "deployment", "deployment.json")
    manifest = deployment.inference_service if deployment else None
    return Material(
        task=task,
        run_id=run_id,
        as_of=as_of,
        quality=read_if_left(Quality, "accepted", "quality.json"),
        dictionary=read_if_left(Dictionary, "accepted", "dictionary.json"),
        findings=findings,
        leaderboard=read_if_left(Leaderboard, "leaderboard"),
        tuned=read_if_left(Tuned, "tuned"),
        model=read_if_left(ModelDescription, "model", "model.json"),
        evaluation=read_if_left(Evaluation, "evaluation", "evaluation.json"),
        refit=read_if_left(ReleaseRefit, "served", REFIT),
        release=read_if_left(Release, "release", "release.json"),
        deployment=deployment,
        prepared=read_prepared(places["prepared"]) if "prepared" in places else None,
        pictures={
            finding.picture: (places["profile"] / finding.picture).read_text(encoding="utf-8")
            for finding in (findings.findings if findings else ())
        },
        predictions=_read_predictions(places.get("evaluation")),
        manifest=(places["deployment"] / manifest).read_text(encoding="utf-8") if manifest else "",
    )


def _read_predictions(folder: Path | None) -> "pd.DataFrame | None":
    from components.base.tables import read_table

    path = folder / "predictions.parquet" if folder else None
    return read_table(path) if path and path.is_file() else None
