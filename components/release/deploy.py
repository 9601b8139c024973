"""Deploy a release: try it behind its real endpoint, then promote it or keep the champion. And back again: `rollback`.

In: the contract and the folder of a release. Out: the folder of a `Deployment` with the manifests of its rollout.
Called by the `deploy` step and by `tidemill rollback`; reads the same on one machine and on a cluster, which differ in
their `ServingHost`.

The order is: try, test, shift the traffic, promote, and last the registry's alias, once the host reports that the
version answers. So the registry never names a champion that does not serve. After a crash in between, the next run
starts over: every part may be repeated.
"""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from components.base import documents
from components.base.adapters import mlflow as tracking
from components.base.contract.problem import Problem
from components.base.errors import EndpointUnavailableError
from components.base.gate import Gate, limit_gate
from components.base.run_lock import require_run
from components.base.settings import Settings
from components.base.task import Task
from components.models.artifact import fingerprint_model, load_model
from components.release.record import Deployment, Release, RolloutStage, SmokeTest, served_fingerprint
from components.release.smoke_test import read_trial_rows, run_smoke_test
from components.serving.host import ServingHost, open_host, read_served_version
from components.serving.inference_service import ServedVersion, Stage, plan_rollout, render_yaml

log = logging.getLogger(__name__)
_MANIFEST = "inference-service.yaml"


@dataclass(frozen=True)
class _Case:
    """One release to deploy."""

    task: Task
    version: str | None
    """Of the release; None where the registry refused it."""
    model_fingerprint: str
    """Of the model that the release serves."""
    champion: str | None
    """The registry's, before."""
    release_folder: Path
    """With golden.parquet and newest.parquet."""
    folder: Path
    """Of the deployment."""
    settings: Settings

    @property
    def problem(self) -> Problem:
        """The contract."""
        return self.task.problem

    def conclude(
        self, outcome: Literal["promoted", "refused", "kept"], reasons: Sequence[str], **found: Any
    ) -> Deployment:
        """Build the document; without another in `found`, the champion is the one before."""
        described = {"champion": self.champion, "previous": self.champion, **found}
        return Deployment(
            problem=self.problem.name,
            endpoint=self.problem.serving.endpoint,
            outcome=outcome,
            candidate=self.version,
            reasons=tuple(reasons),
            deployed_at=datetime.now(UTC).isoformat(timespec="seconds"),
            **described,
        )


def deploy_release(task: Task, release_folder: Path, folder: Path, settings: Settings) -> Deployment:
    """Try a release that `evaluate` would promote, and make it the champion when its endpoint passes every gate.

    Raises:
        PermanentError: the online store was not filled, nothing can deploy to this platform, or the run is over.
        EndpointUnavailableError: the host could not promote; the alias has not moved.
        TransientError: the registry or its artifact store does not answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    release = documents.read(Release, release_folder / "release.json")
    champion = tracking.find_aliases(task.problem.name, settings).get("champion")
    fingerprint = served_fingerprint(release.fingerprints)
    case = _Case(task, release.version, fingerprint, champion, release_folder, folder, settings)
    if release.version is None or release.verdict != "promote":
        deployment = case.conclude("kept", [_format_champion(release.version, champion), *release.reasons])
    elif release.version == champion:
        deployment = _finish(case, release.version)
    elif release.compared_with != champion:
        deployment = case.conclude("kept", [_describe_change(release.version, release.compared_with, champion)])
    else:
        deployment = _roll_out(case, release.version)
    log.info("deploy: %s: %s", deployment.outcome, deployment.reasons[0].splitlines()[0])
    documents.write(deployment, folder / "deployment.json")
    return deployment


def promote_release(task: Task, version: str, by: str, reason: str, settings: Settings) -> Deployment:
    """Make a registered version the champion because a person says so, and record who and why beside the release.

    It passes every stage of a release but the comparison with the champion, which is what the person overrules. The
    champion's own version is served again, where its endpoint lost it.

    Raises:
        ModelRefusedError: there is no such version.
        EndpointUnavailableError: the host could not promote; the alias has not moved.
        TransientError: the registry or its artifact store does not answer.
    """
    name = task.problem.name
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = tracking.download_version(name, version, folder / "release", settings)
        fingerprint = served_fingerprint(read_served_version(task.problem, version, settings).fingerprints)
        champion = tracking.find_aliases(name, settings).get("champion")
        case = _Case(task, version, fingerprint, champion, files.model_folder, folder / "deployment", settings)
        case.folder.mkdir()
        # Before the rollout: a promotion that is interrupted has its reason too.
        tracking.note_promotion(name, version, by, reason, settings)
        return _finish(case, version) if version == champion else _roll_out(case, version)


def rollback_release(problem: Problem, reason: str, settings: Settings) -> str:
    """Make the champion before the present one the champion again, and return its version.

    Raises:
        ModelRefusedError: there is no champion before.
        PermanentError: nothing can deploy to this platform.
        TransientError: the registry or its artifact store does not answer.
    """
    previous = tracking.find_previous_champion(problem.name, settings)
    _serve(open_host(settings), read_served_version(problem, previous, settings))
    return tracking.rollback(problem.name, reason, settings)


def _roll_out(case: _Case, version: str) -> Deployment:
    settings = case.settings
    with tempfile.TemporaryDirectory() as downloads:
        files = tracking.download_version(case.problem.name, version, Path(downloads), settings)
        candidate = read_served_version(files.problem, version, settings)
        champion = read_served_version(files.problem, case.champion, settings) if case.champion else None
        stages = plan_rollout(candidate, champion, settings)
        rollout = _write_rollout(stages, case.folder)
        host = open_host(settings)
        smoke_test = _try_out(case, candidate, files.model_folder, host)
    canary_gates: list[Gate] = []
    for stage in stages[:-1]:
        if any(gate.blocks for gate in (*smoke_test.gates, *canary_gates)):
            break
        canary_gates.extend(host.shift(candidate, stage.percent))
    gates = [*smoke_test.gates, *canary_gates]
    found = {"smoke_test": smoke_test, "canary_gates": tuple(canary_gates)}
    failed = [gate.reason for gate in gates if gate.blocks]
    # All that took a while: the run may be over by now, or somebody may have changed the champion.
    require_run()
    now = tracking.find_aliases(case.problem.name, settings).get("champion")
    if now != case.champion:
        host.withdraw(candidate, read_served_version(files.problem, now, settings) if now else None)
        change = _describe_change(version, case.champion, now)
        return case.conclude("kept", [change], champion=now, previous=now, **found)
    if failed:
        host.withdraw(candidate, champion)
        tracking.withdraw(case.problem.name, version, failed, settings)
        return case.conclude("refused", [*failed, _format_champion(version, case.champion)], **found)
    _serve(host, candidate)
    previous = tracking.promote(case.problem.name, version, settings)
    reasons = [_format_champion(version, version), *(gate.reason for gate in gates)]
    found |= {"champion": version, "previous": previous, "rollout": rollout, "inference_service": _MANIFEST}
    return case.conclude("promoted", reasons, **found)


def _try_out(case: _Case, candidate: ServedVersion, model_folder: Path, host: ServingHost) -> SmokeTest:
    """Run the smoke test of a candidate whose files are the ones that were registered."""
    if fingerprint_model(model_folder) != case.model_fingerprint:
        reason = f"The registry's files of version {candidate.version} are not the model that was registered."
        return SmokeTest(gates=(limit_gate("changed_models", 1, 0, reason),))
    rows = read_trial_rows(case.release_folder, model_folder)
    model = load_model(case.task, model_folder)
    running = host.try_candidate(candidate, model_folder, case.folder / "predictor.log")
    return run_smoke_test(candidate, running, model, rows, case.settings)


def _finish(case: _Case, version: str) -> Deployment:
    """Finish what a crash left undone after the alias had moved; every gate was passed before that."""
    require_run()
    previous = tracking.promote(case.problem.name, version, case.settings)
    candidate = read_served_version(case.problem, version, case.settings)
    before = read_served_version(case.problem, previous, case.settings) if previous else None
    rollout = _write_rollout(plan_rollout(candidate, before, case.settings), case.folder)
    _serve(open_host(case.settings), candidate)
    return case.conclude(
        "promoted",
        [f"Version {version} is the champion already."],
        previous=previous,
        rollout=rollout,
        inference_service=_MANIFEST,
    )


def _serve(host: ServingHost, version: ServedVersion) -> None:
    """Promote a version on its host, and check that it answers every request."""
    host.promote(version)
    live = dict(host.live(version.endpoint))
    if live != {version.version: 100}:
        raise EndpointUnavailableError(
            f"deploy {version.problem.name}: version {version.version} must answer every request at the endpoint "
            f"{version.endpoint}, but got {live} (version: percent). The registry's champion is unchanged. Run again."
        )


def _describe_change(version: str, compared: str | None, champion: str | None) -> str:
    before, now = (f"version {one}" if one else "none" for one in (compared, champion))
    return (
        f"The champion changed meanwhile: version {version} was compared with {before}, and the champion "
        f"is now {now}. Run the pipeline again."
    )


def _format_champion(version: str | None, champion: str | None) -> str:
    if champion is None:
        return "The endpoint has no champion yet."
    return f"Version {champion} is the champion." if version == champion else f"Version {champion} stays champion."


def _write_rollout(stages: Sequence[Stage], folder: Path) -> tuple[RolloutStage, ...]:
    """Write the InferenceService of each stage, and the last one once more under a fixed name."""
    (folder / "rollout").mkdir(exist_ok=True)
    written = []
    for number, stage in enumerate(stages, 1):
        kind = "canary" if "canary" in stage.manifest["spec"] else "alone"
        file = f"rollout/{number}-{kind}-{stage.percent}.yaml"
        (folder / file).write_text(render_yaml(stage.manifest))
        written.append(RolloutStage(percent=stage.percent, file=file))
    (folder / _MANIFEST).write_text(render_yaml(stages[-1].manifest))
    return tuple(written)
