"""The chart as Helm renders it: one list of objects a profile and namespace."""

import functools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "tidemill"
PROBLEM = "flight-delays"
CONTRACT = ROOT / "pipelines" / "problems" / f"{PROBLEM}.yaml"
PROFILES = ("small", "production", "external")
# A Helm that was built from source takes a Kubernetes of 2020 for its default.
_KUBERNETES = "1.33.0"
# A rendering takes a second.
_SECONDS = 60

Object = dict[str, Any]


def find_helm() -> str:
    """Return the path of Helm, or end the test: in CI as failed, elsewhere as skipped."""
    path = shutil.which("helm")
    if path is None:
        reason = (
            "helm must be on PATH: https://helm.sh/docs/intro/install, or `go install helm.sh/helm/v3/cmd/helm@v3.22.0`"
        )
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def run_helm(
    command: str, profile: str, *options: str, namespace: str = "tidemill", chart: Path = CHART
) -> subprocess.CompletedProcess[str]:
    """Run `helm template` or `helm lint` on the chart with a profile and the contract of the demonstration."""
    names = ["tidemill"] if command == "template" else []
    kinds = ("monitoring.coreos.com/v1", "monitoring.coreos.com/v1alpha1/AlertmanagerConfig")
    operator = [word for kind in kinds for word in ("--api-versions", kind)] if command == "template" else []
    words = [
        find_helm(), command, *names, str(chart), "--namespace", namespace, "--kube-version", _KUBERNETES, *operator,
        "--values", str(CHART / f"values-{profile}.yaml"), "--set", "image.tag=0123abc",
        "--set-file", f"problems.{PROBLEM}={CONTRACT}", *options,
    ]  # fmt: skip
    return subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS)


@functools.cache
def render(profile: str, *options: str, namespace: str = "tidemill") -> list[Object]:
    """Return every object of a profile."""
    done = run_helm("template", profile, *options, namespace=namespace)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def refuse(*options: str, profile: str = "small") -> str:
    """Return the error of values that must be refused."""
    done = run_helm("template", profile, *options)
    assert done.returncode != 0, f"{options} were accepted"
    return done.stderr


def find(objects: list[Object], kind: str, name: str) -> Object:
    """Return the object of a kind and name; the first of them where the namespace of the runs has its own copy."""
    found = [one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name]
    assert found, f"{kind} {name} is not rendered"
    assert all(one.get("data") == found[0].get("data") for one in found)
    return found[0]


def list_pods(objects: list[Object]) -> dict[str, Object]:
    """Return the pod's specification of each workload, by its name."""
    kinds = ("Deployment", "StatefulSet", "Job", "PodTemplate")
    # A PodTemplate has its template at the top.
    return {
        one["metadata"]["name"]: one.get("spec", one)["template"]["spec"] for one in objects if one["kind"] in kinds
    }


def list_containers(objects: list[Object]) -> dict[str, Object]:
    """Return each container, by `<workload>/<container>`."""
    return {
        f"{name}/{container['name']}": container
        for name, pod in list_pods(objects).items()
        for container in [*pod.get("initContainers", []), *pod["containers"]]
    }
