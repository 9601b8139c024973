"""Build a registered version again from its record alone, and compare the output of each step.

In: the version's files and tags, its snapshot, and the champion that it met. Out: one `RebuiltOutput` a step, in order.
Called by `tidemill reproduce`. Nothing outside of the folder is written: the registry, the object store and the record
of opened test rows stay as they are, for the rows were opened for this very model before.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from components.base.adapters import mlflow as tracking
from components.base.adapters.s3 import open_store
from components.base.settings import Settings
from components.base.tables import read_table
from components.base.task import Task
from components.base.times import parse_time
from components.data.snapshot import download_snapshot
from components.data.validate import validate_snapshot
from components.features.build import build_tables, fingerprint_inputs
from components.features.prepare import prepare_rows
from components.models.artifact import fingerprint_model, load_model, save_model
from components.models.champion import read_champion
from components.models.ensemble import build_ensemble
from components.models.evaluate import evaluate_model, save_evaluation
from components.models.refit import refit_release
from components.models.select import select_candidates
from components.models.tune import tune_candidates
from components.release.provenance import RecordedVersion
from components.release.record import (
    STEPS,
    fingerprint_contract,
    fingerprint_gates,
    fingerprint_predictions,
)


@dataclass(frozen=True)
class RebuiltOutput:
    """One output of a step: as recorded, and as built again."""

    name: str
    recorded: str
    """Fingerprint, or the verdict itself."""
    rebuilt: str

    @property
    def step(self) -> str:
        """The step that makes it."""
        return STEPS[self.name]

    @property
    def is_equal(self) -> bool:
        """Whether both are the same."""
        return self.recorded == self.rebuilt


def rebuild_version(task: Task, version: RecordedVersion, folder: Path, settings: Settings) -> Iterator[RebuiltOutput]:
    """Build the version in a folder and yield each output beside the recorded one, in the order of the steps.

    Args:
        task: The task of the version's own contract.
        version: As `fetch_version` read it.
        folder: Gets what each step makes.
        settings: Name the registry and the object store.

    Yields:
        An output as soon as it is made; those after one that differs are made of it.

    Raises:
        DataError: the snapshot was edited, or is gone.
        ModelRefusedError: the champion of that time is gone.
        TransientError: the registry or the object store does not answer.
    """
    record, golden = version.provenance, read_table(version.files.model_folder / "golden.parquet")

    def compare(name: str, rebuilt: str) -> RebuiltOutput:
        return RebuiltOutput(name, record.verdict if name == "verdict" else record.fingerprints.get(name, ""), rebuilt)

    yield compare("contract", fingerprint_contract(task.problem))
    snapshot = download_snapshot(open_store(settings), record.snapshot, folder / "snapshot")
    yield compare("snapshot", snapshot.fingerprint)
    validate_snapshot(task.problem, snapshot, folder / "accepted")
    build_tables(task.problem, folder / "accepted", folder / "features")
    yield compare("features", fingerprint_inputs(task.problem, folder / "accepted"))
    as_of = parse_time(record.as_of)
    inputs, outputs = (folder / "accepted", str(folder / "features")), (folder / "prepared", folder / "test")
    prepared = prepare_rows(task, *inputs, as_of, *outputs)
    yield compare("prepared", prepared.fingerprint)
    board = select_candidates(task, prepared).model_copy(update={"champion": record.tried_second})
    tuned = tune_candidates(task, prepared, board)
    yield compare("trials", tuned.fingerprint)
    save_model(folder / "model", build_ensemble(task, prepared, tuned))
    yield compare("model", fingerprint_model(folder / "model"))
    model = load_model(task, folder / "model")
    yield compare("predictions", fingerprint_predictions(model, golden))
    met = record.champion and tracking.download_version(record.problem, record.champion, folder / "champion", settings)
    evaluated = evaluate_model(prepared, model, read_champion(task, met) if met else None, record.earlier_openings)
    save_evaluation(task, evaluated, folder / "evaluation")
    yield compare("gates", fingerprint_gates(evaluated.evaluation.gates))
    yield compare("verdict", evaluated.evaluation.verdict)
    served, _ = refit_release(prepared, model, evaluated.evaluation.verdict)
    save_model(folder / "served", served)
    yield compare("served", fingerprint_model(folder / "served"))
    yield compare("answers", fingerprint_predictions(served, golden))
