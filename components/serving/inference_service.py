"""Render the InferenceService of an endpoint for KServe in Standard mode, without a cluster.

In: the candidate with its contract, and the champion. Out: one manifest for each stage of the rollout that the contract
plans, all for the same name: a release never makes a new endpoint. Called by `deploy` and by the host of a cluster.

A stage is applied as a whole. While a share of the traffic goes to the candidate, the champion stays under
`spec.predictor` and the candidate under `spec.canary`; `canaryTrafficPercent` is Knative's and ignored in this mode. A
predictor is named after its version, so that the last stage only moves the name and restarts no pod (kserve/kserve
pull request 5672): the stage before gives the candidate all requests, and only then the champion's Service goes.

What KServe's webhook demands beyond its CustomResourceDefinition: the model is named by STORAGE_URI in the environment
of `kserve-container` (`storageUris` beside a container is no model to it, so that it refuses every canary), and a
canary has no scaling fields. Its replicas follow from the share, so that a dark launch must ask for one.

What the namespace must hold: the ConfigMap `tidemill-settings` and the Secret `tidemill-secrets` (TIDEMILL_*, a file a
variable: Feast's registry and online store, the object store) and the ServiceAccount `tidemill-predictor` (reads the
model from the object store). The log's spool outlives a container that is killed, not the pod: a pod that is deleted
stores it in its time of grace.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from components.base.contract.problem import Problem
from components.base.installation import IMAGE_USER, SECRETS, SECRETS_FOLDER, SETTINGS, SETTINGS_FOLDER
from components.base.settings import Settings

Manifest = dict[str, Any]
_PORT = 8080
_MODEL_FOLDER = "/mnt/models"
# A placeholder that names its own remedy: nobody can pull it.
_NO_IMAGE = "tidemill-python:set-TIDEMILL_IMAGE"
# One process of one thread: more CPU is of no use, more load takes more replicas. All four are set: KServe completes a
# predictor and not a canary, and a pod that differs by what was completed restarts when it is promoted.
RESOURCES = {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
_SPOOL_FOLDER = "/var/spool/tidemill"
# Beside the log's own limit: a segment that is kept aside; a pod that writes more than its volume holds is evicted.
_SPOOL_RESERVE_MIB = 256
# A gateway and kube-proxy name a pod for some seconds after it began to end: it goes on answering meanwhile.
_DRAIN_SECONDS = 8
# After that the predictor ends its connections by answers (3 seconds), awaits requests in flight (20) and stores its
# log (4); the rest is for the end of the process.
_GRACE_SECONDS = _DRAIN_SECONDS + 3 + 20 + 4 + 3


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
    """Return the stages in order: the dark launch, the contract's shares up to 100, and the candidate alone.

    The first release of an endpoint has the last stage only.
    """
    alone = Stage(100, render_service(candidate, settings))
    if champion is None or champion.version == candidate.version:
        return [alone]
    before = render_service(champion, settings)["spec"]["predictor"]
    shares = sorted({0, *candidate.problem.serving.canary_percent})
    return [*(Stage(percent, render_canary(candidate, before, percent, settings)) for percent in shares), alone]


def render_service(served: ServedVersion, settings: Settings) -> Manifest:
    """Build the InferenceService that serves one version alone."""
    serving = served.problem.serving
    scaling = {
        "minReplicas": serving.minimum_replicas,
        "maxReplicas": serving.maximum_replicas,
        "scaleMetric": "cpu",
        "scaleTarget": serving.scale_cpu_percent,
    }
    return render_stable(served.problem, {**_predictor(served, settings), **scaling}, settings)


def render_stable(problem: Problem, predictor: Manifest, settings: Settings) -> Manifest:
    """Build the InferenceService around a predictor, such as one that serves already and is to stay as it is."""
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
        "spec": {"predictor": predictor},
    }


def render_canary(candidate: ServedVersion, predictor: Manifest, percent: int, settings: Settings) -> Manifest:
    """Build the InferenceService in which a predictor goes on and the candidate answers a share of its requests."""
    manifest = render_stable(candidate.problem, predictor, settings)
    canary = _predictor(candidate, settings)
    if percent == 0:
        # KServe gives a canary its share of the replicas, and a share of nothing would be no pod.
        canary["minReplicas"] = 1
    manifest["spec"]["canary"] = [{"trafficPercent": percent, "predictor": canary}]
    return manifest


def render_yaml(manifest: Manifest) -> str:
    """Write a manifest as YAML: the same manifest gives the same text."""
    # The way through JSON copies parts that occur twice, which YAML would write as anchors.
    return yaml.safe_dump(json.loads(json.dumps(manifest)), sort_keys=False, width=120)


def _predictor(served: ServedVersion, settings: Settings) -> Manifest:
    spool_mib = settings.prediction_log_spool_bytes // 2**20 + _SPOOL_RESERVE_MIB
    return {
        "name": f"v{served.version}",
        "labels": {**_labels(served.problem), "tidemill.io/model-version": served.version},
        "annotations": {
            f"tidemill.io/{name}-fingerprint": digits for name, digits in sorted(served.fingerprints.items())
        },
        "serviceAccountName": "tidemill-predictor",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": IMAGE_USER,
            "fsGroup": IMAGE_USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(served, settings)],
        "volumes": [
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
            {"name": "spool", "emptyDir": {"sizeLimit": f"{spool_mib}Mi"}},
            {"name": "settings", "configMap": {"name": SETTINGS}},
            {"name": "secrets", "secret": {"secretName": SECRETS}},
        ],
    }


def _container(served: ServedVersion, settings: Settings) -> Manifest:
    name = served.endpoint
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
            # By this variable KServe knows the model and mounts its files.
            {"name": "STORAGE_URI", "value": served.storage_uri},
            # Unset, OpenMP's threads spin against each other and cost ten times the CPU.
            {"name": "OMP_NUM_THREADS", "value": "1"},
            {"name": "HOME", "value": "/tmp"},  # noqa: S108
            {"name": "TIDEMILL_HOME", "value": "/tmp/tidemill"},  # noqa: S108
            {"name": "TIDEMILL_PREDICTION_LOG_SPOOL", "value": _SPOOL_FOLDER},
        ],
        "resources": RESOURCES,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            {"name": "spool", "mountPath": _SPOOL_FOLDER},
            {"name": "settings", "mountPath": str(SETTINGS_FOLDER), "readOnly": True},
            {"name": "secrets", "mountPath": str(SECRETS_FOLDER), "readOnly": True},
        ],
        "lifecycle": {"preStop": {"sleep": {"seconds": _DRAIN_SECONDS}}},
        # Start-up takes seconds; two minutes cover a busy node.
        "startupProbe": {**ready, "periodSeconds": 2, "failureThreshold": 60},
        "readinessProbe": {**ready, "periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 2},
        "livenessProbe": {**alive, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3},
    }


def _labels(problem: Problem) -> dict[str, str]:
    return {"app.kubernetes.io/part-of": "tidemill", "tidemill.io/problem": problem.name}
