"""Render the InferenceService of an endpoint for KServe 0.21 in Standard mode, without a cluster.

In: the candidate with its contract, and the champion. Out: one manifest for each stage of the rollout that the contract
plans, all for the same name: a release never makes a new endpoint. Called by `deploy`.

A stage is applied as a whole. While a share of the traffic goes to the candidate, the champion stays under
`spec.predictor` and the candidate under `spec.canary`; `canaryTrafficPercent` is Knative's and ignored in this mode. A
predictor is named after its version, so that the last stage only moves the name and restarts no pod (kserve/kserve
pull request 5672). A canary has no scaling fields: KServe derives its replicas from the share.

What the namespace must hold: the ConfigMap `tidemill-settings` (TIDEMILL_*: Feast's registry and online store, the
object store) and the ServiceAccount `tidemill-predictor` (reads the model from the object store and writes the
prediction log to it). The log's spool outlives a container that is killed, not the pod: a pod that is deleted stores
it in its time of grace.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from components.base.contract.problem import Problem
from components.base.settings import Settings

Manifest = dict[str, Any]
_PORT = 8080
_MODEL_FOLDER = "/mnt/models"
# A placeholder that names its own remedy: nobody can pull it.
_NO_IMAGE = "tidemill-python:set-TIDEMILL_IMAGE"
# One process of one thread: more CPU is of no use, more load takes more replicas.
_RESOURCES = {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
# Above this share of the requested CPU the pods multiply, before requests queue in the one process.
_SCALE_CPU_PERCENT = 70
_SPOOL_FOLDER = "/var/spool/tidemill"
# Beside the log's own limit: a segment that is kept aside; a pod that writes more than its volume holds is evicted.
_SPOOL_RESERVE_MIB = 256
# Any but 0: the image's files are readable by all.
_USER = 1000


@dataclass(frozen=True)
class ServedVersion:
    """One version of the registry that an endpoint can serve."""

    problem: Problem
    """The contract that it serves under."""
    version: str
    storage_uri: str
    fingerprints: Mapping[str, str]

    @property
    def endpoint(self) -> str:
        """The name of its endpoint."""
        return self.problem.serving.endpoint


@dataclass(frozen=True)
class Stage:
    """One step of a rollout."""

    percent: int
    """Share of the requests that the candidate answers."""
    manifest: Manifest


def plan_rollout(candidate: ServedVersion, champion: ServedVersion | None, settings: Settings) -> list[Stage]:
    """Return the stages in order; the last one has the candidate alone, and so has the first release of an endpoint."""
    problem = candidate.problem
    shares = [percent for percent in problem.serving.canary_percent if percent < 100]
    if champion is None or champion.version == candidate.version:
        shares = []
    stages = [Stage(percent, _manifest(problem, champion or candidate, settings)) for percent in shares]
    for stage in stages:
        canary = _predictor(problem, candidate, settings)
        stage.manifest["spec"]["canary"] = [{"trafficPercent": stage.percent, "predictor": canary}]
    return [*stages, Stage(100, _manifest(problem, candidate, settings))]


def render_yaml(manifest: Manifest) -> str:
    """Write a manifest as YAML: the same manifest gives the same text."""
    # The way through JSON copies parts that occur twice, which YAML would write as anchors.
    return yaml.safe_dump(json.loads(json.dumps(manifest)), sort_keys=False, width=120)


def _manifest(problem: Problem, stable: ServedVersion, settings: Settings) -> Manifest:
    scaling = {
        "minReplicas": problem.serving.minimum_replicas,
        "maxReplicas": problem.serving.maximum_replicas,
        "scaleMetric": "cpu",
        "scaleTarget": _SCALE_CPU_PERCENT,
    }
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": problem.serving.endpoint,
            "namespace": settings.endpoint_namespace,
            "labels": _labels(problem),
            "annotations": {
                "serving.kserve.io/deploymentMode": "Standard",
                "serving.kserve.io/autoscalerClass": "hpa",
            },
        },
        "spec": {"predictor": {**_predictor(problem, stable, settings), **scaling}},
    }


def _predictor(problem: Problem, served: ServedVersion, settings: Settings) -> Manifest:
    spool_mib = settings.prediction_log_spool_bytes // 2**20 + _SPOOL_RESERVE_MIB
    return {
        "name": f"v{served.version}",
        "labels": {**_labels(problem), "tidemill.io/model-version": served.version},
        "annotations": {
            f"tidemill.io/{name}-fingerprint": digits for name, digits in sorted(served.fingerprints.items())
        },
        "serviceAccountName": "tidemill-predictor",
        "automountServiceAccountToken": False,
        # Requests in flight get the predictor's 20 seconds of grace, the prediction log 4 more.
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "storageUris": [{"uri": served.storage_uri, "mountPath": _MODEL_FOLDER}],
        "containers": [_container(problem, served, settings)],
        "volumes": [
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
            {"name": "spool", "emptyDir": {"sizeLimit": f"{spool_mib}Mi"}},
        ],
    }


def _container(problem: Problem, served: ServedVersion, settings: Settings) -> Manifest:
    name = problem.serving.endpoint
    options = {"--model-dir": _MODEL_FOLDER, "--model-version": served.version, "--name": name, "--host": "0.0.0.0"}  # noqa: S104
    ready = {"httpGet": {"path": f"/v2/models/{name}/ready", "port": _PORT}}
    alive = {"httpGet": {"path": "/v2/health/live", "port": _PORT}}
    return {
        # The name by which KServe finds the container that serves.
        "name": "kserve-container",
        "image": settings.image or _NO_IMAGE,
        "command": ["python", "-m", "components.serving.predictor"],
        "args": [*(word for option in options.items() for word in option), "--port", str(_PORT)],
        "ports": [{"containerPort": _PORT, "name": "http1", "protocol": "TCP"}],
        "env": [
            # Unset, OpenMP's threads spin against each other and cost ten times the CPU.
            {"name": "OMP_NUM_THREADS", "value": "1"},
            {"name": "TIDEMILL_HOME", "value": "/tmp/tidemill"},  # noqa: S108
            {"name": "TIDEMILL_PREDICTION_LOG_SPOOL", "value": _SPOOL_FOLDER},
        ],
        "envFrom": [{"configMapRef": {"name": "tidemill-settings"}}],
        "resources": _RESOURCES,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            {"name": "spool", "mountPath": _SPOOL_FOLDER},
        ],
        # Start-up takes seconds; two minutes cover a busy node.
        "startupProbe": {**ready, "periodSeconds": 2, "failureThreshold": 60},
        "readinessProbe": {**ready, "periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 2},
        "livenessProbe": {**alive, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3},
    }


def _labels(problem: Problem) -> dict[str, str]:
    return {"app.kubernetes.io/part-of": "tidemill", "tidemill.io/problem": problem.name}
