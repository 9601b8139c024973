"""The contract of each task, by the name that a contract gives in `task`."""

from components.base.contract.binary import BinaryProblem
from components.base.contract.problem import Problem
from components.base.contract.regression import RegressionProblem

CONTRACTS: dict[str, type[Problem]] = {"binary": BinaryProblem, "regression": RegressionProblem}
