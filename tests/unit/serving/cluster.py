"""A cluster with KServe in memory: it carries out an InferenceService as the real controller was seen to."""

import copy
from typing import Any

from components.base.adapters.kubernetes import (
    AUTOSCALERS,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    SERVICES,
    Kind,
)
from components.base.errors import TransientError


class Cluster:
    """Holds one InferenceService and derives what KServe makes of it."""

    namespace = "models"

    def __init__(self, has_gateway: bool = True) -> None:
        self.has_gateway = has_gateway
        self.service: dict[str, Any] | None = None
        self.applied: list[dict[str, Any]] = []
        self.autoscalers: set[str] = set()
        self.cannot_start: set[str] = set()
        self.ignores_weights = False
        self.dies_at: int | None = None
        """The apply at which the API server goes away."""

    def apply(self, kind: Kind, manifest: dict[str, Any]) -> dict[str, Any]:
        assert kind == INFERENCE_SERVICES
        if self.dies_at is not None and len(self.applied) >= self.dies_at:
            raise TransientError("kubernetes: the API server must answer.")
        self.applied.append(copy.deepcopy(manifest))
        self.service = copy.deepcopy(manifest)
        # Not its own generation, but a Deployment's.
        self.service["status"] = {"observedGeneration": 1, "url": "http://flight-delays.example"}
        self.autoscalers.add(self.stable)
        return self.service

    @property
    def stable(self) -> str:
        return self.service["spec"]["predictor"]["name"]

    @property
    def weights(self) -> dict[str, int]:
        """Percent by predictor."""
        canaries = {
            canary["predictor"]["name"]: canary["trafficPercent"] for canary in self.service["spec"].get("canary", [])
        }
        if self.ignores_weights:
            canaries = dict.fromkeys(canaries, 0)
        return {self.stable: 100 - sum(canaries.values()), **canaries}

    def get(self, kind: Kind, name: str, namespace: str = "") -> dict[str, Any] | None:
        if kind == INFERENCE_SERVICES or self.service is None:
            return copy.deepcopy(self.service)
        if kind == HTTP_ROUTES:
            accepted = [{"conditions": [{"type": "Accepted", "status": "True"}]}] if self.has_gateway else []
            return {"spec": {"parentRefs": [{"name": "gw"}], "hostnames": ["x"]}, "status": {"parents": accepted}}
        predictor = name.removeprefix("flight-delays-").removesuffix("-predictor")
        if predictor not in self.weights:
            return None
        if kind == SERVICES:
            return {"spec": {"clusterIP": predictor}}
        ready = 0 if predictor in self.cannot_start else 1
        status = {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": ready}
        spec = self.service["spec"]
        predictors = [spec["predictor"], *(canary["predictor"] for canary in spec.get("canary", []))]
        (pods,) = [each for each in predictors if each["name"] == predictor]
        return {"metadata": {"generation": 1}, "spec": {"replicas": 1, "template": {"spec": pods}}, "status": status}

    def list(self, kind: Kind, labels: Any = None, fields: str = "") -> list[dict[str, Any]]:
        if kind != AUTOSCALERS:
            return []
        owner = [{"kind": "InferenceService", "name": "flight-delays"}]
        names = [f"flight-delays-{name}-predictor" for name in sorted(self.autoscalers)]
        return [{"metadata": {"name": name, "ownerReferences": owner}} for name in names]

    def delete(self, kind: Kind, name: str) -> None:
        if kind == INFERENCE_SERVICES:
            self.service = None
        else:
            self.autoscalers.remove(name.removeprefix("flight-delays-").removesuffix("-predictor"))

    def wait(self, kind: Kind, name: str, holds: Any, seconds: float) -> bool:
        return bool(holds(self.get(kind, name)))

    def explain_pods(self, labels: dict[str, str]) -> str:
        return f"pod of version {labels['tidemill.io/model-version']}: kserve-container waits: ImagePullBackOff"

    def read_log(self, pod: str, container: str) -> str:
        return ""
