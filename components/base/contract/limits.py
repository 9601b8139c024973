"""Fields of the contract by their dotted name, as runbooks, alerts and dashboards call them.

In: a contract and a name such as `monitoring.minimum_rows`. Out: its value. Called by the alerts, the exporter and
the tests of the runbooks: a name that is no field of the contract is refused.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from components.base.contract.problem import Problem
from components.base.errors import ContractError, suggest_name

# The sections whose numbers alerts and dashboards compare with.
_SECTIONS = ("serving", "refresh", "monitoring", "retraining", "sources")


def read_field(problem: Problem, path: str) -> Any:
    """Return the value of a field; None if the contract leaves it, or a section above it, unset.

    Raises:
        ContractError: the contract has no such field, with the nearest one of the sections above.
    """
    node: Any = problem
    for part in path.split("."):
        if node is None:
            return None
        children = _children(node)
        if part not in children:
            known = [name for section in _SECTIONS for name, _ in _leaves(section, getattr(problem, section))]
            raise ContractError(
                f"problem {problem.name}: `{path}` must be a field of the contract, but is not."
                f"{suggest_name(path, known)} Alerts take their thresholds from there."
            )
        node = children[part]
    return node


def list_limits(problem: Problem) -> dict[str, float]:
    """Return the numbers of the sections on serving, monitoring and retraining, and the freshness of the sources."""
    leaves = [leaf for section in _SECTIONS for leaf in _leaves(section, getattr(problem, section))]
    return {
        path: float(value)
        for path, value in leaves
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and (not path.startswith("sources.") or ".freshness." in path)
    }


def _leaves(path: str, node: Any) -> Iterator[tuple[str, Any]]:
    children = _children(node)
    for name, child in children.items():
        yield from _leaves(f"{path}.{name}", child)
    if not children:
        yield path, node


def _children(node: Any) -> dict[str, Any]:
    if isinstance(node, BaseModel):
        return {name: getattr(node, name) for name in type(node).model_fields}
    return node if isinstance(node, dict) else {}
