"""Objects of one namespace of a Kubernetes cluster, or of all: the only module that imports the client.

In: manifests and names. Out: objects as dictionaries, as the API server returns them. Called by the host of endpoints
and by the commands that look at a cluster.
Objects are written by server-side apply, whose field manager owns what the manifest names and nothing else: an apply
that is repeated changes nothing. Only what is transient is tried again, here and nowhere else.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from components.base.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, Configuration

Object = dict[str, Any]
FIELD_MANAGER = "tidemill"
# Pauses between the attempts: an API server that is replaced is back within half a minute.
_PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
_TIMEOUT_SECONDS = 15.0
_POLL_SECONDS = 1.0
_SHOWN_CHARACTERS = 300


@dataclass(frozen=True)
class Kind:
    """One kind of objects, as its path in the API names it."""

    api: str
    """`v1`, or group/version."""
    plural: str

    def path(self, namespace: str, name: str = "") -> str:
        """Return the path of the collection, or of one object; without a namespace, of the whole cluster."""
        root = "/api" if "/" not in self.api else "/apis"
        place = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}/{self.api}{place}/{self.plural}" + (f"/{name}" if name else "")


PODS = Kind("v1", "pods")
EVENTS = Kind("v1", "events")
SERVICES = Kind("v1", "services")
DEPLOYMENTS = Kind("apps/v1", "deployments")
STATEFULSETS = Kind("apps/v1", "statefulsets")
AUTOSCALERS = Kind("autoscaling/v2", "horizontalpodautoscalers")
HTTP_ROUTES = Kind("gateway.networking.k8s.io/v1", "httproutes")
GATEWAYS = Kind("gateway.networking.k8s.io/v1", "gateways")
GATEWAY_CLASSES = Kind("gateway.networking.k8s.io/v1", "gatewayclasses")
INFERENCE_SERVICES = Kind("serving.kserve.io/v1beta1", "inferenceservices")
NODES = Kind("v1", "nodes")
VOLUME_CLAIMS = Kind("v1", "persistentvolumeclaims")
STORAGE_CLASSES = Kind("storage.k8s.io/v1", "storageclasses")
_ACCESS_REVIEWS = Kind("authorization.k8s.io/v1", "selfsubjectaccessreviews")


def parse_quantity(text: str) -> float:
    """Return a quantity as Kubernetes writes it, `250m` or `1Gi`, in CPUs or bytes."""
    from kubernetes.utils import parse_quantity as parse

    return float(parse(text))


def is_true(status: Object, condition: str) -> bool:
    """Return whether a status, which lists `conditions`, has this one as true."""
    return any((one["type"], one["status"]) == (condition, "True") for one in status.get("conditions", []))


class Kubernetes:
    """One namespace, as this process's service account or kubeconfig reaches it; the whole cluster, if it has no name.

    Every method raises TransientError when the API server does not answer after some attempts, and PermanentError with
    its words when it refuses.
    """

    def __init__(
        self, namespace: str, client: "ApiClient | None" = None, pauses: Sequence[float] = _PAUSES_SECONDS
    ) -> None:
        """Name the namespace; the first call connects, with the account of the pod or the kubeconfig."""
        self.namespace = namespace
        self._given = client
        self._pauses = pauses

    def apply(self, kind: Kind, manifest: Object) -> Object:
        """Create or change an object so that it has what the manifest names, and return it."""
        path = kind.path(self.namespace, manifest["metadata"]["name"])
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        applied: Object = self._call("PATCH", path, query, manifest)
        return applied

    def get(self, kind: Kind, name: str, namespace: str = "") -> Object | None:
        """Return an object; None when there is none, or no such kind."""
        found: Object | None = self._call("GET", kind.path(namespace or self.namespace, name), missing_is_none=True)
        return found

    def list(
        self, kind: Kind, labels: Mapping[str, str] | None = None, fields: str = "", namespace: str = ""
    ) -> list[Object]:
        """Return the objects with these labels."""
        query = {"labelSelector": ",".join(f"{name}={value}" for name, value in (labels or {}).items())}
        found = self._call("GET", kind.path(namespace or self.namespace), {**query, "fieldSelector": fields})
        return list(found["items"])

    def read(self, path: str) -> Object | None:
        """Return what the API server answers at a path, such as `/version`; None when it knows none."""
        found: Object | None = self._call("GET", path, missing_is_none=True)
        return found

    def read_clock(self) -> datetime:
        """Return the API server's time, to the second."""
        headers = self._send("GET", "/version", {}, None, "object")[2]
        return parsedate_to_datetime(headers["Date"])

    def may(self, verb: str, group: str, resource: str, namespace: str = "") -> bool:
        """Return whether this account may do that, in one namespace or in all; `pods/log` is a part of a resource."""
        plural, _, part = resource.partition("/")
        attributes = {"verb": verb, "group": group, "resource": plural, "subresource": part, "namespace": namespace}
        review = {
            "apiVersion": _ACCESS_REVIEWS.api,
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        return bool(self._call("POST", _ACCESS_REVIEWS.path(""), body=review)["status"]["allowed"])

    def delete(self, kind: Kind, name: str) -> None:
        """Delete an object and what it owns; one that is gone already is no fault."""
        query = {"propagationPolicy": "Background"}
        self._call("DELETE", kind.path(self.namespace, name), query, missing_is_none=True)

    def wait(self, kind: Kind, name: str, holds: Callable[[Object | None], bool], seconds: float) -> bool:
        """Return whether a condition of an object holds within that time."""
        until = time.monotonic() + seconds
        while not holds(self.get(kind, name)):
            if time.monotonic() > until:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def read_log(self, pod: str, container: str) -> str:
        """Return the end of a container's log; empty when it never started."""
        query = {"container": container, "tailLines": "200"}
        path = f"{PODS.path(self.namespace, pod)}/log"
        try:
            return str(self._call("GET", path, query, returns="str", missing_is_none=True) or "")
        except PermanentError:
            return ""

    def explain_pods(self, labels: Mapping[str, str]) -> str:
        """Say in one line why pods do not run: waiting and ended containers, the scheduler, and warnings."""
        reasons: list[str] = []
        for pod in self.list(PODS, labels):
            name = pod["metadata"]["name"]
            found = list(_pod_reasons(pod))
            events = self.list(EVENTS, fields=f"involvedObject.name={name},type=Warning")
            found += [f"{event['reason']}: {_shorten(event.get('message', ''))}" for event in events[-3:]]
            reasons += [f"pod {name}: {'; '.join(dict.fromkeys(found))}"] if found else []
        return " ".join(reasons) or "no pod says why"

    @cached_property
    def _client(self) -> "ApiClient":
        from kubernetes import client, config

        if self._given is not None:
            return self._given
        configuration = client.Configuration()
        configuration.retries = False
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            self._load_kubeconfig(configuration)
        return client.ApiClient(configuration)

    def _load_kubeconfig(self, configuration: "Configuration") -> None:
        from kubernetes import config

        try:
            config.load_kube_config(client_configuration=configuration)
        except config.ConfigException as error:
            raise PermanentError(
                f"kubernetes: a service account or a kubeconfig must name the cluster, but got: {error} Set KUBECONFIG."
            ) from error

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        *,
        missing_is_none: bool = False,
        returns: str = "object",
    ) -> Any:
        """Send one request, again after a transient fault."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        got = ""
        for pause in (*self._pauses, None):
            try:
                return self._send(method, path, query or {}, body, returns)[0]
            except ApiException as error:
                if error.status == 404 and missing_is_none:
                    return None
                got = _read_reason(error)
                # A webhook that is restarted answers through the API server: 500 with its own name in the text.
                if error.status not in (0, 408, 429) and error.status < 500:
                    raise PermanentError(
                        f"kubernetes {method} {path}: the cluster must accept it, but got {error.status}: {got}. "
                        "Correct what it names, or the rights of this account."
                    ) from error
            except (HTTPError, OSError) as error:
                got = repr(error)
            if pause is not None:
                time.sleep(pause)
        raise TransientError(
            f"kubernetes {method} {path}: the API server must answer, but got {_shorten(got)} in "
            f"{len(self._pauses) + 1} attempts. Run again."
        )

    def _send(self, method: str, path: str, query: Mapping[str, str], body: Object | None, returns: str) -> Any:
        """Send one request; return what it answers, the status, and the headers."""
        headers = {"Accept": "*/*" if returns == "str" else "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        return self._client.call_api(
            path,
            method,
            query_params=[(name, value) for name, value in query.items() if value],
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
            response_type=returns,
            _request_timeout=_TIMEOUT_SECONDS,
        )


def _read_reason(error: Any) -> str:
    try:
        return _shorten(str(json.loads(error.body)["message"]))
    except (KeyError, TypeError, ValueError):
        return _shorten(str(error.reason))


def _pod_reasons(pod: Object) -> Iterator[str]:
    status = pod.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield f"not scheduled: {_shorten(condition.get('message', ''))}"
    for container in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
        waiting = container.get("state", {}).get("waiting")
        if waiting and waiting["reason"] not in ("PodInitializing", "ContainerCreating"):
            yield f"{container['name']} waits: {waiting['reason']} {_shorten(waiting.get('message', ''))}".strip()
        ended = container.get("lastState", {}).get("terminated") or container.get("state", {}).get("terminated")
        if ended and ended.get("exitCode"):
            message = _shorten(ended.get("message", ""))
            yield f"{container['name']} ended with {ended['exitCode']} ({ended.get('reason', '')}) {message}".strip()


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"
