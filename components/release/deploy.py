"""Deploy a release: try it behind its real endpoint, then promote it or leave the champion in charge.

In come the contract and the folder of a release, out goes the folder of a deployment: `deployment.json` and, for a
cluster, the manifests of the rollout. Called by the `deploy` step.

The champion changes at one moment, when the registry's alias moves, and that comes after all that can fail. Whatever
ends this process before leaves the champion in charge; what it leaves undone after, the next run or `make serve` does.
"""

import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from components.base.adapters import mlflow as tracking
from components.base.contract.problem import Problem
from components.base.settings import Settings
from components.base.tables import read_table
from components.release.record import Release, fingerprint_model, read_release
from components.release.smoke_test import Gate, Trial, try_endpoint
from components.serving.endpoint import record_endpoint
from components.serving.inference_service import ServedVersion, Stage, plan_rollout, render_yaml

log = logging.getLogger(__name__)
_NO_TRIAL = Trial((), None, [])


@dataclass(frozen=True)
class Deployment:
    """What became of a release."""

    outcome: Literal["promoted", "refused", "kept"]
    """`refused`: the endpoint did not prove itself. `kept`: not wanted, or compared with another champion."""
    reasons: Sequence[str]
    champion: str | None
    """In charge from now on."""
    previous: str | None
    """In charge before."""
    trial: Trial = _NO_TRIAL
    stages: Sequence[Stage] = ()


def deploy_release(problem: Problem, release_folder: Path, folder: Path, settings: Settings) -> Deployment:
    """Try a release that `evaluate` would promote, and make it the champion when its endpoint proves itself.

    Raises:
        PermanentError: the online store was not filled.
        TrackingUnavailableError: the registry or its artifact store does not answer; nothing was changed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    release = read_release(release_folder)
    champion = tracking.find_aliases(problem.name, settings).get("champion")
    if release.version is None or release.verdict != "promote":
        deployment = _keep(release, champion)
    elif release.version == champion:
        deployment = _resume(problem, champion, settings)
    elif release.compared_with != champion:
        deployment = _keep_changed(release, champion)
    else:
        with tempfile.TemporaryDirectory() as downloads:
            files = tracking.download_version(problem.name, release.version, Path(downloads), settings)
            trial = _try(release, files, release_folder, folder, settings)
            deployment = _decide(files, trial, champion, settings)
    log.info("deploy: %s: %s", deployment.outcome, deployment.reasons[0].splitlines()[0])
    _write(problem, release, deployment, folder)
    return deployment


def rollback_endpoint(problem: Problem, reason: str, settings: Settings) -> str:
    """Put the champion before the present one back in charge of the endpoint, and return its version.

    Raises:
        ModelRefusedError: there is no champion before.
        TrackingUnavailableError: the registry or its artifact store does not answer.
    """
    version = tracking.rollback(problem.name, reason, settings)
    record_endpoint(problem, tracking.find_version(problem.name, version, settings), settings)
    return version


def _keep(release: Release, champion: str | None) -> Deployment:
    in_charge = f"Version {champion} stays in charge." if champion else "No version is in charge of the endpoint yet."
    if release.version is not None and release.version == champion:
        in_charge = f"Version {champion} is in charge already."
    return Deployment("kept", [in_charge, *release.reasons], champion, champion)


def _resume(problem: Problem, version: str, settings: Settings) -> Deployment:
    """Finish what a crash left undone once the alias had moved; the trial was passed before that."""
    previous = tracking.promote(problem.name, version, settings)
    stages = _plan(problem, version, previous, settings)
    record_endpoint(problem, tracking.find_version(problem.name, version, settings), settings)
    return Deployment("promoted", [f"Version {version} is in charge already."], version, previous, stages=stages)


def _keep_changed(release: Release, champion: str | None) -> Deployment:
    """Promote nothing that was never compared with the champion of now."""
    compared, present = (f"version {version}" if version else "none" for version in (release.compared_with, champion))
    reason = (
        f"The champion changed meanwhile: version {release.version} was compared with {compared}, and the champion is "
        f"now {present}. Run the pipeline again."
    )
    return Deployment("kept", [reason], champion, champion)


def _try(
    release: Release, files: tracking.ChampionFiles, release_folder: Path, folder: Path, settings: Settings
) -> Trial:
    """Try the files of the registry, once they are known to be those that were evaluated."""
    if fingerprint_model(files.model_folder) != release.fingerprints["model"]:
        reason = f"The registry's files of version {files.version} are not the model that was evaluated."
        return Trial((Gate("changed_models", 1, 0, reason),), None, [])
    golden = read_table(release_folder / "golden.parquet")
    return try_endpoint(files, golden, folder / "predictor.log", settings)


def _decide(files: tracking.ChampionFiles, trial: Trial, champion: str | None, settings: Settings) -> Deployment:
    name, version = files.problem.name, files.version
    failed = [gate.reason for gate in trial.gates if not gate.passed]
    if failed:
        tracking.withdraw(name, version, failed, settings)
        stays = f"Version {champion} stays in charge." if champion else "No version is in charge of the endpoint yet."
        return Deployment("refused", [*failed, stays], champion, champion, trial)
    stages = _plan(files.problem, version, champion, settings)
    previous = tracking.promote(name, version, settings)
    record_endpoint(files.problem, tracking.find_version(name, version, settings), settings)
    reasons = [f"Version {version} is in charge.", *(gate.reason for gate in trial.gates)]
    return Deployment("promoted", reasons, version, previous, trial, stages)


def _plan(problem: Problem, version: str, champion: str | None, settings: Settings) -> list[Stage]:
    candidate = _served(problem, version, settings)
    return plan_rollout(problem, candidate, _served(problem, champion, settings) if champion else None, settings)


def _served(problem: Problem, version: str, settings: Settings) -> ServedVersion:
    found = tracking.find_version(problem.name, version, settings)
    suffix = "_fingerprint"
    fingerprints = {name.removesuffix(suffix): text for name, text in found.tags.items() if name.endswith(suffix)}
    return ServedVersion(version, found.storage_uri, fingerprints)


def _write(problem: Problem, release: Release, deployment: Deployment, folder: Path) -> None:
    """Write the manifests, then `deployment.json`, which names them."""
    rollout = [_write_stage(number, stage, folder) for number, stage in enumerate(deployment.stages, 1)]
    if deployment.stages:
        (folder / "inference-service.yaml").write_text(render_yaml(deployment.stages[-1].manifest))
    described = {
        "problem": problem.name,
        "endpoint": problem.serving.endpoint,
        "outcome": deployment.outcome,
        "candidate": release.version,
        "champion": deployment.champion,
        "previous": deployment.previous,
        "reasons": list(deployment.reasons),
        "gates": [{**asdict(gate), "passed": gate.passed} for gate in deployment.trial.gates],
        "replay": deployment.trial.replay,
        "skew": deployment.trial.skew,
        "inference_service": "inference-service.yaml" if deployment.stages else None,
        "rollout": rollout,
        "deployed_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    (folder / "deployment.json").write_text(json.dumps(described, indent=1))


def _write_stage(number: int, stage: Stage, folder: Path) -> dict[str, Any]:
    kind = "stable" if stage.percent == 100 else f"canary-{stage.percent}"
    file = Path("rollout") / f"{number}-{kind}.yaml"
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(render_yaml(stage.manifest))
    return {"percent": stage.percent, "file": str(file)}
