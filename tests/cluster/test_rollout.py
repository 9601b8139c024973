"""A release on a real KServe behind a real gateway: its stages counted, its faults stopped, promoted under load.

Runs only where TEST_CLUSTER=1 and KUBECONFIG name a cluster with KServe, a gateway and the project's image; the
settings come from the environment as in production. The namespace must hold what the chart makes: `tidemill-settings`,
`tidemill-secrets` and the ServiceAccount `tidemill-predictor`.
"""

# ruff: noqa: F811 - fixtures are given by their names

import os
import shutil
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from components.base import documents
from components.base.adapters import mlflow as tracking
from components.base.adapters.kubernetes import AUTOSCALERS, INFERENCE_SERVICES, PODS, Kubernetes
from components.base.contract.problem import Rollout
from components.base.settings import load_settings
from components.release.deploy import deploy_release, rollback_release
from components.release.record import Deployment, Release
from components.serving import inference_service
from components.serving.gateway import Gateway
from components.serving.kserve import KServeHost
from components.serving.predictor.requests import RequestSchema, request_rows, write_v1
from components.tasks import open_task
from tests.unit import conftest
from tests.unit.conftest import (  # noqa: F401 - fixtures
    empty_tracking_database,
    fill_features,
    model_folder,
    prepared,
    release,
)

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("TEST_CLUSTER") != "1",
        reason="needs a cluster with KServe and a gateway: set TEST_CLUSTER=1 and KUBECONFIG",
    ),
    pytest.mark.timeout(1800),
]
SOAK_SECONDS = float(os.environ.get("TEST_SOAK_SECONDS", "65"))
# The candidate's predictor with one fault: what runs before its program.
FAULTS = {
    "skewed transform": (
        "import components.serving.predictor.model as m; own = m.request_row; "
        "m.request_row = lambda problem, row: {**own(problem, row), 'distance': 0.5 * row['distance']}"
    ),
    "slow model": (
        "import time; import components.serving.predictor.model as m; own = m.ServedModel.predict; "
        "m.ServedModel.predict = lambda self, rows: (time.sleep(0.7), own(self, rows))[1]"
    ),
    "model that cannot load": "import sys; sys.exit('model.skops: unexpected end of file')",
}


@pytest.fixture(scope="module")
def tracking_settings(tmp_path_factory, empty_tracking_database):
    home = tmp_path_factory.mktemp("home")
    shutil.copy(empty_tracking_database, home / "mlflow.db")
    settings = load_settings({**os.environ, "TIDEMILL_HOME": str(home)})
    fill_features(home / "features", settings)
    Kubernetes(settings.endpoint_namespace).delete(INFERENCE_SERVICES, "flight-delays")
    Kubernetes(settings.endpoint_namespace).wait(INFERENCE_SERVICES, "flight-delays", lambda found: found is None, 120)
    return settings


@pytest.fixture
def task(monkeypatch):
    """The contract with a short soak and a latency that a busy machine holds, and pods that fit on a small node."""
    small = {"requests": {"cpu": "20m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
    monkeypatch.setattr(inference_service, "RESOURCES", small)
    rollout = Rollout(start_seconds=75, soak_seconds=SOAK_SECONDS, minimum_rows=20)
    changes = {"p99_milliseconds": 500.0, "golden_rows": 50, "rollout": rollout}
    serving = conftest.PROBLEM.serving.model_copy(update=changes)
    bound = open_task(conftest.PROBLEM.model_copy(update={"serving": serving}))
    monkeypatch.setattr(conftest, "TASK", bound)
    return bound


class Load:
    """Clients that predict through the gateway until the end of the block, and count who answered."""

    def __init__(self, gateway: Gateway, body: dict) -> None:
        self.answers: Counter[str] = Counter()
        self._gateway, self._body, self._end = gateway, body, threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(2)]

    def _run(self):
        url = f"{self._gateway.url}/v1/models/{self._gateway.endpoint}:predict"
        with httpx.Client(headers={"Host": self._gateway.host}, timeout=30) as client:
            while not self._end.is_set():
                try:
                    answer = client.post(url, json=self._body)
                    is_right = answer.status_code == 200
                    who = answer.json()["predictions"][0]["model_version"] if is_right else str(answer.status_code)
                except httpx.HTTPError as error:
                    who = type(error).__name__
                self.answers[who] += 1
                time.sleep(0.02)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def make_release(release, tracking_settings, task):
    def make(run_id: str) -> Path:
        folder = release(run_id)
        champion = tracking.find_aliases("flight-delays", tracking_settings).get("champion")
        written = documents.read(Release, folder / "release.json")
        documents.write(written.model_copy(update={"compared_with": champion}), folder / "release.json")
        return folder

    return make


def show(title, deployment):
    print(f"\n== {title}: {deployment.outcome}, champion {deployment.champion}")
    for gate in deployment.gates:
        print(f"   {gate.verdict:4} {gate.name}: {gate.reason}")


@pytest.fixture
def deploy(tracking_settings, task, tmp_path):
    """Deploy a release and show what each stage found."""

    def run(folder: Path, title: str) -> Deployment:
        begun = time.monotonic()
        deployment = deploy_release(task, folder, tmp_path / "deployment", tracking_settings)
        show(f"{title} in {time.monotonic() - begun:.0f} s", deployment)
        return deployment

    return run


@pytest.fixture
def load(tracking_settings, task, prepared):
    """Make clients of the endpoint that serves."""

    def make() -> Load:
        host, endpoint = KServeHost(tracking_settings), task.problem.serving.endpoint
        gateway = host._find_gateway(host._cluster.get(INFERENCE_SERVICES, endpoint))
        return Load(gateway, write_v1(request_rows(RequestSchema.of(task.problem), prepared.read("test").head(1))))

    return make


def test_first_release_serves_alone(make_release, deploy, tracking_settings):
    first = deploy(make_release("run-1"), "first release")
    assert (first.outcome, first.champion) == ("promoted", "1")
    assert KServeHost(tracking_settings).live("flight-delays") == {"1": 100}


def test_second_release_is_split_and_promoted_without_a_lost_request(make_release, deploy, tracking_settings, load):
    cluster, folder = Kubernetes(tracking_settings.endpoint_namespace), make_release("run-2")
    with load() as users:
        second = deploy(folder, "second release")
        promoted = second.deployed_at.replace("+00:00", "Z")
        time.sleep(15)
    print("   answers under load:", dict(users.answers))
    assert (second.outcome, second.champion) == ("promoted", "2")
    assert set(users.answers) == {"1", "2"}
    pods = cluster.list(PODS, {"serving.kserve.io/inferenceservice": "flight-delays"})
    alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    assert {status["restartCount"] for pod in alive for status in pod["status"]["containerStatuses"]} == {0}
    # The canary's pods go on: a promotion makes no others of another template.
    assert len({pod["metadata"]["labels"]["pod-template-hash"] for pod in alive}) == 1
    assert min(pod["metadata"]["creationTimestamp"] for pod in alive) < promoted
    assert [scaler["metadata"]["name"] for scaler in cluster.list(AUTOSCALERS)] == ["flight-delays-v2-predictor"]


@pytest.mark.parametrize("fault", ["broken image", *FAULTS])
def test_a_fault_is_stopped_with_the_champion_untouched(
    fault, make_release, deploy, tracking_settings, load, monkeypatch
):
    folder = make_release(f"run of {fault}")
    version = documents.read(Release, folder / "release.json").version
    render_container = inference_service._container

    def render(served, given):
        made = render_container(served, given)
        if served.version == version and fault == "broken image":
            made["image"] = "localhost/tidemill:no-such-tag"
        elif served.version == version:
            run = "import runpy; runpy.run_module('components.serving.predictor', run_name='__main__')"
            made["command"] = ["python", "-c", f"{FAULTS[fault]}; {run}"]
        return made

    monkeypatch.setattr(inference_service, "_container", render)
    with load() as users:
        refused = deploy(folder, fault)
    print("   answers under load:", dict(users.answers))
    assert (refused.outcome, refused.champion) == ("refused", "2")
    assert set(users.answers) == {"2"}
    assert KServeHost(tracking_settings).live("flight-delays") == {"2": 100}


def test_a_rollback_brings_the_version_before_back_without_a_lost_request(tracking_settings, task, load):
    with load() as users:
        back = rollback_release(task.problem, "It flags every flight.", tracking_settings)
        time.sleep(10)
    live = KServeHost(tracking_settings).live("flight-delays")
    print("\n== rollback to", back, live, "answers under load:", dict(users.answers))
    assert (back, live) == ("1", {"1": 100})
    assert set(users.answers) == {"1", "2"}
