"""An installation on a real Kubernetes from its first day to its last: deployed, kept, deleted, brought back.

Runs only where TEST_CLUSTER=1 and KUBECONFIG name a cluster with a default StorageClass, TEST_IMAGE names the project's
image there, and this machine reaches the cluster's network (its only node may be this machine).
"""

# ruff: noqa: F811 - fixtures are given by their names

import signal
import stat
import subprocess
import time

import pytest

from components.base import documents
from components.base.adapters import mlflow as tracking
from components.release.record import Release
from pipelines.cluster.backup import back_up
from pipelines.cluster.deploy import deploy, name_contracts, recover, undeploy
from pipelines.cluster.drill import check_drill, run_drill
from pipelines.cluster.helm import Helm
from pipelines.cluster.kubectl import Kubectl, find_program
from pipelines.cluster.operations import open_operations
from pipelines.cluster.restore import restore
from tests.cluster.installation import BARE, NEEDS_IMAGE, send_request
from tests.unit.conftest import (  # noqa: F401 - fixtures
    model_folder,
    prepared,
    release,
)

pytestmark = [NEEDS_IMAGE, pytest.mark.timeout(1800)]


@pytest.fixture
def helm(environment):
    return Helm(environment, (*name_contracts(), *BARE.words))


def test_a_deployment_done_twice_changes_nothing(helm, capsys):
    before = helm.find()
    assert deploy(helm, BARE, 600, print) is False
    assert "Every object is as it must be." in capsys.readouterr().out
    assert helm.find() == before


def test_one_that_was_killed_is_repeated(environment, helm):
    changed = Helm(environment, (*helm.words, "--set", "governor.tickSeconds=7"))
    words = [find_program("helm"), *changed._upgrade(), "--wait", "--timeout", "300s"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not (found := helm.find()) or not found.is_interrupted:
        assert time.monotonic() < until, "the upgrade must begin"
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    said = []
    recover(changed, said.append)
    assert "was interrupted (pending-upgrade)" in said[0]
    deploy(changed, BARE, 600, print)
    assert helm.find().status == "deployed"
    assert deploy(changed, BARE, 600, print) is False
    deploy(helm, BARE, 600, print)


def test_a_person_looks_and_pauses_from_outside(environment):
    kubectl = Kubectl(environment.namespace)
    with open_operations(environment) as pod:
        assert "postgresql 1/1" in pod.run("tidemill", "status")
        pod.run("tidemill", "rulings", "pause", "--problem", "flight-delays", "--by", "anna")
        assert "retraining  is paused by anna" in pod.run("tidemill", "status")
        pod.run("tidemill", "rulings", "resume", "--problem", "flight-delays", "--by", "anna")
        assert "retraining  is not paused" in pod.run("tidemill", "status")
    kubectl.run("wait", "pod", pod.name, "--for=delete", "--timeout=60s")


def test_what_is_deleted_comes_back_from_one_folder_and_one_file(environment, tracking_settings, release, tmp_path):
    version = documents.read(Release, release("run-1") / "release.json").version
    tracking.promote("flight-delays", version, tracking_settings)
    send_request(tracking_settings, "anna")
    time.sleep(15)
    folder, secrets = tmp_path / "backup", tmp_path / "secrets.json"
    taken = back_up(environment, folder, secrets, print)
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert taken.state.problems["flight-delays"].answers.version == version
    assert taken.state.rulings > 0

    undeploy(environment, print, deletes_data=True)
    undeploy(environment, print, deletes_data=True)
    kubectl = Kubectl(environment.namespace)
    assert [*kubectl.read("persistentvolumeclaim"), *kubectl.read("deployment")] == []

    assert restore(environment, folder, secrets, print) == []


def test_a_drill_proves_it_beside_the_installation_and_leaves_nothing(environment):
    drill = run_drill(environment, print)
    check_drill(drill)
    namespaces = [one["metadata"]["name"] for one in Kubectl(environment.namespace).read("namespaces")]
    left = [name for name in namespaces if name.startswith(f"{environment.namespace}-drill")]
    states = [Kubectl(name).read("namespace", name) for name in left]
    assert all(one["status"]["phase"] == "Terminating" for found in states for one in found)
