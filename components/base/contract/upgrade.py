"""Read a contract of version 1 as one of version 2, in which the task has a name and two fields say what they mean.

In: the parsed YAML or JSON of a contract. Out: the same content in the form of version 2. Called by `load.py`; a
contract of version 1 also lies beside every model that was registered under it.
"""

from copy import deepcopy
from typing import Any

Location = tuple[str | int, ...]

RENAMED: dict[Location, Location] = {
    ("business", "capacity_periods_per_day"): ("business", "capacity_shifts"),
    ("monitoring", "drift", "maximum_psi"): ("monitoring", "drift", "maximum_shift"),
    ("task",): ("target", "type"),
}
"""Fields of version 2 by their place, with the place that they had in version 1."""


def upgrade_contract(content: Any) -> Any:
    """Return the content in the form of version 2; content of another version, or of no form, as it is."""
    if not isinstance(content, dict) or content.get("version") != 1:
        return content
    upgraded = deepcopy(content) | {"version": 2}
    for new, old in RENAMED.items():
        holder, target = _find(upgraded, old[:-1]), _find(upgraded, new[:-1])
        if holder is not None and target is not None and old[-1] in holder:
            target[new[-1]] = holder.pop(old[-1])
    return upgraded


def _find(content: Any, location: Location) -> dict[Any, Any] | None:
    for part in location:
        content = content.get(part) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else None
