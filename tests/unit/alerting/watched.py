"""The contract of the alerts' tests, and ways to change it."""

from pathlib import Path

from components.base.contract.load import load_problem
from components.base.contract.problem import Problem

ROOT = Path(__file__).parents[3]
PROBLEM = load_problem(ROOT / "pipelines" / "problems" / "flight-delays.yaml")


def with_field(problem: Problem, path: str, value: object) -> Problem:
    """Return the contract with another value in one field, checked like any contract."""
    content = problem.model_dump()
    *sections, last = path.split(".")
    node = content
    for section in sections:
        node = node[section]
    node[last] = value
    return type(problem).model_validate(content)
