"""Install, upgrade and remove the platform in one environment; each may be repeated, also after an interruption.

In: an environment and the image. Out: words of what changed. Called by `tidemill deploy`, `upgrade` and `undeploy`, and
by `restore`. Kubeflow Pipelines and KServe may be missing: the rest is installed, and the words say what waits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from components.base.errors import PermanentError
from pipelines.cluster.changes import ObjectChange, plan_changes
from pipelines.cluster.environment import ROOT, Environment
from pipelines.cluster.helm import Helm, Say, Values, merge_values
from pipelines.cluster.kubectl import Kubectl
from pipelines.cluster.operations import open_operations

LABEL = "app.kubernetes.io/instance=tidemill"
_ENDPOINTS = "app.kubernetes.io/part-of=tidemill"
# Helm's note of the release that an object belongs to.
_OWNER = "meta.helm.sh/release-namespace"
_FIELDS_SHOWN = 4
_UNINSTALL_SECONDS = 300.0


@dataclass(frozen=True)
class Platform:
    """What of the platform below the cluster has."""

    has_pipelines: bool
    """Kubeflow Pipelines answers under the name that the values give it."""
    has_kserve: bool

    @property
    def words(self) -> tuple[str, ...]:
        """Values for Helm: without Kubeflow nothing can be scheduled, and its namespace is not there either."""
        absent = ("--set", "bootstrap.schedules=false", "--set", "pipelines.mode=multi-user")
        return () if self.has_pipelines else absent

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is left out, and until when."""
        pipelines = "Kubeflow Pipelines is not there: no run starts and nothing is scheduled."
        kserve = "KServe is not there: a release stops at `deploy`, and no endpoint answers."
        missing = [*([] if self.has_pipelines else [pipelines]), *([] if self.has_kserve else [kserve])]
        return tuple(f"{one} Run `make platform`, and deploy again." for one in missing)


def find_platform(values: Values, kubectl: Kubectl) -> Platform:
    """Look for Kubeflow's API, where the values name a Service of this cluster, and for KServe's kinds."""
    host = urlsplit(values["pipelines"]["endpoint"]).hostname or ""
    name, _, namespace = host.removesuffix(".svc.cluster.local").removesuffix(".svc").partition(".")
    is_service = bool(namespace) and "." not in namespace
    has_pipelines = not is_service or bool(kubectl.read("service", name, "--namespace", namespace))
    kinds = kubectl.run("api-resources", "--api-group=serving.kserve.io", "--output=name")
    return Platform(has_pipelines, "inferenceservices.serving.kserve.io" in kinds)


def choose_image(values: Mapping[str, Any], image: str | None, commit: str) -> tuple[str, ...]:
    """Return the words for Helm that name the image: the one given, the one of the values, or that of the commit.

    Raises:
        PermanentError: it has neither tag nor digest.
    """
    held = values["image"]
    if image is None:
        return () if held["tag"] or held["digest"] else ("--set-string", f"image.tag={commit}")
    repository, _, digest = image.partition("@")
    tag = ""
    if not digest:
        repository, _, tag = image.rpartition(":")
    if not repository or not (tag or digest) or "/" in tag:
        raise PermanentError(f"image: it must be name:tag or name@sha256:…, but got {image!r}.")
    return ("--set-string", f"image.repository={repository},image.tag={tag},image.digest={digest}")


def name_contracts() -> tuple[str, ...]:
    """Return the words for Helm that pass every contract of this checkout."""
    folder = ROOT / "pipelines" / "problems"
    files = sorted(folder.glob("*.yaml"))
    return tuple(word for file in files for word in ("--set-file", f"problems.{file.stem}={file}"))


def recover(helm: Helm, say: Say) -> None:
    """Clear what an interrupted deployment left in the way."""
    newest = helm.find()
    while newest and newest.is_interrupted:
        say(f"Revision {newest.number} was interrupted ({newest.status}): its record is removed, its objects stay.")
        helm.recover(newest)
        newest = helm.find()


def plan_upgrade(helm: Helm) -> list[ObjectChange]:
    """Return what an upgrade would change; every object is created where nothing is installed."""
    before = helm.read_manifest() if helm.find() else ""
    return plan_changes(before, helm.render(), helm.environment.namespace)


def show_plan(changes: Sequence[ObjectChange], say: Say, *, shows_fields: bool) -> None:
    """Say each change on a line, and the fields of those that stay."""
    for change in changes:
        say(f"  {change.action:<7} {change.name}")
        for field in change.fields[:_FIELDS_SHOWN] if shows_fields else ():
            say(f"          {field}")
        if shows_fields and len(change.fields) > _FIELDS_SHOWN:
            say(f"          and {len(change.fields) - _FIELDS_SHOWN} fields more")


def deploy(helm: Helm, platform: Platform, timeout_seconds: float, say: Say) -> bool:
    """Bring the installation to the chart, the values and the contracts of this checkout; return whether it changed.

    Raises:
        PermanentError: a pod does not become ready in time, or the cluster refuses an object.
    """
    newest, changes = helm.find(), plan_upgrade(helm)
    is_changed = bool(changes) or newest is None or newest.status != "deployed"
    if is_changed:
        counts = {action: sum(one.action == action for one in changes) for action in ("create", "change", "remove")}
        say("Objects to " + ", ".join(f"{action}: {count}" for action, count in counts.items() if count))
        show_plan([one for one in changes if newest and one.action != "create"], say, shows_fields=False)
        helm.upgrade(timeout_seconds, say)
    now = helm.find()
    say(f"Revision {now.number if now else '?'} is in force." if is_changed else "Every object is as it must be.")
    if keeps_schedules(helm.read_values(), platform):
        with open_operations(helm.environment) as pod:
            for line in pod.run("tidemill", "schedules", "apply").splitlines():
                say(f"  {line}")
    return is_changed


def keeps_schedules(given: Values, platform: Platform) -> bool:
    """Return whether an installation that was given these values keeps recurring runs."""
    return platform.has_pipelines and bool(given.get("bootstrap", {}).get("schedules", True))


def undeploy(environment: Environment, say: Say, *, deletes_data: bool) -> None:
    """End endpoints, recurring runs and services; Secrets and volumes stay unless `deletes_data`.

    What an external database, Redis or object store holds stays in any case.
    """
    helm, kubectl, values = Helm(environment), Kubectl(environment.namespace), merge_values(environment)
    platform = find_platform(values, kubectl)
    recover(helm, say)
    if helm.find() is None:
        say("Nothing is installed.")
    else:
        if keeps_schedules(helm.read_values(), platform):
            with open_operations(environment) as pod:
                for line in pod.run("tidemill", "schedules", "remove").splitlines():
                    say(f"  {line}")
        if platform.has_kserve:
            ended = kubectl.run("delete", "inferenceservice", "--selector", _ENDPOINTS, "--output=name")
            # Without any it says so in words.
            say(f"Endpoints ended: {ended.count('inferenceservice.serving.kserve.io/')}.")
        helm.uninstall(_UNINSTALL_SECONDS)
        say("Services, roles and network policies are removed.")
    kept = _list_kept(environment, values, kubectl)
    if deletes_data:
        for kind, name, namespace in kept:
            kubectl.run("delete", kind, name, "--namespace", namespace, "--ignore-not-found")
        say(f"Deleted: {_count(kept)}.")
    elif kept:
        say(f"Kept: {_count(kept)}. A deploy finds them again; `--delete-data` ends them.")


def _list_kept(environment: Environment, values: Values, kubectl: Kubectl) -> list[tuple[str, str, str]]:
    """Return kind, name and namespace of what Helm leaves: volumes, and Secrets beside the steps of runs as well."""
    pipelines = values["pipelines"]
    beside = pipelines["namespace"] or (pipelines["apiNamespace"] if pipelines["mode"] == "single-user" else "")
    found = [*kubectl.read("persistentvolumeclaim", "--selector", LABEL), *kubectl.read("secret", "--selector", LABEL)]
    if beside not in ("", environment.namespace):
        # Secrets of another installation may lie there too.
        others = kubectl.read("secret", "--selector", LABEL, "--namespace", beside)
        found += [one for one in others if one["metadata"]["annotations"].get(_OWNER) == environment.namespace]
    return [(one["kind"], one["metadata"]["name"], one["metadata"]["namespace"]) for one in found]


def _count(kept: Sequence[tuple[str, str, str]]) -> str:
    volumes = sum(kind == "PersistentVolumeClaim" for kind, _, _ in kept)
    return f"{volumes} volumes, {len(kept) - volumes} Secrets"
