"""The steps of a training in this process, for tests of what comes after it."""

from pathlib import Path

from components.base.adapters.s3 import open_store
from components.base.documents import write
from components.base.settings import Settings
from components.base.task import Task
from components.base.times import parse_time
from components.data.ingest import ingest_sources
from components.data.validate import validate_snapshot
from components.features.build import publish_features
from components.features.explore.explore import explore_training_rows
from components.features.prepare import prepare_rows
from components.models.artifact import load_model, save_model
from components.models.ensemble import build_ensemble
from components.models.evaluate import evaluate_model, save_evaluation
from components.models.refit import refit_release, save_release
from components.models.select import select_candidates
from components.models.tune import tune_candidates
from components.release.record import Release
from components.release.register import Evidence, register_release


def train(task: Task, as_of: str, folder: Path, settings: Settings) -> tuple[Release, str]:
    """Train on what has landed and register the model; return the release and the place of the features."""
    time, store = parse_time(as_of), open_store(settings)
    snapshot = ingest_sources(task.problem, time, store)
    validate_snapshot(task.problem, snapshot, folder / "accepted")
    features = publish_features(task.problem, folder / "accepted", store)
    prepared = prepare_rows(task, folder / "accepted", features, time, folder / "prepared", folder / "test")
    explore_training_rows(task, prepared, folder / "profile")
    board = select_candidates(task, prepared)
    write(board, folder / "leaderboard.json")
    save_model(folder / "model", build_ensemble(task, prepared, tune_candidates(task, prepared, board)))
    model = load_model(task, folder / "model")
    evaluated = evaluate_model(prepared, model)
    save_evaluation(task, evaluated, folder / "evaluation")
    save_release(folder / "served", *refit_release(prepared, model, evaluated.evaluation.verdict))
    evidence = Evidence(
        prepared=prepared,
        model_folder=folder / "model",
        evaluation_folder=folder / "evaluation",
        served_folder=folder / "served",
        profile_folder=folder / "profile",
        leaderboard=folder / "leaderboard.json",
        snapshot=snapshot.prefix,
        features_uri=features,
        run_id="run-1",
        as_of=as_of,
    )
    return register_release(task, evidence, folder / "release", settings), features
