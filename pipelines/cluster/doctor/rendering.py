"""The chart as an environment installs it, without a cluster: what it asks of one.

In: an environment, with every contract of this checkout. Out: its objects, and the requests of pods. Called by the
checks of permissions, volumes and capacity.
"""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

from components.base.adapters.kubernetes import Object, parse_quantity
from components.base.errors import PermanentError
from pipelines.cluster.environment import CHART, Environment

# Without a cluster Helm takes its own age for that of Kubernetes.
_KUBERNETES = "1.33.0"
_OPERATOR = ("monitoring.coreos.com/v1", "monitoring.coreos.com/v1alpha1/AlertmanagerConfig")
_WORKLOADS = ("Deployment", "StatefulSet", "Job")


@dataclass(frozen=True)
class Requests:
    """What pods reserve."""

    cpu: float = 0.0
    """CPUs."""
    memory: float = 0.0
    """Bytes."""

    def __add__(self, other: "Requests") -> "Requests":
        """Return the sum."""
        return Requests(self.cpu + other.cpu, self.memory + other.memory)

    def __sub__(self, other: "Requests") -> "Requests":
        """Return the difference."""
        return Requests(self.cpu - other.cpu, self.memory - other.memory)

    def times(self, count: int) -> "Requests":
        """Return what that many pods reserve."""
        return Requests(self.cpu * count, self.memory * count)

    def fit_in(self, room: "Requests") -> bool:
        """Return whether they fit."""
        return self.cpu <= room.cpu and self.memory <= room.memory

    def __str__(self) -> str:
        """Write them as `0.35 CPU, 1.3 GiB`."""
        return f"{self.cpu:.2f} CPU, {self.memory / 2**30:.1f} GiB"


def render_chart(environment: Environment) -> list[Object]:
    """Return every object of the chart.

    Raises:
        PermanentError: the chart refuses the values, in Helm's words.
    """
    from pipelines.cluster.deploy import name_contracts

    place = ["--namespace", environment.namespace, "--kube-version", _KUBERNETES]
    known = _OPERATOR if "monitoring" in environment.parts else ()
    kinds = [word for kind in known for word in ("--api-versions", kind)]
    command = ["helm", "template", environment.release, str(CHART), *place, *kinds, *environment.values_words]
    done = subprocess.run(
        [*command, *name_contracts(), "--set", "image.tag=any"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise PermanentError(
            f"environment {environment.name}: the chart must take its values, but got: {done.stderr.strip()[-1000:]}"
        )
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def sum_pod(spec: Mapping[str, object]) -> Requests:
    """Return what one pod reserves: its containers together, or its largest first container, whichever is more."""
    containers, firsts = (_list_requests(spec.get(name)) for name in ("containers", "initContainers"))
    together = sum(containers, Requests())
    return Requests(
        max([together.cpu, *(one.cpu for one in firsts)]), max([together.memory, *(one.memory for one in firsts)])
    )


def sum_chart(objects: Sequence[Object]) -> tuple[Requests, Requests]:
    """Return what all pods of the chart reserve together, and what the largest one does."""
    together, largest = Requests(), Requests()
    for one in objects:
        if one["kind"] in _WORKLOADS:
            pod = sum_pod(one["spec"]["template"]["spec"])
            together += pod.times(one["spec"].get("replicas", 1))
            largest = Requests(max(largest.cpu, pod.cpu), max(largest.memory, pod.memory))
    return together, largest


def _list_requests(containers: object) -> list[Requests]:
    found = containers if isinstance(containers, list) else []
    requests = [one.get("resources", {}).get("requests", {}) for one in found]
    return [Requests(parse_quantity(one.get("cpu", "0")), parse_quantity(one.get("memory", "0"))) for one in requests]
