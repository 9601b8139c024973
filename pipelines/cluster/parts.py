"""The upstream parts that the platform stands on, and which of them a cluster has.

In: `manifests/platform/parts.yaml`, and a cluster. Out: parts in the order of their installation, and what the cluster
has of one. Called by `doctor` and `platform`. The API server's own list of kinds is asked: every account may read it.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import Field, TypeAdapter

from components.base.adapters.kubernetes import DEPLOYMENTS, GATEWAY_CLASSES, Kubernetes, Object, is_true
from components.base.documents import Document
from components.base.errors import PermanentError, suggest_name
from pipelines.cluster.environment import ROOT

PLATFORM = ROOT / "manifests" / "platform"


class Step(Document):
    """A chart that Helm installs, or a folder that kubectl applies."""

    folder: str = ""
    """A kustomization, below manifests/platform; empty: a chart."""
    chart: str = ""
    """Its address; `{version}` stands for the part's version."""
    release: str = ""
    namespace: str = ""
    values: str = ""
    """The chart's values, below manifests/platform."""


class Part(Document):
    """One upstream project."""

    name: str
    purpose: str
    version: str
    only_for: str = ""
    """The part that alone needs it: where that one is there, nobody asks for this one."""
    apis: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """By group and version, the plural names of the kinds that the API server lists where the part is there."""
    gateway_class: bool = False
    """Whether it is there where a GatewayClass is accepted."""
    steps: tuple[Step, ...]
    ready: tuple[str, ...] = ()
    """The Deployments that must be available, as namespace/name."""


def load_parts(file: Path = PLATFORM / "parts.yaml") -> dict[str, Part]:
    """Read the parts by name, in the order of their installation."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    parts = [{**fields, "name": name} for name, fields in content.items()]
    return {part.name: part for part in TypeAdapter(list[Part]).validate_python(parts)}


def choose_parts(parts: dict[str, Part], names: tuple[str, ...]) -> list[Part]:
    """Return the named parts in the order of their installation.

    Raises:
        PermanentError: a name is no part, with the nearest one.
    """
    for name in names:
        if name not in parts:
            raise PermanentError(
                f"platform: one of {', '.join(parts)} must be named, but got {name!r}.{suggest_name(name, parts)} "
                "manifests/platform/parts.yaml lists the parts."
            )
    return [part for part in parts.values() if part.name in names]


@dataclass(frozen=True)
class Presence:
    """What a cluster has of a part."""

    missing: tuple[str, ...]
    """The kinds that the API server does not list, or the GatewayClass; the part is there where nothing is missing."""
    absent: tuple[str, ...]
    """The Deployments that nobody made: the part was installed by other means, or was interrupted."""
    late: tuple[str, ...]
    """The Deployments that are not available."""
    words: str
    """Versions or GatewayClasses, for a person."""


def look_for(part: Part, cluster: Kubernetes) -> Presence:
    """Look for a part on a cluster."""
    missing = []
    for api, plurals in part.apis.items():
        listed = cluster.read(f"/apis/{api}")
        served = {kind["name"] for kind in listed["resources"]} if listed else set()
        missing += [f"{plural}.{api.partition('/')[0]}" for plural in plurals if plural not in served]
    classes = list_gateway_classes(cluster) if part.gateway_class else []
    if part.gateway_class:
        missing += [] if classes else ["an accepted GatewayClass"]
    found = {name: find_deployment(name, cluster) for name in part.ready}
    # Any controller may have accepted the class, under its own name.
    absent = [] if part.gateway_class else [name for name, one in found.items() if one is None]
    late = [name for name, one in found.items() if one and not is_true(one.get("status", {}), "Available")]
    tags = sorted({_read_tag(one) for one in found.values() if one is not None})
    words = (
        f"GatewayClass {', '.join(classes)} is accepted" if classes else f"version {', '.join(tags)}" if tags else ""
    )
    return Presence(tuple(missing), tuple(absent), tuple(late), words)


def find_deployment(name: str, cluster: Kubernetes) -> Object | None:
    """Return the Deployment namespace/name."""
    namespace, _, deployment = name.partition("/")
    return cluster.get(DEPLOYMENTS, deployment, namespace)


def list_gateway_classes(cluster: Kubernetes) -> list[str]:
    """Return the names of the GatewayClasses that a controller has accepted."""
    found = cluster.read(GATEWAY_CLASSES.path(""))
    classes = found["items"] if found else []
    return [one["metadata"]["name"] for one in classes if is_true(one.get("status", {}), "Accepted")]


def _read_tag(deployment: Object) -> str:
    """Return the tag of the first image; of one that is named by digest alone, its digits."""
    image = str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return tag or digest[:19] or "without a tag"
