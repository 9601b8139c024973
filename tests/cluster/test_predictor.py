"""The predictor's pod on a real Kubernetes, without KServe: its model fetched by KServe's code, its features in Redis.

Runs only where TEST_CLUSTER=1 and KUBECONFIG name a cluster, TEST_IMAGE names the project's image there, and this
machine reaches the cluster's network (its only node may be this machine). KServe's storage initializer is the image
that its version in `manifests/platform/parts.yaml` names: it is pulled, or it is on the node already.
"""

# ruff: noqa: F811 - fixtures are given by their names

import io
import os
import time
import uuid

import httpx
import pyarrow.parquet as pq
import pytest

from components.base import documents
from components.base.adapters.s3 import open_store
from components.release.record import Release
from components.serving.client import EndpointAddress, Target, replay_v1
from components.serving.host import read_served_version
from components.serving.inference_service import render_service
from components.serving.prediction_log.schema import REQUEST_ID, predictions_prefix
from components.serving.predictor.requests import RequestSchema, request_rows, write_v1
from pipelines.cluster.kubectl import Kubectl
from pipelines.cluster.parts import load_parts
from tests.cluster.installation import NEEDS_IMAGE
from tests.unit.conftest import (  # noqa: F401 - fixtures
    PROBLEM,
    TASK,
    model_folder,
    prepared,
    release,
)

pytestmark = [NEEDS_IMAGE, pytest.mark.timeout(600)]
ENDPOINT = PROBLEM.serving.endpoint
LABELS = {"serving.kserve.io/inferenceservice": ENDPOINT, "component": "predictor"}
# What KServe's webhook reads from the annotations of the Secret, and the variable that it makes of it.
VARIABLES = {
    "s3-usehttps": "S3_USE_HTTPS",
    "s3-region": "AWS_DEFAULT_REGION",
    "s3-verifyssl": "S3_VERIFY_SSL",
    "s3-usevirtualbucket": "S3_USER_VIRTUAL_BUCKET",
}


def make_initializer(kubectl, storage_uri):
    """Return the container that KServe puts before a predictor: it fetches the model with the keys of the chart."""
    (secret,) = kubectl.read("secret", "tidemill-storage")
    said = {name.rpartition("/")[2]: text for name, text in secret["metadata"]["annotations"].items()}
    environment = [{"name": name, "value": said[key]} for key, name in VARIABLES.items()]
    environment.append({"name": "AWS_ENDPOINT_URL", "value": f"http://{said['s3-endpoint']}"})
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment.append(
            {"name": key, "valueFrom": {"secretKeyRef": {"name": "tidemill-storage", "key": key}}},
        )
    return {
        "name": "storage-initializer",
        "image": f"docker.io/kserve/storage-initializer:{load_parts()['kserve'].version}",
        "args": [storage_uri, "/mnt/models"],
        "env": environment,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "model", "mountPath": "/mnt/models"}],
    }


@pytest.fixture
def predictor(environment, tracking_settings, release):
    """The pod of one released version, ready, made as KServe makes it of our InferenceService."""
    kubectl = Kubectl(environment.namespace)
    version = documents.read(Release, release(f"run-{uuid.uuid4().hex[:6]}") / "release.json").version
    settings = tracking_settings.model_copy(update={"image": os.environ["TEST_IMAGE"]})
    served = read_served_version(PROBLEM, version, settings)
    spec = render_service(served, settings)["spec"]["predictor"]
    scaling = ("minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "name", "labels", "annotations")
    pod = {key: value for key, value in spec.items() if key not in scaling}
    pod["initContainers"] = [make_initializer(kubectl, served.storage_uri)]
    pod["volumes"] = [*pod["volumes"], {"name": "model", "emptyDir": {}}]
    (container,) = pod["containers"]
    container["volumeMounts"] = [
        *container["volumeMounts"],
        {"name": "model", "mountPath": "/mnt/models", "readOnly": True},
    ]
    metadata = {"generateName": f"{ENDPOINT}-", "labels": LABELS}
    name = kubectl.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod}).removeprefix("pod/")
    try:
        kubectl.run("wait", "pod", name, "--for=condition=Ready", "--timeout=180s")
        yield kubectl.read("pod", name)[0]
    finally:
        kubectl.run("delete", "pod", name, "--ignore-not-found", "--wait=true")


def find_address(host, port):
    schema = RequestSchema.of(PROBLEM)
    return EndpointAddress(Target(f"http://{host}:{port}"), ENDPOINT, schema, tuple(TASK.output_columns))


def test_it_answers_at_the_endpoints_address_with_features_of_the_online_store(
    predictor, environment, prepared, tracking_settings
):
    (service,) = Kubectl(environment.namespace).read("service", ENDPOINT)
    rows = request_rows(RequestSchema.of(PROBLEM), prepared.read("test").head(8))
    answers = replay_v1(find_address(service["spec"]["clusterIP"], 80), rows)
    seats = ["plane_seats" in missing for missing in answers.missing]
    # Of four aircraft in turn, the first has no number and nobody has heard of the last.
    assert seats == [True, False, False, True] * 2
    assert answers.output.min() >= 0
    assert answers.output.max() <= 1
    (status,) = predictor["status"]["containerStatuses"]
    assert status["restartCount"] == 0


def test_one_that_is_deleted_answers_until_no_service_names_it_and_keeps_its_log(
    predictor, environment, prepared, tracking_settings
):
    kubectl, name = Kubectl(environment.namespace), predictor["metadata"]["name"]
    body = write_v1(request_rows(RequestSchema.of(PROBLEM), prepared.read("test").iloc[1:2]))
    url = f"http://{predictor['status']['podIP']}:8080/v1/models/{ENDPOINT}:predict"
    answered = []

    def ask(client):
        answer = client.post(url, json=body, headers={"idempotency-key": (request := uuid.uuid4().hex)})
        assert answer.status_code == 200
        answered.append(request)

    def is_named():
        slices = kubectl.read("endpointslice", "--selector", f"kubernetes.io/service-name={ENDPOINT}")
        ends = [end for one in slices for end in one["endpoints"] or () if end["targetRef"]["name"] == name]
        return any(end["conditions"]["ready"] for end in ends)

    with httpx.Client(timeout=10) as client:
        ask(client)
        assert is_named()
        kubectl.run("delete", "pod", name, "--wait=false")
        until = time.monotonic() + 5
        while time.monotonic() < until or is_named():
            assert time.monotonic() < until + 30, "a pod that ends must be taken from its Service"
            ask(client)
            time.sleep(0.05)
    kubectl.run("wait", "pod", name, "--for=delete", "--timeout=60s")
    assert len(answered) > 20
    store = open_store(tracking_settings)
    files = [one.key for one in store.list_objects(predictions_prefix(PROBLEM.name)) if one.key.endswith(".parquet")]
    logged = {
        request for key in files for request in pq.read_table(io.BytesIO(store.get_bytes(key)))[REQUEST_ID].to_pylist()
    }
    assert set(answered) - logged == set()
