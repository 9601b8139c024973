"""Whether the pods of an installation fit: what nodes can take, less what other pods reserve.

In: the chart's objects and the cluster. Out: one check of the services, one of what comes later, endpoints and steps.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from components.base.adapters.kubernetes import NODES, PODS, Kubernetes, Object, is_true, parse_quantity
from components.base.contract.load import load_problems
from components.serving.inference_service import RESOURCES
from pipelines.cluster.doctor.check import Check
from pipelines.cluster.doctor.rendering import Requests, sum_chart, sum_pod
from pipelines.cluster.environment import Environment
from pipelines.resources import STEPS

_ENDED = ("Succeeded", "Failed")


def check_capacity(
    objects: Sequence[Object], environment: Environment, problems: Path, cluster: Kubernetes
) -> Iterator[Check]:
    """Compare the room on the nodes with the chart's services, and then with endpoints and one step of a run."""
    rooms = read_rooms(cluster, environment)
    free = sum(rooms.values(), Requests())
    needed, largest = sum_chart(objects)
    fits = needed.fit_in(free) and any(largest.fit_in(room) for room in rooms.values())
    found = f"{len(rooms)} nodes with room for {free}; the services of profile {environment.profile} reserve {needed}"
    advice = f"Make room, add a node of {needed}, or lower the requests in the environment's values."
    yield Check("capacity", "ok" if fits else "fault", found, "" if fits else advice)
    endpoints = sum(
        (_read(RESOURCES["requests"]).times(one.serving.minimum_replicas) for one in load_problems(problems).values()),
        Requests(),
    )
    steps = [Requests(parse_quantity(one.cpu_request), parse_quantity(one.memory_request)) for one in STEPS.values()]
    step = Requests(max(one.cpu for one in steps), max(one.memory for one in steps))
    later = endpoints + step
    fits = (needed + later).fit_in(free)
    left = Requests(max(free.cpu - needed.cpu, 0), max(free.memory - needed.memory, 0))
    found = f"endpoints and the largest step of a run reserve {later}; beside the services {left} is left"
    advice = "Endpoints or runs will wait for room: add a node before the first release."
    yield Check("capacity of runs", "ok" if fits else "warning", found, "" if fits else advice)


def read_rooms(cluster: Kubernetes, environment: Environment) -> dict[str, Requests]:
    """Return by node what it can take beyond pods of others: an upgrade replaces those of this installation."""
    rooms = {}
    for node in cluster.list(NODES):
        if is_true(node["status"], "Ready") and not node["spec"].get("unschedulable"):
            rooms[node["metadata"]["name"]] = _read(node["status"]["allocatable"])
    for pod in cluster.list(PODS):
        name = pod["spec"].get("nodeName")
        is_own = (
            pod["metadata"]["namespace"] == environment.namespace
            and pod["metadata"].get("labels", {}).get("app.kubernetes.io/instance") == environment.release
        )
        if name in rooms and pod["status"].get("phase") not in _ENDED and not is_own:
            rooms[name] -= sum_pod(pod["spec"])
    return rooms


def _read(quantities: dict[str, str]) -> Requests:
    return Requests(parse_quantity(quantities["cpu"]), parse_quantity(quantities["memory"]))
