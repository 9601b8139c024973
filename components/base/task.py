"""What differs between kinds of problem: everything else is written against `Task`.

Notation
    n    rows
    k    columns of an output, named by the task: 1 for a binary problem (its probability), one a class for several
    y    outcome of each row, not a number where none is known    (n,)
    o    output of a model                                        (n, k)
    d    decision of each row                                     (n,)

A model gives an `Output`, a `Policy` makes decisions of it, and a `Metric` scores both. Judge, endpoint and monitor
call the same `Policy.apply`. A task is bound to one contract; `components.tasks.open_task` alone knows which task a
contract names, and steps and services hand it on. The tasks themselves are in `components/tasks/<name>/`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from components.base.contract.problem import Problem
from components.base.contract.types import ColumnType
from components.base.dataset import Feature
from components.base.statistics.resampling import Array, Resamples

if TYPE_CHECKING:
    import pandas as pd
    from optuna import Trial

Output = NDArray[np.float64]
Decisions = NDArray[Any]
Kind = Literal["single", "voting", "stacking"]
BaselineRole = Literal["current_solution", "dummy"]
# A compiled model adds in another order than scikit-learn; a policy may stretch the difference.
_ROUNDING = 1e-8


def require_rows(y: Array, output: Output | Decisions) -> None:
    """Raise a ValueError unless outcomes and outputs are of the same rows, at least one."""
    if len(y) != len(output) or not len(y):
        raise ValueError(
            f"score: outcomes and output must have the same rows, at least one, but got (outcomes={len(y)}, "
            f"output={len(output)}). Score the rows that were predicted."
        )


def find_other_decisions(one: Decisions, other: Decisions) -> NDArray[np.bool_]:
    """Return the rows that are decided otherwise, shape (n,); numbers that differ by rounding are one decision."""
    if one.dtype.kind == "f":
        return ~np.isclose(one, other, rtol=_ROUNDING, atol=_ROUNDING)
    return np.asarray(one != other)


class Policy(Protocol):
    """The rule that makes decisions of outputs: chosen on validation rows, stored with the model."""

    def apply(self, output: Output) -> Decisions:
        """Return the decision of each row, shape (n,), before any capacity."""

    def model_dump(self) -> dict[str, Any]:
        """Return the policy as JSON can hold it; `Task.read_policy` reads it back."""


@dataclass(frozen=True)
class PolicyChoice:
    """A policy with the record of how it was chosen."""

    policy: Policy
    details: dict[str, Any]
    """The search as the task describes it, for the report."""


@dataclass(frozen=True)
class Metric:
    """One technical metric: its name in a report, its direction, and its functions."""

    label: str
    higher_is_better: bool
    score: Callable[[Array, Output, Decisions], float]
    """From (y, o, d) to the score; not a number where it is undefined."""
    resample: Callable[[Array, Output, Decisions, Resamples], Array]
    """From (y, o, d) and B resamples to the score in each of them, shape (B,)."""
    estimate: Callable[[Output, Decisions], float] | None = None
    """The expected score of (o, d) without labels; None where there is no honest estimate."""
    needs_labels: bool = True

    @property
    def direction(self) -> int:
        """1 if higher is better, else -1."""
        return 1 if self.higher_is_better else -1

    def gain(self, new: float, old: float) -> float:
        """Return how much better `new` is than `old`: positive is better, whatever the direction."""
        return self.direction * (new - old)


@dataclass(frozen=True)
class Outcome:
    """The outcomes of some rows in numbers."""

    rows: int
    mean: float | None
    """Mean outcome, for a binary problem the share of positive rows; None without rows or without numbers."""
    counts: Mapping[str, int]
    """Rows by class; empty where outcomes are no classes."""


@dataclass(frozen=True)
class OutputSeries:
    """How the predictor counts one column of served outputs for Prometheus: as a histogram."""

    column: str
    """Of `Task.output_columns`."""
    name: str
    description: str
    edges: tuple[float, ...]
    """Upper edges of the buckets, rising."""


@dataclass(frozen=True)
class NamedEstimator:
    """An unfitted estimator with its name on the leaderboard."""

    name: str
    estimator: Any


class Task(Protocol):
    """One kind of problem, bound to a contract."""

    @property
    def problem(self) -> Problem:
        """The contract."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """All metrics by the names that the contract uses."""

    @property
    def primary(self) -> Metric:
        """The metric that selects."""

    @property
    def default_policy(self) -> Policy:
        """The policy of a model for which none was chosen yet: what cross-validation scores decisions by."""

    @property
    def output_columns(self) -> tuple[str, ...]:
        """Names of the k columns of an output, in order."""

    @property
    def exploration(self) -> Any:
        """What the task adds to explore: an `Exploration` of `components.features.explore.training_rows`."""

    @property
    def decision_type(self) -> ColumnType:
        """Type of a decision in answers and in the prediction log."""

    @property
    def decision_values(self) -> tuple[Any, ...]:
        """The decisions that the predictor counts, each as one series; empty where decisions are numbers."""

    @property
    def output_series(self) -> tuple[OutputSeries, ...]:
        """The columns of an output that the predictor counts."""

    # The outcome

    def outcome_sql(self) -> str:
        """Return the SQL expression of the outcome over the columns of the examples' source, a number or null."""

    def describe_outcomes(self, y: Array) -> Outcome:
        """Count the outcomes of some rows."""

    def find_outcome_faults(self, y: Array) -> list[str]:
        """Return why no model can learn from these training outcomes, in words; none when one can."""

    # The model

    def default_parameters(self, family: str) -> dict[str, Any]:
        """Return what `select` compares and `tune` starts from."""

    def suggest_parameters(self, family: str, trial: "Trial") -> dict[str, Any]:
        """Take the parameters of a family from an Optuna trial; the names are those of `default_parameters`."""

    def build_candidate(
        self, family: str, features: Sequence[Feature], parameters: dict[str, Any] | None = None
    ) -> Any:
        """Build an unfitted Pipeline: `columns` (ColumnTransformer), then `model`. `parameters` replace defaults."""

    def build_baselines(self) -> dict[BaselineRole, NamedEstimator]:
        """Build the current solution of the contract and a dummy, both unfitted."""

    def describe_rule(self, estimator: Any) -> dict[str, Any]:
        """Return a fitted current solution as JSON can hold it."""

    def restore_rule(self, described: Mapping[str, Any]) -> Any:
        """Rebuild the current solution that `describe_rule` described."""

    def predict(self, estimator: Any, rows: Any) -> Output:
        """Return the output of a fitted estimator, shape (n, k)."""

    def fit_stacker(self, outputs: Array, y: Array) -> Any:
        """Fit the model that weighs the outputs of m members, shape (n, m, k)."""

    def stack(self, stacker: Any, outputs: Array) -> Output:
        """Return the output of a fitted stacker for outputs of m members, shape (n, m, k)."""

    def combine(self, kind: Kind, members: dict[str, Any], stacker: Any, X: "pd.DataFrame", y: "pd.Series[Any]") -> Any:
        """Wrap fitted members as one estimator without fitting any of them again."""

    def find_stacker(self, estimator: Any) -> Any:
        """Return the fitted stacker of an estimator whose members `combine` stacked, calibrated or not."""

    def calibrate(
        self, core: Any, features: list[str], first: "pd.DataFrame", second: "pd.DataFrame"
    ) -> tuple[Any, dict[str, Any]]:
        """Calibrate a fitted estimator on the first rows and check it on the second.

        Returns it with the record of the choice, which has a `method` and a `reason`.
        """

    def replace_core(self, estimator: Any, core: Any) -> Any:
        """Return a calibrated estimator with the same calibration around another fitted core."""

    def compile(self, estimator: Any) -> Callable[[Any], Output]:
        """Compile a fitted estimator into a function from a `Batch` of n feature rows to the output, shape (n, k).

        Raises:
            CannotCompileError: a part has no compiled form.
            ImportError: a library that the compiled form needs is not installed.
        """

    # Judging and deciding

    def row_loss(self, y: Array, output: Output) -> Array:
        """Return the loss of each row, shape (n,), lower is better."""

    def constant_loss(self, mean_outcomes: Array) -> Array:
        """Return the mean loss in groups with these mean outcomes if a constant is forecast for each group."""

    def constant_output(self, y: Array, rows: int) -> Output:
        """Return the best constant forecast for outcomes, repeated for `rows` rows."""

    def constant_decisions(self, rows: int) -> Mapping[str, Decisions]:
        """Return, by name, the decisions of whoever treats all rows alike, shape (rows,): a model has to earn more.

        The first is to do nothing.
        """

    def find_qualified(self, y: Array) -> NDArray[np.bool_]:
        """Return the rows that fairness is about: those that an action would be right for, shape (n,)."""

    def rank_errors(self, y: Array, output: Output) -> dict[str, NDArray[np.intp]]:
        """Return the places of wrong rows by kind of error, the worst first."""

    def describe_contender(self, y: Array, output: Output, decided: Decisions) -> dict[str, Any]:
        """Return counts and curves of one contender on test rows, for the task's own pages."""

    def trace_policies(self, y: Array, output: Output, predicted_at: "pd.Series[Any]") -> tuple[dict[str, Any], ...]:
        """Return what other policies would have done on these rows, for the task's own pages."""

    def show_in_kubeflow(self, predictions: "pd.DataFrame", artifact: Any) -> None:
        """Log curve and confusion matrix of the test predictions, if there are any, to `ClassificationMetrics`."""

    def fit_policy(self, y: Array, output: Output, predicted_at: "pd.Series[Any]") -> PolicyChoice:
        """Choose the policy that earns most on these rows."""

    def read_policy(self, described: Mapping[str, Any]) -> Policy:
        """Read a policy that `Policy.model_dump` described.

        Raises:
            ValueError: it describes no policy of this task.
        """

    def operate(
        self, wanted: Decisions, output: Output, predicted_at: "pd.Series[Any]", logged_ratio: float = 1.0
    ) -> Decisions:
        """Return the decisions as operated, shape (n,): what the policy wants, limited by the contract's capacity.

        `logged_ratio` is the share of all requests that these rows are; they have the same share of the capacity.
        """

    def value(self, y: Array, decisions: Decisions) -> Array:
        """Return the value of each row's decision in the currency, shape (n,)."""

    # Pages

    @property
    def report(self) -> Any:
        """What this kind of problem adds to a report, a `components.reports.release.task_report.TaskReport`."""
