"""Whether this account may do what an installation needs, asked one by one of the API server.

In: the chart's objects and the cluster. Out: what is not allowed, by namespace. Kubernetes lets nobody grant
rights that he does not have: the rules of the chart's Roles are asked for, too.
"""

from collections.abc import Iterator, Sequence

from components.base.adapters.kubernetes import Kubernetes, Object
from pipelines.cluster.doctor.check import Check

_VERBS = ("get", "list", "create", "patch", "delete")
# Of Helm's records, of `tidemill status`, and of a deployment that says why a pod does not run.
_COMMANDS = (
    ("update", "", "secrets"),
    ("list", "", "pods"),
    ("get", "", "pods/log"),
    ("create", "", "pods/portforward"),
    ("create", "", "pods/exec"),
    ("list", "", "events"),
    ("list", "serving.kserve.io", "inferenceservices"),
)
_SHOWN = 8
Right = tuple[str, str, str, str]
"""Namespace, verb, group and resource."""


def check_permissions(objects: Sequence[Object], namespace: str, cluster: Kubernetes) -> Iterator[Check]:
    """Ask for every right that the chart, the commands and the rules of its Roles need."""
    namespaces = sorted({one["metadata"]["namespace"] for one in objects} | {namespace})
    if all(cluster.may("*", "*", "*", place) for place in namespaces):
        yield Check("permissions", "ok", f"all rights in {' and '.join(namespaces)}")
        return
    needed = sorted({*_list_objects(objects, cluster), *_list_rules(objects)})
    needed += [(namespace, verb, group, resource) for verb, group, resource in _COMMANDS]
    refused = [right for right in needed if not cluster.may(right[1], right[2], right[3], right[0])]
    if not refused:
        yield Check("permissions", "ok", f"{len(needed)} of {len(needed)} rights in {' and '.join(namespaces)}")
        return
    named = [f"{verb} {resource}{'.' * bool(group)}{group} in {place}" for place, verb, group, resource in refused]
    more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    yield Check(
        "permissions",
        "fault",
        f"{len(refused)} of {len(needed)} rights are missing: {', '.join(named[:_SHOWN])}{more}",
        "Have the role `admin` of these namespaces bound to your account, with the right to what is named.",
    )


def _list_objects(objects: Sequence[Object], cluster: Kubernetes) -> Iterator[Right]:
    """Return the rights to make, read and change each kind of the chart that the API server knows."""
    kinds = {(one["apiVersion"], one["kind"], one["metadata"]["namespace"]) for one in objects}
    for api in sorted({api for api, _, _ in kinds}):
        listed = cluster.read(f"/apis/{api}" if "/" in api else f"/api/{api}")
        plurals = {
            one["kind"]: one["name"] for one in (listed or {"resources": []})["resources"] if "/" not in one["name"]
        }
        group = api.rpartition("/")[0]
        for _, kind, namespace in (one for one in kinds if one[0] == api and one[1] in plurals):
            yield from ((namespace, verb, group, plurals[kind]) for verb in _VERBS)


def _list_rules(objects: Sequence[Object]) -> Iterator[Right]:
    for role in (one for one in objects if one["kind"] == "Role"):
        for rule in role["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    yield from ((role["metadata"]["namespace"], verb, group, resource) for verb in rule["verbs"])
