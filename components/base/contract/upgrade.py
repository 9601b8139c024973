"""Read a contract of an older version as one of today's.

In: the parsed YAML or JSON of a contract. Out: the same content in the form of `VERSION`. Called by `load.py`; the
contract that a model was registered under lies beside it and stays in the form of its day.
"""

from copy import deepcopy
from typing import Any, NamedTuple

Location = tuple[str | int, ...]

VERSION = 3


class ContractChange(NamedTuple):
    """A field that a version moved or replaced."""

    new: Location
    old: Location
    value: Any = None
    """What replaces the old value where it had another meaning; None keeps it."""


CHANGES: dict[int, tuple[ContractChange, ...]] = {
    1: (
        ContractChange(("business", "capacity_periods_per_day"), ("business", "capacity_shifts")),
        ContractChange(("monitoring", "drift", "maximum_psi"), ("monitoring", "drift", "maximum_shift")),
        ContractChange(("task",), ("target", "type")),
    ),
    # The budget of seconds ended a search at another trial on each machine.
    2: (ContractChange(("search", "trials"), ("search", "tune_seconds"), value=30),),
}
"""By the version that had the old field."""


def list_changes(version: Any) -> list[ContractChange]:
    """Return what has changed since a version; nothing for today's and for what is no version."""
    is_older = version in list(CHANGES)
    return [change for known, changes in CHANGES.items() if is_older and version <= known for change in changes]


def upgrade_contract(content: Any) -> Any:
    """Return the content in the form of today's version; content of another version, or of no form, as it is."""
    if not isinstance(content, dict) or not list_changes(content.get("version")):
        return content
    upgraded = deepcopy(content) | {"version": VERSION}
    for change in list_changes(content["version"]):
        holder, target = _find(upgraded, change.old[:-1]), _find(upgraded, change.new[:-1])
        if holder is not None and target is not None and change.old[-1] in holder:
            value = holder.pop(change.old[-1])
            target[change.new[-1]] = value if change.value is None else change.value
    return upgraded


def describe_upgrade(version: int) -> str:
    """Return in words how a contract of an older version is read, and what to write instead."""
    changes = [change for change in list_changes(version) if change.new != ("task",)]
    renamed = ", ".join(f"{change.old[-1]} to {change.new[-1]}" for change in changes if change.value is None)
    replaced = ", ".join(
        f"{'.'.join(map(str, change.old))} with `{change.new[-1]}: {change.value}`"
        for change in changes
        if change.value is not None
    )
    steps = [f"write `version: {VERSION}`{' and `task: binary`' if version == 1 else ''}"]
    steps += [f"rename {renamed}"] if renamed else []
    steps += [f"replace {replaced}"] if replaced else []
    text = "; ".join(steps)
    return f"version {version} is read as version {VERSION}. {text[0].upper()}{text[1:]}."


def _find(content: Any, location: Location) -> dict[Any, Any] | None:
    for part in location:
        content = content.get(part) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else None
