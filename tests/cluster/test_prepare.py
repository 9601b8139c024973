"""The doctor and the installation of upstream parts on a real Kubernetes.

Runs only where TEST_CLUSTER=1 and KUBECONFIG name a cluster with a node. Upstream hosts are not needed: the parts that
are installed here are made up, and those that are there are left alone.
"""

import base64
import json
import os
import re
import subprocess
import uuid

import pytest
import yaml
from kubernetes import client

from components.base.adapters.kubernetes import Kubernetes
from components.base.errors import PermanentError, TransientError
from pipelines.cluster.doctor.checks import check_cluster
from pipelines.cluster.environment import ROOT, load_environment
from pipelines.cluster.parts import Part, Step, load_parts, look_for
from pipelines.cluster.platform import Installer
from tests.chart.rendering import find_helm

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("TEST_CLUSTER") != "1", reason="needs a cluster: set TEST_CLUSTER=1 and KUBECONFIG"
    ),
    pytest.mark.timeout(300),
]
ENVIRONMENT = load_environment("test")


def kubectl(*words, text=None):
    done = subprocess.run(["kubectl", *words], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def namespace():
    name = f"ops-{uuid.uuid4().hex[:6]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def made_up(tmp_path):
    """Return a part with a kind of its own, in a folder of its own."""
    group = f"g{uuid.uuid4().hex[:6]}.tidemill.test"
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"mills.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "mills", "singular": "mill", "kind": "Mill"},
            "versions": [version],
        },
    }
    (tmp_path / "kind.yaml").write_text(yaml.safe_dump(definition))
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"resources": ["kind.yaml"]}))
    step = Step(folder=str(tmp_path))
    yield Part(name="mill", purpose="mills", version="v1", apis={f"{group}/v1": ("mills",)}, steps=(step,))
    kubectl("delete", "crd", f"mills.{group}", "--ignore-not-found")


def test_the_doctor_finds_all_of_a_cluster_in_numbers():
    find_helm()
    checks = {check.name: check for check in check_cluster(ENVIRONMENT)}
    assert {"kubectl", "helm", "kubernetes", "clock", "DNS", "permissions", "storage class", "capacity"} <= set(checks)
    assert {part.name for part in load_parts().values() if not part.only_for} <= set(checks)
    assert re.match(r"v1\.\d+", checks["kubernetes"].found)
    assert re.search(r"room for [\d.]+ CPU, [\d.]+ GiB", checks["capacity"].found)
    assert all(check.advice for check in checks.values() if check.state != "ok")
    assert checks["permissions"].state == checks["clock"].state == "ok"


def test_an_account_without_rights_reads_which_ones_it_lacks(namespace, tmp_path):
    find_helm()
    kubectl("--namespace", namespace, "create", "serviceaccount", "nobody")
    token = kubectl("--namespace", namespace, "create", "token", "nobody").strip()
    view = json.loads(kubectl("config", "view", "--minify", "--flatten", "--raw", "--output=json"))["clusters"][0][
        "cluster"
    ]
    (tmp_path / "ca.crt").write_bytes(base64.b64decode(view["certificate-authority-data"]))
    configuration = client.Configuration(host=view["server"])
    configuration.retries, configuration.ssl_ca_cert = False, str(tmp_path / "ca.crt")
    configuration.api_key = {"authorization": f"Bearer {token}"}
    nobody = Kubernetes("", client.ApiClient(configuration), pauses=())
    checks = {check.name: check for check in check_cluster(ENVIRONMENT, nobody)}
    assert checks["permissions"].state == "fault"
    assert re.search(r"\d+ of \d+ rights are missing: create \S+ in ", checks["permissions"].found)
    assert "cannot be read" in checks["capacity"].found
    assert checks["kubernetes"].state == "ok"


def test_a_missing_part_is_installed_once_and_then_left_alone(made_up):
    lines = []
    installer = Installer(Kubernetes(""), lines.append, timeout_seconds=60)
    assert look_for(made_up, installer.cluster).missing
    assert (installer.install([made_up]), installer.install([made_up])) == (1, 0)
    assert "is ready after" in lines[-2]
    assert lines[-1].endswith("is there")


def test_a_part_that_does_not_become_ready_says_why(made_up, namespace):
    labels = {"app": "mill"}
    container = {"name": "mill", "image": "localhost/there-is-no-such-image:1", "imagePullPolicy": "Never"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "mill", "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    kubectl("apply", "--filename=-", text=json.dumps(deployment))
    part = made_up.model_copy(update={"ready": (f"{namespace}/mill",)})
    installer = Installer(Kubernetes(""), print, timeout_seconds=15)
    with pytest.raises(TransientError, match=f"waits for Deployment {namespace}/mill.*ErrImageNeverPull"):
        installer.install([part])


def test_a_folder_that_cannot_be_applied_is_said_in_the_words_of_kubectl(made_up, tmp_path):
    part = made_up.model_copy(update={"steps": (Step(folder=str(tmp_path / "nowhere")),)})
    with pytest.raises(PermanentError, match="platform mill: `kubectl apply --server-side` must succeed, but got"):
        Installer(Kubernetes(""), print).install([part])


@pytest.mark.parametrize("name", ["inference-service", "inference-graph"])
def test_kserve_takes_the_examples(name, namespace):
    if look_for(load_parts()["kserve"], Kubernetes("")).missing:
        pytest.skip("needs KServe on the cluster")
    example = yaml.safe_load((ROOT / "manifests" / "examples" / f"{name}.yaml").read_text())
    example["metadata"]["namespace"] = namespace
    strictly = ("--server-side", "--dry-run=server", "--validate=strict")
    assert "serverside-applied" in kubectl("apply", *strictly, "--filename=-", text=json.dumps(example))


def test_what_is_there_is_not_touched():
    cluster = Kubernetes("")
    there = [part for part in load_parts().values() if part.apis and not look_for(part, cluster).missing]
    before = kubectl("get", "crds", "--output=jsonpath={.items[*].metadata.resourceVersion}")
    lines = []
    assert Installer(cluster, lines.append).install(there) == 0
    assert len(lines) == len(there)
    assert kubectl("get", "crds", "--output=jsonpath={.items[*].metadata.resourceVersion}") == before
