"""What `register` and `deploy` write about one release: the documents that the reports read.

Layout of the folders
    release/release.json          a `Release`
    release/golden.parquet        the golden rows: request columns, and the features that training saw for them
    release/newest.parquet        the newest requests: request columns, and the features that training would have got
    deployment/deployment.json    a `Deployment`
    deployment/rollout/           the InferenceService of each stage of the rollout, for a cluster
    deployment/predictor.log      what the candidate logged during its smoke test
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from components.base.contract.problem import Problem
from components.base.documents import Document
from components.base.gate import Gate, Verdict

if TYPE_CHECKING:
    import pandas as pd

    from components.models.artifact import Model

STEPS = {
    "contract": "frame",
    "snapshot": "ingest",
    "features": "build",
    "prepared": "prepare",
    "trials": "tune",
    "model": "ensemble",
    "predictions": "ensemble",
    "gates": "evaluate",
    "verdict": "evaluate",
    "served": "refit",
    "answers": "refit",
}
"""The step that makes each output of a training, in the order of the steps."""


class Release(Document):
    """One model of one run, with what became of it in the registry."""

    problem: str
    verdict: Verdict
    """Of `evaluate`: promote may be deployed; hold is sound, but not surely better; refuse broke a gate."""
    reasons: tuple[str, ...]
    version: str | None
    """In the registry; None for a refused model, which is recorded as a run only."""
    aliases: tuple[str, ...]
    """Held by this version after registration."""
    champion: str | None
    """The champion's version when this one was registered."""
    run_id: str
    mlflow_run: str
    model_uri: str | None
    """`models:/<problem>/<version>`."""
    storage_uri: str
    """The folder with model.skops, model.json and what else serving needs: the served model."""
    as_of: str
    family: str
    kind: str
    feature_service: str
    fingerprints: Mapping[str, str]
    """SHA-256 in hexadecimal of each output of `STEPS` but the verdict. `predictions` are those of the judged model
    (`model`) for the golden rows, `answers` those of the served one (`served`)."""
    golden_rows: int
    registered_at: str
    compared_with: str | None = None
    """The champion's version that `evaluate` compared this model with; None when there was none."""


class Replay(Document):
    """What the candidate answered for the golden rows, compared with the offline model; differences are absolute."""

    rows: int
    v1_difference: float | None
    """Greatest difference of two outputs over the V1 protocol; None when one was not a number."""
    v2_difference: float | None
    different_decisions: int
    """Over all V1 passes and V2."""
    positive_decisions: int
    """Rows on which it acts."""
    p50_milliseconds: float
    p99_milliseconds: float
    """Of single V1 requests in the best pass, without the time for which they waited for a processor."""
    p99_on_clock_milliseconds: float | None = None
    """With it; None in the record of an older platform."""
    passes: int
    """V1 passes: more than one when the machine was too busy for the limit."""
    ready_seconds: float
    """From the start of the candidate to its first answer."""
    missing_features: Mapping[str, int]
    """Rows answered without a feature, by feature."""


class FeatureDifference(Document):
    """One feature of the newest requests: what is served now against what training would have got."""

    feature: str
    rows: int
    different_rows: int
    """Without those whose value has become too old since the store was filled."""
    mean_absolute_difference: float | None
    """Where both are numbers; None when that is nowhere."""
    missing_rows: int = 0
    """Served without a value, for the store does not hold the entity or holds what is too old."""
    expired_rows: int = 0
    """Served without the value that the store has, for it is older than its time to live."""
    training_missing_ratio: float = 0.0
    """Share of the training rows without a value."""

    @property
    def different_ratio(self) -> float:
        """Share of the rows with another value."""
        return self.different_rows / self.rows

    @property
    def missing_rise(self) -> float:
        """Share of missing values beyond that of training."""
        return self.missing_rows / self.rows - self.training_missing_ratio

    @property
    def expired_rise(self) -> float:
        """Share of expired values beyond what training lacked."""
        return min(self.expired_rows / self.rows, max(0.0, self.missing_rise))


class SmokeTest(Document):
    """The candidate behind its real endpoint, before it gets a request of a user."""

    gates: tuple[Gate, ...]
    replay: Replay | None = None
    """None when the candidate did not answer."""
    skew: tuple[FeatureDifference, ...] = ()


class RolloutStage(Document):
    """One step of a rollout."""

    percent: int
    """Share of the requests that the candidate answers."""
    file: str
    """Its InferenceService, in the folder of the deployment."""


class Deployment(Document):
    """What became of a release."""

    problem: str
    endpoint: str
    outcome: Literal["promoted", "refused", "kept"]
    """`refused`: the endpoint failed a gate. `kept`: not wanted, or compared with another champion."""
    candidate: str | None
    """The version of the release; None for a refused model."""
    champion: str | None
    """The version that serves from now on."""
    previous: str | None
    """The champion before."""
    reasons: tuple[str, ...]
    smoke_test: SmokeTest | None = None
    """None when the candidate was not tested in this run."""
    canary_gates: tuple[Gate, ...] = ()
    """What the candidate had to pass at each share of the traffic."""
    inference_service: str | None = None
    """The file of the last stage; None when nothing is rolled out."""
    rollout: tuple[RolloutStage, ...] = ()
    deployed_at: str
    """ISO 8601, UTC."""

    @property
    def gates(self) -> tuple[Gate, ...]:
        """Every gate of the endpoint, in the order in which they were applied."""
        return (*(self.smoke_test.gates if self.smoke_test else ()), *self.canary_gates)


def served_fingerprint(fingerprints: Mapping[str, str]) -> str:
    """Return which of a version's fingerprints is of its served model; an older platform served the judged one."""
    return fingerprints.get("served", fingerprints["model"])


def fingerprint_contract(problem: Problem) -> str:
    """Return the SHA-256 over a contract with all its defaults."""
    return hashlib.sha256(problem.model_dump_json().encode()).hexdigest()


def fingerprint_predictions(model: "Model", rows: "pd.DataFrame") -> str:
    """Return the SHA-256 over the outputs for the rows."""
    return hashlib.sha256(model.predict(rows).tobytes()).hexdigest()


def fingerprint_gates(gates: Sequence[Gate]) -> str:
    """Return the SHA-256 over every gate with what it measured."""
    return hashlib.sha256("".join(gate.model_dump_json() for gate in gates).encode()).hexdigest()
