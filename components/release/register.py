"""Register a model with everything that serving, monitoring, auditing and the next comparison need.

In: the contract, the judged model with its evaluation, the served one, and the origin of their data. Out: a run and,
unless the model is refused, a version in the registry, and the folder of a `Release`. Called by the `register` step.

A version is its served model; the judged one, where that is another, lies in its folder `judged`.

Which models get a version: `promote` and `hold` do (a held model may win once more labels have matured), a refused one
is a run with its reasons only, so that no reader fetches it as the latest version. Only `promote` gets the alias
`challenger`; `champion` is given by `deploy` alone, after its endpoint has passed every gate.
"""

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from components.base import documents
from components.base.adapters import mlflow as tracking
from components.base.contract.load import write_problem
from components.base.contract.problem import Problem
from components.base.dataset import Prepared
from components.base.run_lock import require_run
from components.base.settings import Settings
from components.base.statistics.capacity import number_days
from components.base.statistics.resampling import Interval
from components.base.statistics.shifts import accept_shifts, choose_window_days, count_by_day, measure_windows
from components.base.tables import fingerprint_file, read_table, write_table
from components.base.task import Task
from components.features.explore.profile import Profile, add_scores, read_profile, write_profile
from components.features.feast.feature_store import declared_views
from components.features.online.store import ServedViews
from components.models.artifact import JUDGED, TRUSTED_TYPES, Model, fingerprint_model, load_model
from components.models.documents import Evaluation, Leaderboard, ReleaseRefit
from components.models.parallel import quiet_fits
from components.models.refit import REFIT
from components.release.golden_rows import choose_golden_rows
from components.release.links import link_run
from components.release.provenance import PROVENANCE, PROVENANCE_TAG, Provenance, describe_maker, fingerprint_folder
from components.release.record import (
    Release,
    fingerprint_contract,
    fingerprint_gates,
    fingerprint_predictions,
)

log = logging.getLogger(__name__)
# Enough to see what a request's features look like.
_EXAMPLE_ROWS = 5
# Most training rows that are scored again, to see how far windows of outputs move.
_SCORED_ROWS = 200_000


@dataclass(frozen=True)
class Evidence:
    """What the run made, and from which data."""

    prepared: Prepared
    model_folder: Path
    """The model that was judged."""
    evaluation_folder: Path
    served_folder: Path
    """What refit wrote: the model that is served, and which one that is."""
    profile_folder: Path
    """What explore wrote; its profile is of the training rows."""
    leaderboard: Path
    """What select found, with the champion's parameters, which tuning tried second."""
    snapshot: str
    """URI of the ingested snapshot; its last part is the fingerprint."""
    features_uri: str
    """URI of the feature tables; its last part is the fingerprint."""
    run_id: str
    as_of: str


@dataclass(frozen=True)
class _Candidate:
    judged: Model
    served: Model
    """The judged one, or its recipe fitted again: `refit` says which."""
    refit: ReleaseRefit
    evaluation: Evaluation
    golden: pd.DataFrame
    fingerprints: dict[str, str]


def register_release(task: Task, evidence: Evidence, folder: Path, settings: Settings) -> Release:
    """Record the model in MLflow and write the release into `folder`; registering it again changes nothing.

    Raises:
        ModelRefusedError: the model cannot be read.
        PermanentError: the run is over.
        TransientError: MLflow, its database or its artifact store does not answer.
    """
    problem = task.problem
    folder.mkdir(parents=True, exist_ok=True)
    candidate = _read_candidate(task, evidence)
    write_table(candidate.golden, folder / "golden.parquet")
    shutil.copyfile(evidence.prepared.newest_path, folder / "newest.parquet")
    with tempfile.TemporaryDirectory() as files:
        _gather_files(task, evidence, candidate, folder, Path(files))
        _write_provenance(evidence, candidate, Path(files), settings)
        record = _record(problem, evidence, candidate, Path(files), link_run(evidence.run_id, settings))
        require_run()
        registered = tracking.log_release(record, settings)
    if registered.version and candidate.evaluation.verdict == "promote":
        require_run()
        tracking.challenge(problem.name, registered.version, settings)
    aliases = tracking.find_aliases(problem.name, settings)
    release = _describe(problem, evidence, candidate, registered, aliases)
    documents.write(release, folder / "release.json")
    place = f"version {release.version}" if release.version else "a run without a version"
    log.info("register: %s as %s of %s, run %s", release.verdict, place, problem.name, release.mlflow_run)
    return release


def _read_candidate(task: Task, evidence: Evidence) -> _Candidate:
    """Read what the run made, and fingerprint the output of each step: equal digits, equal outputs."""
    judged, served = (load_model(task, folder) for folder in (evidence.model_folder, evidence.served_folder))
    evaluation = documents.read(Evaluation, evidence.evaluation_folder / "evaluation.json")
    golden = choose_golden_rows(task.problem, evidence.prepared)
    fingerprints = {
        "contract": fingerprint_contract(task.problem),
        "snapshot": _last_part(evidence.snapshot),
        "features": _last_part(evidence.features_uri),
        "prepared": evidence.prepared.fingerprint,
        "trials": judged.description.details.trials if judged.description.details else "",
        "model": fingerprint_model(evidence.model_folder),
        "predictions": fingerprint_predictions(judged, golden),
        "gates": fingerprint_gates(evaluation.gates),
        "served": fingerprint_model(evidence.served_folder),
        "answers": fingerprint_predictions(served, golden),
    }
    refit = documents.read(ReleaseRefit, evidence.served_folder / REFIT)
    return _Candidate(judged, served, refit, evaluation, golden, fingerprints)


def _gather_files(task: Task, evidence: Evidence, candidate: _Candidate, release: Path, files: Path) -> None:
    """Copy what serving, monitoring and the next comparison need into one folder."""
    shutil.copytree(evidence.served_folder, files, dirs_exist_ok=True)
    if candidate.refit.is_refitted:
        shutil.copytree(evidence.model_folder, files / JUDGED)
    for name in ("evaluation.json", "baseline.json"):
        shutil.copyfile(evidence.evaluation_folder / name, files / name)
    shutil.copyfile(evidence.prepared.folder / "ledger.parquet", files / "ledger.parquet")
    for name in ("golden.parquet", "newest.parquet"):
        shutil.copyfile(release / name, files / name)
    write_problem(task.problem, files / "problem.json")
    documents.write(ServedViews(views=tuple(declared_views(task.problem))), files / "views.json")
    # What drift is measured against: monitoring reads no row of training or test again. Outputs are the judged model's:
    # the served one may have learned from these rows, and is surer of them than it will be of rows to come.
    column = f"challenger__{task.output_columns[0]}"
    tested = read_table(evidence.evaluation_folder / "predictions.parquet", [column])
    profile = add_scores(read_profile(evidence.profile_folder / "profile.json"), tested[column])
    shift = _measure_score_shift(task.problem, candidate.judged, evidence.prepared, profile)
    write_profile(profile.model_copy(update={"score_shift": shift}), files / "profile.json")


def _measure_score_shift(problem: Problem, model: Model, prepared: Prepared, profile: Profile) -> float:
    """Return the PSI that the outputs of 95 % of the windows of training rows stay below; 0 where it is unknown.

    The test rows are fewer than two windows. Rows that the model has learned from get surer outputs, but in every
    window alike.
    """
    rows = prepared.read("train", ["predicted_at", *model.feature_names])
    # Evenly over the time; of an output's twenty bins each still holds thousands.
    rows = rows.iloc[:: -(-len(rows) // _SCORED_ROWS)]
    days = number_days(rows["predicted_at"]) - number_days(rows["predicted_at"]).min()
    window_days = choose_window_days(problem.monitoring.window_days, int(days.max()) + 1)
    if not profile.scores or not window_days:
        return 0.0
    with quiet_fits():
        codes = profile.scores.code(model.predict(rows)[:, 0])
    by_day = count_by_day(codes, days, len(profile.scores.vector()))
    psi = measure_windows(by_day, window_days, problem.monitoring.minimum_rows)
    return float(accept_shifts(psi[:, None], problem.monitoring.drift.maximum_psi)[0])


def _write_provenance(evidence: Evidence, candidate: _Candidate, files: Path, settings: Settings) -> None:
    """Keep from what, by what and with which results the version was made, with the checksum of each of its files."""
    evaluation = candidate.evaluation
    provenance = Provenance(
        problem=evaluation.problem,
        run_id=evidence.run_id,
        as_of=evidence.as_of,
        snapshot=evidence.snapshot,
        features=evidence.features_uri,
        tried_second=documents.read(Leaderboard, evidence.leaderboard).champion,
        champion=evaluation.champion.version if evaluation.champion else None,
        earlier_openings=evaluation.opened.earlier_openings,
        verdict=evaluation.verdict,
        fingerprints=candidate.fingerprints,
        files=fingerprint_folder(files),
        made_by=describe_maker(settings),
    )
    documents.write(provenance, files / PROVENANCE)


def _record(
    problem: Problem, evidence: Evidence, candidate: _Candidate, files: Path, links: Mapping[str, str]
) -> tracking.ReleaseRecord:
    model, evaluation = candidate.served, candidate.evaluation
    described = model.description
    policy = {name: value for name, value in described.policy.items() if name != "kind"}
    searched = described.details.parameters if described.details else {}
    tuned = {f"{family}.{name}": value for family, values in searched.items() for name, value in values.items()}
    return tracking.ReleaseRecord(
        problem=problem.name,
        key=_fingerprint_learned(evidence.as_of, evaluation.verdict, candidate.fingerprints),
        estimator=model.estimator,
        trusted_types=TRUSTED_TYPES,
        example=candidate.golden[model.feature_names].head(_EXAMPLE_ROWS),
        files=files,
        parameters={
            "family": described.family,
            "kind": described.kind,
            "calibration": described.calibration,
            **policy,
            "features": len(described.features),
            **tuned,
        },
        metrics=dict(_metrics(evaluation)),
        tags={
            "problem": problem.name,
            "kfp_run_id": evidence.run_id,
            **links,
            "as_of": evidence.as_of,
            "verdict": evaluation.verdict,
            "reasons": "\n".join(evaluation.reasons),
            "refit": candidate.refit.reason,
            "feature_service": problem.features.service,
            "owner": problem.owner.team,
            "snapshot": evidence.snapshot,
            "features": evidence.features_uri,
            **{f"{name}_fingerprint": digits for name, digits in candidate.fingerprints.items()},
            PROVENANCE_TAG: fingerprint_file(files / PROVENANCE),
        },
        is_versioned=evaluation.verdict != "refuse",
    )


def _fingerprint_learned(as_of: str, verdict: str, fingerprints: Mapping[str, str]) -> str:
    """Return the SHA-256 over what was learned, from what, and how it was judged, whichever run did it.

    So a run that is repeated after a crash, or because somebody killed it, finds the version that it registered.
    """
    learned = [as_of, verdict, *(f"{name} {digits}" for name, digits in sorted(fingerprints.items()))]
    return hashlib.sha256("\n".join(learned).encode()).hexdigest()


def _metrics(evaluation: Evaluation) -> Iterator[tuple[str, float]]:
    """Name every estimate and both ends of its interval: `champion.roc_auc`, `champion.roc_auc.low`."""
    for role, contender in evaluation.contenders.items():
        yield from _interval(f"{role}.value_per_1000", contender.value_per_1000)
        for metric, interval in contender.scores.items():
            yield from _interval(f"{role}.{metric}", interval)
    for other, comparison in evaluation.comparisons.items():
        yield from _interval(f"gain_over_{other}.{evaluation.metric}", comparison.primary)
        yield from _interval(f"gain_over_{other}.value_per_1000", comparison.value_per_1000)
    yield from _interval("generalisation_gap", evaluation.generalisation.gap)


def _interval(name: str, interval: Interval) -> Iterator[tuple[str, float]]:
    yield name, interval.estimate
    yield f"{name}.low", interval.low
    yield f"{name}.high", interval.high


def _describe(
    problem: Problem,
    evidence: Evidence,
    candidate: _Candidate,
    registered: tracking.Registered,
    aliases: dict[str, str],
) -> Release:
    version, compared = registered.version, candidate.evaluation.champion
    return Release(
        problem=problem.name,
        verdict=candidate.evaluation.verdict,
        reasons=candidate.evaluation.reasons,
        version=version,
        aliases=tuple(sorted(alias for alias, held_by in aliases.items() if held_by == version)),
        champion=aliases.get("champion"),
        run_id=evidence.run_id,
        mlflow_run=registered.run_id,
        model_uri=f"models:/{problem.name}/{version}" if version else None,
        storage_uri=registered.storage_uri,
        as_of=evidence.as_of,
        family=candidate.served.family,
        kind=candidate.served.description.kind,
        feature_service=problem.features.service,
        fingerprints=candidate.fingerprints,
        golden_rows=len(candidate.golden),
        registered_at=datetime.now(UTC).isoformat(timespec="seconds"),
        compared_with=compared.version if compared else None,
    )


def _last_part(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[2]
