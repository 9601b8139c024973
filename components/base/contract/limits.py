"""Numbers of the contract by their dotted name, as runbooks, alerts and dashboards call them.

In: a contract and a name such as `monitoring.drift.maximum_psi`. Out: its number. Called by the alerts, the
exporter and the tests of the runbooks: a name that is no field cannot be used.
"""

from typing import Any

from pydantic import BaseModel

from components.base.contract.problem import Problem
from components.base.errors import ContractError, suggest_name

# The sections whose numbers alerts and dashboards compare with.
_SECTIONS = ("serving", "monitoring", "retraining", "sources")


def read_limit(problem: Problem, path: str) -> float:
    """Return the number of a field.

    Raises:
        ContractError: the contract has no such number, with the nearest one that it has.
    """
    limits = list_limits(problem)
    if path not in limits:
        raise ContractError(
            f"problem {problem.name}: `{path}` must be a number of the contract, but is not."
            f"{suggest_name(path, limits)} Alerts take their thresholds from there."
        )
    return limits[path]


def list_limits(problem: Problem) -> dict[str, float]:
    """Return the numbers of the sections on serving, monitoring and retraining, and the freshness of the sources."""
    found: dict[str, float] = {}
    for section in _SECTIONS:
        _collect(section, getattr(problem, section), found)
    is_limit = {path: not path.startswith("sources.") or ".freshness." in path for path in found}
    return {path: number for path, number in found.items() if is_limit[path]}


def _collect(path: str, node: Any, found: dict[str, float]) -> None:
    if isinstance(node, BaseModel):
        for name in type(node).model_fields:
            _collect(f"{path}.{name}", getattr(node, name), found)
    elif isinstance(node, dict):
        for name, child in node.items():
            _collect(f"{path}.{name}", child, found)
    elif isinstance(node, int | float) and not isinstance(node, bool):
        found[path] = float(node)
