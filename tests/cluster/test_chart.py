"""The chart on a real Kubernetes: what the API server takes, who may do what, and an installation with real pods.

Runs only where TEST_CLUSTER=1 and KUBECONFIG name a cluster; a control plane without nodes is enough for the first
part. The second part installs the release: TEST_IMAGE names the project's image there, as `localhost/tidemill:dev`, and
the images of the stores must be there too. The node is this machine: volumes are folders of it.
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import pytest
import yaml

from tests.chart.rendering import CHART, CONTRACT, PROBLEM, PROFILES, find_helm, render

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("TEST_CLUSTER") != "1", reason="needs a cluster: set TEST_CLUSTER=1 and KUBECONFIG"
    ),
    pytest.mark.timeout(900),
]
RUNS_HERE = ("--set", "pipelines.mode=multi-user", "--set", "monitoring.alerting=grafana")
STORES = ("postgresql", "redis", "objectStore")


def kubectl(*words, text=None, check=True):
    done = subprocess.run(["kubectl", *words], input=text, capture_output=True, text=True)
    assert done.returncode == 0 or not check, done.stderr
    return done


@pytest.fixture
def namespaces():
    """Return a function that makes a namespace, restricted as strictly as Kubernetes can; all are deleted after it."""
    made = []

    def make(name):
        name = f"{name}-{uuid.uuid4().hex[:6]}"
        kubectl("create", "namespace", name)
        made.append(name)
        labels = [f"pod-security.kubernetes.io/{mode}=restricted" for mode in ("enforce", "warn")]
        kubectl("label", "namespace", name, *labels)
        return name

    yield make
    for name in made:
        kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.parametrize("profile", PROFILES)
def test_the_api_server_takes_every_object_and_finds_all_pods_restricted(profile, namespaces):
    namespace = namespaces("chart")
    has_operator = "monitoring.coreos.com/v1" in kubectl("api-versions").stdout.split()
    operator = ("--set", f"monitoring.objects={'always' if has_operator else 'never'}")
    objects = yaml.safe_dump_all(render(profile, *RUNS_HERE, *operator, namespace=namespace))
    done = kubectl("apply", "--dry-run=server", "--validate=strict", "--filename=-", text=objects)
    assert "violate PodSecurity" not in done.stderr


def test_the_accounts_of_a_team_reach_nothing_of_another_one(namespaces):
    teams = [namespaces("team-a"), namespaces("team-b")]
    kinds = ("ServiceAccount", "Role", "RoleBinding")
    for team in teams:
        objects = [one for one in render("production", *RUNS_HERE, namespace=team) if one["kind"] in kinds]
        kubectl("apply", "--filename=-", text=yaml.safe_dump_all(objects))
    first, second = teams

    def may(account, verb, what, where):
        # A review and no `kubectl auth can-i`, which says no to kinds that this cluster does not have.
        kind, _, name = what.partition("/")
        resource, _, group = kind.partition(".")
        asked = {"verb": verb, "group": group, "resource": resource, "namespace": where}
        asked |= {"subresource": name} if resource == "pods" else {"name": name}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": f"system:serviceaccount:{first}:tidemill-{account}", "resourceAttributes": asked},
        }
        answer = kubectl("create", "--filename=-", "--output=json", text=json.dumps(review)).stdout
        return json.loads(answer)["status"]["allowed"]

    own = [
        ("create", "workflowtaskresults.argoproj.io"),
        ("get", "secrets/tidemill-storage"),
        ("get", "configmaps/kfp-launcher"),
        ("patch", "inferenceservices.serving.kserve.io"),
        ("get", "pods/log"),
        ("delete", "horizontalpodautoscalers.autoscaling"),
    ]
    assert [one for one in own if not may("steps", *one, first)] == []
    assert [one for one in own if may("steps", *one, second)] == []
    forbidden = [("get", "secrets/tidemill-secrets"), ("list", "secrets"), ("delete", "pods"), ("create", "pods")]
    assert [one for one in forbidden if may("steps", *one, first)] == []
    accounts = ("predictor", "mlflow", "exporter", "reports", "postgresql", "redis", "object-store")
    assert [name for name in accounts if may(name, "get", "pods", first) or may(name, "list", "secrets", first)] == []


class Release:
    """One release in its namespace, with volumes of its own."""

    def __init__(self, namespace, image, folder):
        self.namespace = namespace
        self._image = image
        for store in STORES:
            # Kubernetes gives a folder of the node to no group: each store's own user must be able to write.
            place = folder / store
            place.mkdir()
            place.chmod(0o777)
            volume = {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"{namespace}-{store}".lower()},
                "spec": {
                    "capacity": {"storage": "1Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "persistentVolumeReclaimPolicy": "Retain",
                    "storageClassName": namespace,
                    "hostPath": {"path": str(place), "type": "Directory"},
                },
            }
            kubectl("apply", "--filename=-", text=yaml.safe_dump(volume))

    def install(self, *options):
        repository, _, tag = self._image.rpartition(":")
        volumes = [
            word
            for store in STORES
            for word in ("--set", f"{store}.storage.size=1Gi,{store}.storage.storageClass={self.namespace}")
        ]
        words = [
            "upgrade", "--install", "tidemill", str(CHART), "--namespace", self.namespace, "--wait", "--wait-for-jobs",
            "--timeout", "4m", "--values", str(CHART / "values-small.yaml"), "--set", f"image.repository={repository}",
            "--set", f"image.tag={tag},pipelines.mode=multi-user,bootstrap.schedules=false,monitoring.objects=never",
            "--set-file", f"problems.{PROBLEM}={CONTRACT}", *volumes, *options,
        ]  # fmt: skip
        done = subprocess.run([find_helm(), *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + kubectl("-n", self.namespace, "get", "pods").stdout

    def remove(self):
        done = subprocess.run(
            [find_helm(), "uninstall", "tidemill", "--namespace", self.namespace, "--wait"],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    def get(self, service, path):
        """Return the answer of a service, through the API server."""
        root = f"/api/v1/namespaces/{self.namespace}/services/tidemill-{service}/proxy"
        return kubectl("get", "--raw", f"{root}{path}").stdout

    def passwords(self):
        found = json.loads(kubectl("-n", self.namespace, "get", "secrets", "-o", "json").stdout)["items"]
        return {
            (one["metadata"]["name"], key): base64.b64decode(value).decode()
            for one in found
            if one["type"] == "Opaque"
            for key, value in one["data"].items()
        }

    def generations(self):
        found = json.loads(kubectl("-n", self.namespace, "get", "deployments,statefulsets", "-o", "json").stdout)
        return {one["metadata"]["name"]: one["metadata"]["generation"] for one in found["items"]}

    def run(self, component, *command):
        return kubectl("-n", self.namespace, "exec", f"tidemill-{component}-0", "--", *command).stdout


@pytest.fixture
def release(namespaces):
    folder = Path(tempfile.mkdtemp(prefix="tidemill-release-"))
    folder.chmod(0o755)
    image = os.environ.get("TEST_IMAGE")
    if not image:
        pytest.skip("needs the project's image on the nodes: set TEST_IMAGE")
    made = Release(namespaces("release"), image, folder)
    yield made
    made.remove()
    kubectl("-n", made.namespace, "delete", "pvc", "--all", "--wait=false")
    kubectl("delete", "pv", *(f"{made.namespace}-{store}".lower() for store in STORES), "--wait=false")
    shutil.rmtree(folder, ignore_errors=True)


def test_a_release_answers_repeats_itself_and_survives_its_removal(release):
    release.install()
    assert "Reports and models" in release.get("reports:8000", "/")
    assert 'tidemill_exporter_last_read_success{problem="flight-delays"} 1.0' in release.get(
        "exporter:8000", "/metrics"
    )
    assert json.loads(release.get("governor:8000", "/readyz")) == {"status": "ready"}
    assert release.get("mlflow:5000", "/health") == "OK"
    databases = release.run("postgresql", "sh", "-c", "psql -h /tmp -U postgres -Atc 'SELECT datname FROM pg_database'")
    assert {"mlflow", "feast", "governor", "optuna"} <= set(databases.split())

    before, generations = release.passwords(), release.generations()
    release.install()
    assert release.passwords() == before
    assert release.generations() == generations

    release.run("postgresql", "sh", "-c", "psql -h /tmp -U postgres -d optuna -c 'CREATE TABLE kept (a int)'")
    release.remove()
    assert release.passwords() == before
    time.sleep(1)
    release.install()
    assert release.passwords() == before
    tables = release.run(
        "postgresql", "sh", "-c", "psql -h /tmp -U postgres -d optuna -Atc 'SELECT count(*) FROM kept'"
    )
    assert tables.strip() == "0"
