"""The kinds of problem, one folder each. `open_task` is the only place that asks which one a contract names."""

from components.base.contract.binary import BinaryProblem
from components.base.contract.problem import Problem
from components.base.contract.regression import RegressionProblem
from components.base.errors import PermanentError
from components.base.task import Task


def open_task(problem: Problem) -> Task:
    """Return the task of a contract, bound to it. A task's modules are imported when it is opened."""
    if isinstance(problem, BinaryProblem):
        from components.tasks.binary.task import BinaryTask

        return BinaryTask(problem)
    if isinstance(problem, RegressionProblem):
        from components.tasks.regression.task import RegressionTask

        return RegressionTask(problem)
    raise PermanentError(f"problem {problem.name}: a task must serve it, but {problem.task!r} has none here.")
