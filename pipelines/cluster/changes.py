"""Compare two renderings of the chart: which objects an upgrade creates, changes and removes.

In: two texts of YAML, as `helm get manifest` prints them. Out: `ObjectChange`s, each with the fields that differ.
Called by `deploy` and `upgrade`. The Job of a revision is left out: each upgrade has its own. A Secret's values are
never shown.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import yaml

_SHOWN_CHARACTERS = 60
_BOOTSTRAP = "tidemill-bootstrap-"


@dataclass(frozen=True)
class ObjectChange:
    """What becomes of one object."""

    action: Literal["create", "change", "remove"]
    name: str
    """Kind/name, with the namespace where it is another than the release's."""
    fields: tuple[str, ...] = ()
    """Of a change: `path: before -> after`, shortened."""


def plan_changes(before: str, after: str, namespace: str) -> list[ObjectChange]:
    """Return what differs, in the order of the objects' names; nothing when an upgrade would change nothing."""
    old, new = _read_objects(before, namespace), _read_objects(after, namespace)
    return [
        ObjectChange("create", name)
        if name not in old
        else ObjectChange("remove", name)
        if name not in new
        else ObjectChange("change", name, tuple(_compare(old[name], new[name], is_secret=name.startswith("Secret/"))))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def _read_objects(text: str, namespace: str) -> dict[str, Any]:
    found = {}
    for one in yaml.safe_load_all(text):
        if not one or (one["kind"] == "Job" and one["metadata"]["name"].startswith(_BOOTSTRAP)):
            continue
        place = one["metadata"].get("namespace", namespace)
        name = f"{one['kind']}/{one['metadata']['name']}"
        found[name if place == namespace else f"{name} in {place}"] = one
    return found


def _compare(old: Any, new: Any, path: str = "", *, is_secret: bool = False) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _compare(old.get(key), new.get(key), f"{path}.{key}" if path else key, is_secret=is_secret)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for position, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _compare(one, other, f"{path}[{position}]", is_secret=is_secret)
    else:
        yield path if is_secret else f"{path}: {_show(old)} -> {_show(new)}"


def _show(value: Any) -> str:
    if value is None:
        return "nothing"
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN_CHARACTERS else f"{len(str(value))} characters"
