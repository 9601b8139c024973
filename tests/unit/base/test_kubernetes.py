"""The adapter of Kubernetes against a small API server on loopback: what it sends, and what it makes of each answer."""

import http.server
import json
import re
import threading
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from kubernetes import client

from components.base.adapters.kubernetes import (
    DEPLOYMENTS,
    EVENTS,
    INFERENCE_SERVICES,
    NODES,
    PODS,
    Kubernetes,
    parse_quantity,
)
from components.base.errors import PermanentError, TransientError

MANIFEST = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "flights"}}


class Api:
    """Answers requests from a queue, and keeps what was sent."""

    def __init__(self):
        self.answers: list[tuple[int, object]] = []
        self.sent: list[tuple[str, str, dict, str, str]] = []
        self.url = ""

    def cluster(self, attempts: int = 3) -> Kubernetes:
        configuration = client.Configuration(host=self.url)
        configuration.retries = False
        return Kubernetes("models", client.ApiClient(configuration), pauses=[0.0] * (attempts - 1))


@pytest.fixture
def api():
    api = Api()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            parts = urlsplit(self.path)
            kind = self.headers.get("Content-Type", "")
            api.sent.append((self.command, parts.path, parse_qs(parts.query), kind, body))
            status, content = api.answers.pop(0) if len(api.answers) > 1 else api.answers[0]
            raw = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_PATCH = do_POST = do_DELETE = answer

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield api
        server.shutdown()
        thread.join()


def refusal(code: int, words: str) -> tuple[int, object]:
    return code, {"kind": "Status", "message": words, "code": code}


def test_an_apply_owns_its_fields_under_one_manager(api):
    api.answers = [(200, {**MANIFEST, "status": {}})]
    assert api.cluster().apply(INFERENCE_SERVICES, MANIFEST)["status"] == {}
    ((method, path, query, kind, body),) = api.sent
    assert (method, path) == ("PATCH", "/apis/serving.kserve.io/v1beta1/namespaces/models/inferenceservices/flights")
    assert query == {"fieldManager": ["tidemill"], "force": ["true"]}
    assert (kind, json.loads(body)) == ("application/apply-patch+yaml", MANIFEST)


def test_what_is_not_there_is_none_and_deleting_it_is_no_fault(api):
    api.answers = [refusal(404, "not found")]
    assert api.cluster().get(DEPLOYMENTS, "flights") is None
    api.cluster().delete(DEPLOYMENTS, "flights")
    assert [method for method, *_ in api.sent] == ["GET", "DELETE"]


def test_a_refusal_is_raised_at_once_with_the_words_of_the_webhook(api):
    api.answers = [refusal(400, "admission webhook denied the request: predictor.name change requires a model change")]
    with pytest.raises(PermanentError, match=re.escape("but got 400: admission webhook denied the request")):
        api.cluster().apply(INFERENCE_SERVICES, MANIFEST)
    assert len(api.sent) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_transient_fault_is_tried_again(api, status):
    api.answers = [refusal(status, "etcd leader changed"), (200, MANIFEST)]
    assert api.cluster().get(INFERENCE_SERVICES, "flights") == MANIFEST
    assert len(api.sent) == 2


def test_an_api_server_that_does_not_answer_is_a_transient_error(api):
    api.answers = [refusal(503, "apiserver not ready")]
    with pytest.raises(TransientError, match=re.escape("must answer, but got apiserver not ready in 3 attempts")):
        api.cluster().get(INFERENCE_SERVICES, "flights")
    gone = Api()
    gone.url = "http://127.0.0.1:9"
    with pytest.raises(TransientError, match="Run again"):
        gone.cluster(2).get(INFERENCE_SERVICES, "flights")


def test_pods_say_why_they_do_not_run(api):
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image broken:1"}
    ended = {"exitCode": 1, "reason": "Error"}
    pod = {
        "metadata": {"name": "flights-v2-predictor-x"},
        "status": {
            "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: insufficient cpu"}],
            "initContainerStatuses": [{"name": "storage-initializer", "lastState": {"terminated": ended}}],
            "containerStatuses": [{"name": "kserve-container", "state": {"waiting": waiting}}],
        },
    }
    event = {"reason": "FailedMount", "message": "secret tidemill-secrets not found"}
    api.answers = [(200, {"items": [pod]}), (200, {"items": [event]})]
    told = api.cluster().explain_pods({"app": "flights"})
    assert told == (
        "pod flights-v2-predictor-x: not scheduled: 0/1 nodes: insufficient cpu; "
        "storage-initializer ended with 1 (Error); "
        "kserve-container waits: ImagePullBackOff Back-off pulling image broken:1; "
        "FailedMount: secret tidemill-secrets not found"
    )
    paths = [path for _, path, *_ in api.sent]
    assert paths == [PODS.path("models"), EVENTS.path("models")]


def test_a_wait_ends_with_the_condition_or_the_time(api):
    api.answers = [(200, {"spec": 1})]
    assert api.cluster().wait(DEPLOYMENTS, "flights", lambda found: found == {"spec": 1}, 5)
    assert not api.cluster().wait(DEPLOYMENTS, "flights", lambda found: found is None, 0)


def test_without_a_namespace_it_is_the_whole_cluster(api):
    api.answers = [(200, {"items": [{"metadata": {"name": "n1"}}]})]
    configuration = client.Configuration(host=api.url)
    cluster = Kubernetes("", client.ApiClient(configuration), pauses=())
    assert cluster.list(NODES) == [{"metadata": {"name": "n1"}}]
    cluster.list(PODS)
    cluster.list(PODS, namespace="models")
    paths = [path for _, path, *_ in api.sent]
    assert paths == ["/api/v1/nodes", "/api/v1/pods", "/api/v1/namespaces/models/pods"]


def test_a_right_is_asked_of_the_api_server(api):
    api.answers = [(201, {"status": {"allowed": True}}), (201, {"status": {"allowed": False}})]
    assert api.cluster().may("get", "", "pods/log", "models") is True
    assert api.cluster().may("create", "apps", "deployments") is False
    method, path, _, kind, body = api.sent[0]
    assert (method, path) == ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
    assert kind == "application/json"
    attributes = json.loads(body)["spec"]["resourceAttributes"]
    assert (attributes["resource"], attributes["subresource"], attributes["namespace"]) == ("pods", "log", "models")


def test_the_clock_is_that_of_the_api_server(api):
    api.answers = [(200, {"gitVersion": "v1.36.3"})]
    assert abs((api.cluster().read_clock() - datetime.now(UTC)).total_seconds()) < 5
    assert api.cluster().read("/version") == {"gitVersion": "v1.36.3"}


def test_quantities_are_read_as_kubernetes_writes_them():
    assert [parse_quantity(text) for text in ("250m", "2", "1Gi", "128974848")] == [0.25, 2, 2**30, 128974848]


def test_without_a_service_account_or_a_kubeconfig_it_says_what_to_set(monkeypatch, tmp_path):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "missing"))
    with pytest.raises(PermanentError, match="a service account or a kubeconfig must name the cluster"):
        Kubernetes("models").get(DEPLOYMENTS, "flights")


def test_a_kubeconfig_names_the_cluster(monkeypatch, tmp_path, api):
    api.answers = [(200, MANIFEST)]
    cluster = {"name": "c", "cluster": {"server": api.url}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    users = [{"name": "u", "user": {"token": "secret"}}]
    content = {"clusters": [cluster], "contexts": [context], "users": users, "current-context": "x"}
    (tmp_path / "config").write_text(json.dumps(content))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
    assert Kubernetes("models").get(INFERENCE_SERVICES, "flights") == MANIFEST
