"""Endpoints on a cluster: one InferenceService a problem, which this process applies and KServe carries out.

In: versions to try, to shift requests to, and to promote. Out: what each stage measured. Called through `open_host`.

The state is the InferenceService itself: the version that serves is under `spec.predictor`, a candidate under
`spec.canary`. So a process that ended in the middle leaves one version that answers for what it did, and the next run
reads it and goes on. The predictor that serves is never rendered again, but applied as the cluster has it: a release
with another image or other settings does not touch what serves.

A promotion is two applies: all requests to the candidate and counted so, then the name. In one apply the gateway sends
requests to a Service that KServe has deleted already. Requests are split by an HTTPRoute that a gateway accepted; where
there is none, a candidate is tried in its dark launch and then promoted, and the record says so.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from components.base.adapters.kubernetes import (
    AUTOSCALERS,
    DEPLOYMENTS,
    GATEWAYS,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    PODS,
    SERVICES,
    Kubernetes,
    Object,
    is_true,
)
from components.base.errors import EndpointUnavailableError, PermanentError, TidemillError
from components.base.gate import Gate
from components.base.settings import Settings
from components.serving.client import Target, is_answering
from components.serving.gateway import COUNTED_REQUESTS, Gateway, format_count, is_split
from components.serving.inference_service import ServedVersion, render_canary, render_service, render_stable
from components.serving.rollout_limits import RolloutLimits
from components.serving.shadow import shadow_candidate

log = logging.getLogger(__name__)
# Weights are in force within four seconds of the apply; a busy controller takes longer.
_SPLIT_SECONDS = 90.0
_POLL_SECONDS = 1.0
# Limits are read this often while a share soaks: a candidate that fails is withdrawn early.
_WATCH_SECONDS = 15.0


class KServeHost:
    """The `ServingHost` of a cluster."""

    def __init__(self, settings: Settings, cluster: Kubernetes | None = None) -> None:
        """Name the namespace whose endpoints these are."""
        self._settings = settings
        self._cluster = cluster or Kubernetes(settings.endpoint_namespace)

    @contextmanager
    def try_candidate(
        self,
        candidate: ServedVersion,
        model_folder: Path,  # noqa: ARG002  # KServe fetches the files by the version's `storage_uri`
        log_path: Path,
    ) -> Iterator[Callable[[], Target]]:
        """Start the candidate's pod without a share of the requests.

        The first release of an endpoint has nothing to be beside: it serves from its start, and nobody calls it yet.
        """
        service = self._read(candidate.endpoint)
        if service is None:
            self._cluster.apply(INFERENCE_SERVICES, render_service(candidate, self._settings))
        elif _stable_version(service) != candidate.version:
            self._apply_canary(service, candidate, 0)
        try:
            yield lambda: Target(self._wait_answering(candidate))
        finally:
            self._keep_log(candidate, log_path)

    def shift(self, candidate: ServedVersion, percent: int) -> Sequence[Gate]:
        """Give the candidate its share, count that it is in force, and watch the limits for the contract's time."""
        service = self._read(candidate.endpoint)
        if service is None or (champion := _stable_version(service)) == candidate.version:
            return ()
        gateway = self._find_gateway(service)
        if gateway is None:
            if percent:
                return ()
            words = "no gateway accepts the endpoint's route: the candidate is promoted after its dark launch, unsplit."
            unsplit = Gate(name="split", verdict="not judged", value=None, limit=None, reason=words)
            return (unsplit, *shadow_candidate(candidate, champion, self._wait_answering(candidate), self._settings))
        self._apply_canary(service, candidate, percent)
        url = self._wait_answering(candidate)
        split = self._count_split(gateway, candidate, champion, percent)
        if split.blocks:
            return (split,)
        if percent == 0:
            return (split, *shadow_candidate(candidate, champion, url, self._settings))
        limits = RolloutLimits(candidate, champion, self._settings)
        return (split, *_watch(limits, percent, candidate.problem.serving.rollout.soak_seconds))

    def live(self, endpoint: str) -> Mapping[str, int]:
        """Return the split as counted at the gateway; without one, the version whose predictor serves."""
        service = self._read(endpoint)
        if service is None:
            return {}
        gateway = self._find_gateway(service)
        if gateway is None:
            return {_stable_version(service): 100}
        counted = gateway.count()
        return {version: round(100 * count / sum(counted.values())) for version, count in counted.items()}

    def promote(self, candidate: ServedVersion) -> None:
        """Give the candidate all requests, then make its predictor the one that serves, and remove what is left."""
        service = self._read(candidate.endpoint)
        if service is None:
            self._cluster.apply(INFERENCE_SERVICES, render_service(candidate, self._settings))
        elif _stable_version(service) == candidate.version:
            self._drop_canary(service, candidate)
        else:
            self._hand_over(service, candidate)
        self._wait_answering(candidate)
        self._delete_other_autoscalers(candidate)
        served = self._read(candidate.endpoint)
        gateway = self._find_gateway(served) if served else None
        if gateway:
            _wait_split(gateway, {candidate.version: 100})

    def withdraw(self, candidate: ServedVersion, champion: ServedVersion | None) -> None:
        """Drop the candidate; what served before goes on as it was."""
        service = self._read(candidate.endpoint)
        if service is None:
            return
        if _stable_version(service) != candidate.version:
            self._drop_canary(service, candidate)
        elif champion is not None:
            self.promote(champion)
        else:
            self._cluster.delete(INFERENCE_SERVICES, candidate.endpoint)
            self._cluster.wait(INFERENCE_SERVICES, candidate.endpoint, lambda found: found is None, _SPLIT_SECONDS)

    def _hand_over(self, service: Object, candidate: ServedVersion) -> None:
        """Move every request to the candidate beside the champion, and then the name."""
        champion = _stable_version(service)
        if candidate.version not in _canary_versions(service):
            self._apply_canary(service, candidate, 0)
        self._wait_answering(candidate)
        gateway = self._find_gateway(service)
        if gateway is not None:
            self._apply_canary(service, candidate, 100)
            self._wait_answering(candidate)
            split = self._count_split(gateway, candidate, champion, 100)
            if split.blocks:
                raise EndpointUnavailableError(
                    f"endpoint {candidate.endpoint}: version {candidate.version} must answer every request before "
                    f"version {champion} goes, but {split.reason} Run again."
                )
        self._cluster.apply(INFERENCE_SERVICES, render_service(candidate, self._settings))

    def _apply_canary(self, service: Object, candidate: ServedVersion, percent: int) -> None:
        predictor = service["spec"]["predictor"]
        self._cluster.apply(INFERENCE_SERVICES, render_canary(candidate, predictor, percent, self._settings))

    def _drop_canary(self, service: Object, version: ServedVersion) -> None:
        """Take every request from the canaries, and then end them: in one apply a gateway still sends there."""
        canaries = service["spec"].get("canary", [])
        if not canaries:
            return
        manifest = render_stable(version.problem, service["spec"]["predictor"], self._settings)
        gateway = self._find_gateway(service)
        if gateway and any(canary["trafficPercent"] for canary in canaries):
            dark = [{"trafficPercent": 0, "predictor": {**one["predictor"], "minReplicas": 1}} for one in canaries]
            self._cluster.apply(INFERENCE_SERVICES, {**manifest, "spec": {**manifest["spec"], "canary": dark}})
            _wait_split(gateway, {_stable_version(service): 100})
        self._cluster.apply(INFERENCE_SERVICES, manifest)

    def _read(self, endpoint: str) -> Object | None:
        return self._cluster.get(INFERENCE_SERVICES, endpoint)

    def _wait_answering(self, served: ServedVersion) -> str:
        """Wait until the version's own Service answers, and return its URL.

        Raises:
            EndpointUnavailableError: it does not within the contract's time, with the reasons that its pods give.
        """
        name = f"{served.endpoint}-v{served.version}-predictor"
        seconds = served.problem.serving.rollout.start_seconds
        until = time.monotonic() + seconds
        got = "no pod became ready"
        while time.monotonic() < until:
            service = self._cluster.get(SERVICES, name)
            if service and self._is_settled(served, name):
                address = service["spec"].get("clusterIP", "None")
                url = f"http://{name}.{self._cluster.namespace}" if address == "None" else f"http://{address}"
                if is_answering(url, f"/v2/models/{served.endpoint}/ready"):
                    return url
                got = f"its pods are ready, but {url} does not answer"
            time.sleep(_POLL_SECONDS)
        deployment = self._cluster.get(DEPLOYMENTS, name) or {}
        refused = [
            condition["message"]
            for condition in deployment.get("status", {}).get("conditions", [])
            if condition["type"] == "ReplicaFailure" and condition["status"] == "True"
        ]
        why = " ".join([*refused, self._cluster.explain_pods(_pod_labels(served))])
        raise EndpointUnavailableError(
            f"endpoint {served.endpoint} version {served.version}: it must answer within {seconds:g} seconds, but "
            f"{got}: {why}"
        )

    def _is_settled(self, served: ServedVersion, name: str) -> bool:
        """Return whether KServe has carried out the last apply, and every pod of the version is new and ready.

        The InferenceService's `observedGeneration` is no witness: it is the one of a Deployment.
        """
        service = self._read(served.endpoint)
        deployment = self._cluster.get(DEPLOYMENTS, name)
        if service is None or deployment is None:
            return False
        status = deployment.get("status", {})
        pods = deployment["spec"]["template"]["spec"]
        predictors = [service["spec"]["predictor"], *(one["predictor"] for one in service["spec"].get("canary", []))]
        applied = [_describe_container(one) for one in predictors if one.get("name") == f"v{served.version}"]
        is_observed = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        if not is_observed or _describe_container(pods) not in applied:
            return False
        wanted = deployment["spec"].get("replicas", 1)
        return bool(wanted <= status.get("updatedReplicas", 0) and 0 < wanted <= status.get("availableReplicas", 0))

    def _count_split(self, gateway: Gateway, candidate: ServedVersion, champion: str, percent: int) -> Gate:
        """Count at the gateway until the split is in force, and return what was counted last as a gate."""
        expected = {champion: 100 - percent, candidate.version: percent}
        counted = _wait_split(gateway, expected)
        return Gate(
            name="split",
            verdict="pass" if is_split(counted, expected) else "fail",
            value=counted.get(candidate.version, 0) / COUNTED_REQUESTS,
            limit=percent / 100,
            reason=f"at {percent} %, {COUNTED_REQUESTS} requests counted at the gateway: {format_count(counted)}.",
        )

    def _find_gateway(self, service: Object) -> Gateway | None:
        """Return the gateway that accepted the endpoint's route; None when nothing splits requests."""
        name = service["metadata"]["name"]
        route = self._cluster.get(HTTP_ROUTES, name)
        parents = (route or {}).get("status", {}).get("parents", [])
        if route is None or not any(is_true(parent, "Accepted") for parent in parents):
            return None
        reference = route["spec"]["parentRefs"][0]
        url = self._settings.gateway_url or self._read_gateway_url(reference)
        host = urlsplit(service.get("status", {}).get("url", "")).hostname or route["spec"]["hostnames"][0]
        return Gateway(url, host, name)

    def _read_gateway_url(self, reference: Object) -> str:
        gateway = self._cluster.get(GATEWAYS, reference["name"], reference.get("namespace", ""))
        addresses = (gateway or {}).get("status", {}).get("addresses", [])
        if not addresses:
            raise PermanentError(
                f"gateway {reference['name']}: it must report an address, but has none. Set TIDEMILL_GATEWAY_URL."
            )
        return f"http://{addresses[0]['value']}"

    def _delete_other_autoscalers(self, served: ServedVersion) -> None:
        """Delete what KServe leaves behind when a predictor's name changes."""
        own = f"{served.endpoint}-v{served.version}-predictor"
        for scaler in self._cluster.list(AUTOSCALERS):
            owners = scaler["metadata"].get("ownerReferences", [])
            name = scaler["metadata"]["name"]
            is_ours = any((owner["kind"], owner["name"]) == ("InferenceService", served.endpoint) for owner in owners)
            if is_ours and name != own:
                self._cluster.delete(AUTOSCALERS, name)

    def _keep_log(self, candidate: ServedVersion, log_path: Path) -> None:
        """Leave the log of the candidate's pods; a cluster that is gone takes no other error's place."""
        try:
            pods = [pod["metadata"]["name"] for pod in self._cluster.list(PODS, _pod_labels(candidate))]
            text = "".join(f"{pod}\n{self._cluster.read_log(pod, 'kserve-container')}\n" for pod in pods)
        except TidemillError as error:
            text = f"{error}\n"
        log_path.parent.mkdir(parents=True, exist_ok=True)
        log_path.write_text(text, encoding="utf-8")


def _wait_split(gateway: Gateway, expected: Mapping[str, int]) -> Mapping[str, int]:
    """Count at the gateway until a split in percent is in force, or as long as one may take; return the last count."""
    until = time.monotonic() + _SPLIT_SECONDS
    while not is_split(counted := gateway.count(), expected) and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    return counted


def _watch(limits: RolloutLimits, percent: int, seconds: float) -> Sequence[Gate]:
    """Read the limits until the time is over or one is broken, and return the last reading."""
    begun = time.monotonic()
    while (left := seconds - (time.monotonic() - begun)) > 0:
        time.sleep(min(left, _WATCH_SECONDS))
        gates = limits.read(percent, time.monotonic() - begun)
        if any(gate.blocks for gate in gates):
            return gates
    return limits.read(percent, seconds) if seconds else ()


def _stable_version(service: Object) -> str:
    return str(service["spec"]["predictor"].get("name", "")).removeprefix("v")


def _canary_versions(service: Object) -> list[str]:
    return [str(canary["predictor"]["name"]).removeprefix("v") for canary in service["spec"].get("canary", [])]


def _pod_labels(served: ServedVersion) -> dict[str, str]:
    return {
        "serving.kserve.io/inferenceservice": served.endpoint,
        "tidemill.io/model-version": served.version,
    }


def _describe_container(pod: Object) -> list[object]:
    """Return what differs between two renderings of one version's container: the image, and what runs in it."""
    (container,) = (each for each in pod["containers"] if each["name"] == "kserve-container")
    return [container.get(name) for name in ("image", "command", "resources")]
