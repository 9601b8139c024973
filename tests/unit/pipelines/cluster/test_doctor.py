"""The doctor: what it finds on clusters that lack something, and what it says."""

from datetime import UTC, datetime, timedelta

import pytest

from pipelines.cluster.doctor.capacity import read_rooms
from pipelines.cluster.doctor.checks import check_cluster
from pipelines.cluster.doctor.permissions import check_permissions
from pipelines.cluster.doctor.programs import check_programs
from pipelines.cluster.doctor.rendering import Requests, sum_chart, sum_pod
from pipelines.cluster.doctor.services import check_clock, check_names, check_parts, check_storage, check_version
from pipelines.cluster.environment import load_environment
from pipelines.cluster.parts import choose_parts, load_parts
from pipelines.commands.app import main
from tests.unit.pipelines.cluster.cluster import Cluster, api, deployment

ENVIRONMENT = load_environment("test")
PARTS = load_parts()
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
CLAIMS = "/api/v1/namespaces/tidemill-test/persistentvolumeclaims"


def _container(cpu, memory):
    return {"resources": {"requests": {"cpu": cpu, "memory": memory}}}


def _workload(kind, replicas, *containers):
    template = {"spec": {"containers": list(containers)}}
    return {"kind": kind, "metadata": {"name": "a"}, "spec": {"replicas": replicas, "template": template}}


def _database(storage_class=None):
    claim = {"metadata": {"name": "data"}, "spec": {"storageClassName": storage_class} if storage_class else {}}
    return {"kind": "StatefulSet", "metadata": {"name": "database"}, "spec": {"volumeClaimTemplates": [claim]}}


def _storage_class(name, provisioner="rancher.io/local-path", is_default=False):
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if is_default else {}
    return {"metadata": {"name": name, "annotations": annotations}, "provisioner": provisioner}


@pytest.mark.parametrize(("minor", "state"), [("31", "fault"), ("32", "ok"), ("33+", "ok")])
def test_a_cluster_before_the_oldest_that_kserve_supports_is_at_fault(minor, state):
    assert check_version({"gitVersion": f"v1.{minor}.0", "minor": minor}).state == state


@pytest.mark.parametrize(("seconds", "state"), [(1, "ok"), (-30, "warning"), (30, "warning"), (-400, "fault")])
def test_clocks_that_differ_are_said_in_seconds(seconds, state):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    check = check_clock(now + timedelta(seconds=seconds), now)
    assert check.state == state
    assert check.found.startswith(f"{abs(seconds) - 1} s between")


def test_a_part_is_a_fault_where_the_environment_needs_it_and_else_a_warning():
    wanted = choose_parts(PARTS, ("kserve", "cert-manager", "metrics-server"))
    checks = {check.name: check for check in check_parts(wanted, ENVIRONMENT, Cluster({}))}
    assert {name: check.state for name, check in checks.items()} == {"kserve": "fault", "metrics-server": "warning"}
    assert "missing inferenceservices.serving.kserve.io" in checks["kserve"].found
    assert "tidemill platform --part kserve" in checks["kserve"].advice


def test_a_part_whose_controller_is_down_is_no_part_that_is_there():
    answers = {
        "/apis/serving.kserve.io/v1beta1": api(A="inferenceservices"),
        "/apis/serving.kserve.io/v1alpha1": api(A="clusterstoragecontainers", B="inferencegraphs"),
    }
    manager = "/apis/apps/v1/namespaces/kserve/deployments/kserve-controller-manager"
    (absent,) = check_parts([PARTS["kserve"]], ENVIRONMENT, Cluster(answers))
    (late,) = check_parts([PARTS["kserve"]], ENVIRONMENT, Cluster({**answers, manager: deployment("v1", False)}))
    (there,) = check_parts([PARTS["kserve"]], ENVIRONMENT, Cluster({**answers, manager: deployment("v1")}))
    assert [check.state for check in (absent, late, there)] == ["warning", "fault", "ok"]
    assert there.found == f"version v1 (parts.yaml: {PARTS['kserve'].version})"


def test_a_volume_needs_its_storage_class_until_it_is_there():
    missing = check_storage([_database()], ENVIRONMENT, Cluster({CLASSES: {"items": [_storage_class("slow")]}}))
    assert (missing.state, missing.found) == (
        "fault",
        "1 volumes, 0 of them there; default StorageClass none; missing a default one",
    )
    assert "postgresql.storage.storageClass" in missing.advice
    claims = {CLAIMS: {"items": [{"metadata": {"name": "data-database-0"}}]}}
    assert check_storage([_database()], ENVIRONMENT, Cluster(claims)).state == "ok"
    named = check_storage([_database("fast")], ENVIRONMENT, Cluster({CLASSES: {"items": [_storage_class("slow")]}}))
    assert "missing fast" in named.found


def test_a_storage_class_that_makes_no_volume_is_a_warning():
    by_hand = _storage_class("local", "kubernetes.io/no-provisioner", is_default=True)
    check = check_storage([_database()], ENVIRONMENT, Cluster({CLASSES: {"items": [by_hand]}}))
    assert (check.state, "local has no provisioner" in check.found) == ("warning", True)
    made = _storage_class("local", is_default=True)
    assert check_storage([_database()], ENVIRONMENT, Cluster({CLASSES: {"items": [made]}})).state == "ok"


def test_names_are_answered_by_pods_that_the_network_policies_open():
    assert check_names(Cluster({})).state == "warning"
    pod = {
        "metadata": {"labels": {"k8s-app": "kube-dns"}},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    assert check_names(Cluster({"/api/v1/pods": {"items": [pod]}})).state == "ok"


def test_rights_are_asked_for_objects_and_for_the_rules_of_roles():
    objects = [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "tidemill-test"}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "steps", "namespace": "kubeflow"},
            "rules": [{"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create"]}],
        },
    ]
    answers = {"/api/v1": api(Service="services"), "/apis/rbac.authorization.k8s.io/v1": api(Role="roles")}
    cluster = Cluster(answers)
    (check,) = check_permissions(objects, "tidemill-test", cluster)
    assert (check.state, check.found) == ("ok", "all rights in kubeflow and tidemill-test")
    cluster.refused = {("create", "services"), ("create", "workflowtaskresults"), ("get", "pods/log")}
    (check,) = check_permissions(objects, "tidemill-test", cluster)
    assert check.state == "fault"
    assert check.found == (
        "3 of 18 rights are missing: create workflowtaskresults.argoproj.io in kubeflow, "
        "create services in tidemill-test, get pods/log in tidemill-test"
    )


def test_a_pod_reserves_its_containers_together_or_its_largest_first_one():
    pod = {
        "containers": [_container("100m", "64Mi"), _container("200m", "64Mi")],
        "initContainers": [_container("50m", "1Gi")],
    }
    assert sum_pod(pod) == Requests(pytest.approx(0.3), 2**30)
    together, largest = sum_chart(
        [
            _workload("Deployment", 3, _container("100m", "1Gi")),
            _workload("Job", 1, _container("1", "64Mi")),
            {"kind": "Service"},
        ]
    )
    assert str(together) == "1.30 CPU, 3.1 GiB"
    assert largest == Requests(1.0, 2**30)


def test_room_is_what_ready_nodes_can_take_beyond_the_pods_of_others():
    def node(name, ready="True", **spec):
        status = {"allocatable": {"cpu": "4", "memory": "8Gi"}, "conditions": [{"type": "Ready", "status": ready}]}
        return {"metadata": {"name": name}, "spec": spec, "status": status}

    def pod(namespace, phase="Running", **labels):
        return {
            "metadata": {"namespace": namespace, "labels": labels},
            "spec": {"nodeName": "a", "containers": [_container("500m", "1Gi")]},
            "status": {"phase": phase},
        }

    own = {"app.kubernetes.io/instance": "tidemill"}
    answers = {
        "/api/v1/nodes": {"items": [node("a"), node("b", ready="False"), node("c", unschedulable=True)]},
        "/api/v1/pods": {
            "items": [
                pod("other"),
                pod("other", **own),
                pod("other", phase="Succeeded"),
                pod("tidemill-test", **own),
            ]
        },
    }
    assert read_rooms(Cluster(answers), ENVIRONMENT) == {"a": Requests(3.0, 6 * 2**30)}


def test_programs_that_are_missing_or_old_are_found(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [(check.name, check.found) for check in check_programs(36)] == [
        ("kubectl", "not on PATH"),
        ("helm", "not on PATH"),
    ]
    client = '{"clientVersion": {"gitVersion": "v1.30.2", "minor": "30+"}}'
    for name, answer in (("kubectl", client), ("helm", "v3.9.4")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{answer}'\n")
        (tmp_path / name).chmod(0o755)
    kubectl, helm = check_programs(36)
    assert (kubectl.state, kubectl.found) == ("warning", "v1.30.2")
    assert (helm.state, helm.found) == ("fault", "v3.9.4")
    assert [check.state for check in check_programs(None)] == ["ok", "fault"]


def test_without_a_cluster_all_that_can_be_said_is_said(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "missing"))
    checks = check_cluster(ENVIRONMENT)
    assert [(check.name, check.state) for check in checks] == [
        ("kubectl", "fault"),
        ("helm", "fault"),
        ("kubernetes", "fault"),
    ]
    assert main(["doctor", "--env", "test"]) == 1
    assert "3 checks, 3 faults, 0 warnings" in capsys.readouterr().out
    assert main(["doctor", "--env", "tset"]) == 1
    assert "but got 'tset'" in capsys.readouterr().err
