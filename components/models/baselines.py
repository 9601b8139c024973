"""The two baselines of every leaderboard: the current solution of the contract, and a dummy that knows nothing.

In: the task and prepared rows. Out: fitted baselines with their policies, used by evaluate like any candidate. They are
scored beside the candidates and never served; the current solution is saved as JSON, so that the monitor can compute
what it would have decided on later rows.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from components.base.dataset import Prepared
from components.base.errors import ModelRefusedError
from components.base.task import BaselineRole, Policy, Task
from components.models.calibrate import fit_policy


@dataclass(frozen=True)
class Baseline:
    """A baseline fitted on train rows, with the policy that earns most on validation rows."""

    label: str
    estimator: Any
    policy: Policy


def fit_baselines(task: Task, prepared: Prepared) -> dict[BaselineRole, Baseline]:
    """Fit the baselines on the rows that the challenger had, and give each the policy that suits it best."""
    train, validation = prepared.read("train"), prepared.read("validation")
    columns = list(task.problem.baseline.group_by)
    fitted = {}
    for role, baseline in task.build_baselines().items():
        estimator = baseline.estimator.fit(train[columns], train[prepared.target])
        policy = fit_policy(task, estimator, columns, validation).policy
        fitted[role] = Baseline(baseline.name, estimator, policy)
    return fitted


def save_current_solution(task: Task, baseline: Baseline, path: Path | str) -> None:
    """Write a fitted current solution as JSON: what `load_current_solution` returns forecasts the same of any row."""
    described = {
        "label": baseline.label,
        "policy": baseline.policy.model_dump(),
        "rule": task.describe_rule(baseline.estimator),
    }
    Path(path).write_bytes(orjson.dumps(described, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY))


def load_current_solution(task: Task, path: Path | str) -> Baseline:
    """Read a current solution that `save_current_solution` wrote.

    Raises:
        ModelRefusedError: the file is missing or damaged.
    """
    try:
        described = orjson.loads(Path(path).read_bytes())
        rule = task.restore_rule(described["rule"])
        return Baseline(described["label"], rule, task.read_policy(described["policy"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelRefusedError(
            f"current solution {path}: the file must be readable, but got {error!r}. "
            "Train the model again, or fetch it from the registry again."
        ) from error
