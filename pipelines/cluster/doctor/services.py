"""What the cluster itself must offer: its version, the upstream parts, volumes, names and the time.

In: the cluster, and what the chart needs of it. Out: one check a subject.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from components.base.adapters.kubernetes import (
    PODS,
    STORAGE_CLASSES,
    VOLUME_CLAIMS,
    Kubernetes,
    Object,
    is_true,
)
from components.base.errors import TidemillError
from pipelines.cluster.doctor.check import Check, State
from pipelines.cluster.environment import Environment
from pipelines.cluster.parts import Part, look_for

# KServe supports none before; the `preStop` that drains a predictor is on there.
OLDEST_MINOR = 32
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_NO_PROVISIONER = "kubernetes.io/no-provisioner"
# A new token or certificate looks as if it came from the future; S3 refuses a signature at 15 minutes.
_SKEW_WARNING_SECONDS, _SKEW_FAULT_SECONDS = 5.0, 300.0


def check_version(version: Object) -> Check:
    """Judge the API server's version."""
    found, advice = version["gitVersion"], f"Upgrade the cluster to Kubernetes 1.{OLDEST_MINOR} or newer."
    is_old = read_minor(version) < OLDEST_MINOR
    return Check("kubernetes", "fault" if is_old else "ok", found, advice if is_old else "")


def read_minor(version: Object) -> int:
    """Return the minor version; some clusters write `33+`."""
    return int("".join(sign for sign in version["minor"] if sign.isdigit()))


def check_parts(parts: Sequence[Part], environment: Environment, cluster: Kubernetes) -> Iterator[Check]:
    """Look for every upstream part; without one that the environment does not name, some things do not work."""
    for part in (one for one in parts if not one.only_for):
        is_needed = part.name in environment.parts
        bad: State = "fault" if is_needed else "warning"
        install = f"Run `tidemill platform --part {part.name}"
        try:
            found = look_for(part, cluster)
        except TidemillError as error:
            # The server lists a kind whose own server, as that of metrics, does not answer.
            yield Check(part.name, bad, f"{part.purpose}: no answer ({error})", "Look at the pods of that API server.")
            continue
        if found.missing:
            advice = f"{install}`." + ("" if is_needed else " All else works without it.")
            yield Check(part.name, bad, f"{part.purpose}: missing {', '.join(found.missing)}", advice)
        elif found.late:
            advice = "`kubectl describe` of its pods says why."
            yield Check(part.name, bad, f"{part.purpose}: not available: {', '.join(found.late)}", advice)
        elif found.absent:
            advice = f"Nothing to do where it runs under other names. {install} --again` applies it."
            yield Check(part.name, "warning", f"its kinds are there, but not {', '.join(found.absent)}", advice)
        else:
            yield Check(part.name, "ok", f"{found.words or 'there'} (parts.yaml: {part.version})")


def check_storage(objects: Sequence[Object], environment: Environment, cluster: Kubernetes) -> Check:
    """Look for the StorageClass of each volume that is not there yet."""
    templates = {
        f"{claim['metadata']['name']}-{one['metadata']['name']}-0": claim["spec"].get("storageClassName", "")
        for one in objects
        if one["kind"] == "StatefulSet"
        for claim in one["spec"].get("volumeClaimTemplates", [])
    }
    held = {one["metadata"]["name"] for one in cluster.list(VOLUME_CLAIMS, namespace=environment.namespace)}
    listed = cluster.read(STORAGE_CLASSES.path("")) or {"items": []}
    classes = {one["metadata"]["name"]: one for one in listed["items"]}
    for name, one in list(classes.items()):
        if one["metadata"].get("annotations", {}).get(_DEFAULT_CLASS) == "true":
            # A volume that names no class gets the default one.
            classes[""] = {**one, "default": name}
    wanted = {storage for name, storage in templates.items() if name not in held}
    default = classes[""]["default"] if "" in classes else "none"
    found = f"{len(templates)} volumes, {len(held & set(templates))} of them there; default StorageClass {default}"
    values = "postgresql.storage.storageClass, redis.storage.storageClass, objectStore.storage.storageClass"
    if missing := sorted(wanted - set(classes)):
        advice = (
            f"Install a provisioner with that StorageClass, or name another one in the environment's values: {values}."
        )
        return Check("storage class", "fault", f"{found}; missing {', '.join(missing) or 'a default one'}", advice)
    if by_hand := sorted(name for name in wanted if classes[name]["provisioner"] == _NO_PROVISIONER):
        advice = "Nothing makes volumes of it: make a PersistentVolume for each, or the pods wait."
        return Check("storage class", "warning", f"{found}; {', '.join(by_hand) or default} has no provisioner", advice)
    return Check("storage class", "ok", found)


def check_names(cluster: Kubernetes) -> Check:
    """Look for the pods that answer names inside the cluster, which the chart's network policies open."""
    pods = cluster.list(PODS, {"k8s-app": "kube-dns"})
    ready = [pod for pod in pods if is_true(pod["status"], "Ready")]
    if ready:
        return Check("DNS", "ok", f"{len(ready)} of {len(pods)} pods with the label k8s-app=kube-dns are ready")
    advice = (
        "Where names are answered by other means, set networkPolicies.enabled to false or label these pods: the policy "
        "`dns` opens no others."
    )
    return Check("DNS", "warning", f"0 of {len(pods)} pods with the label k8s-app=kube-dns are ready", advice)


def check_clock(server: datetime, here: datetime | None = None) -> Check:
    """Compare the API server's clock with this machine's, to a second."""
    seconds = abs((server - (here or datetime.now(UTC))).total_seconds())
    found = f"{max(seconds - 1, 0):.0f} s between this machine and the API server"
    if seconds <= _SKEW_WARNING_SECONDS:
        return Check("clock", "ok", found)
    advice = "Set both by NTP: signatures, tokens and certificates are valid for a time."
    return Check("clock", "fault" if seconds > _SKEW_FAULT_SECONDS else "warning", found, advice)
