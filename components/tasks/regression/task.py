"""The regression: an outcome that is a number, a prediction with its interval, and what is planned for each row.

In: a contract whose target is a number. Out: `RegressionTask`, which `components.tasks.open_task` hands to steps and
services. Each method calls the module of its subject; the shapes are those of `base.task`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.contract.regression import Family, RegressionProblem
from components.base.contract.types import ColumnType
from components.base.dataset import Feature
from components.base.statistics.resampling import Array
from components.base.task import (
    BaselineRole,
    Decisions,
    Kind,
    Metric,
    NamedEstimator,
    Outcome,
    Output,
    OutputSeries,
    Policy,
    PolicyChoice,
)
from components.tasks.regression import candidates, ensembles, interval, policy, rule
from components.tasks.regression.documents import describe_regression
from components.tasks.regression.metrics import build_metrics, row_absolute_error
from components.tasks.regression.policy import PositionPolicy

if TYPE_CHECKING:
    from optuna import Trial

    from components.reports.release.task_report import TaskReport

_STEPS = tuple(step * 10.0**power for power in range(7) for step in (1, 2, 5))


@dataclass(frozen=True)
class RegressionTask:
    """A regression; k is 3: the prediction, and both ends of its interval, in the unit of the outcome."""

    problem: RegressionProblem
    output_columns: tuple[str, ...] = ("prediction", "low", "high")
    decision_type: ColumnType = "float"
    decision_values: tuple[Any, ...] = ()
    output_series: tuple[OutputSeries, ...] = (
        OutputSeries(
            "prediction",
            "tidemill_predictor_prediction",
            "Prediction, in the unit of the outcome",
            (*(-step for step in reversed(_STEPS)), 0.0, *_STEPS),
        ),
    )

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The metrics of predictions and intervals."""
        return build_metrics(self.problem.interval.coverage)

    @property
    def primary(self) -> Metric:
        """The metric that selects."""
        return self.metrics[self.problem.metrics.primary]

    @property
    def default_policy(self) -> Policy:
        """Plan the prediction."""
        return PositionPolicy(position=0.0)

    @property
    def exploration(self) -> Any:
        """Means, explained variance and R² of single features."""
        from components.tasks.regression.explore import face

        return face

    def outcome_sql(self) -> str:
        """Return the target's expression as a number."""
        return f"CAST({self.problem.target.expression} AS DOUBLE)"

    def describe_outcomes(self, y: Array) -> Outcome:
        """Average the known outcomes."""
        known = y[~np.isnan(y)]
        return Outcome(len(known), float(known.mean()) if len(known) else None, {})

    def find_outcome_faults(self, y: Array) -> list[str]:
        """Outcomes must vary."""
        if not len(y) or np.ptp(y) > 0:
            return []
        return [f"must vary in `{self.problem.target.name}`, but got {y[0]:g} in every row."]

    def default_parameters(self, family: str) -> dict[str, Any]:
        """Return what the search of a family starts from."""
        return dict(candidates.DEFAULTS[cast("Family", family)])

    def suggest_parameters(self, family: str, trial: "Trial") -> dict[str, Any]:
        """Take the parameters of a family from an Optuna trial."""
        return candidates.suggest_parameters(cast("Family", family), trial)

    def build_candidate(
        self, family: str, features: Sequence[Feature], parameters: dict[str, Any] | None = None
    ) -> Any:
        """Build the unfitted Pipeline of a family."""
        return candidates.build_candidate(cast("Family", family), features, parameters, self.problem.search.seed)

    def build_baselines(self) -> dict[BaselineRole, NamedEstimator]:
        """Build the rule of the contract, and a regressor that predicts the median of all rows."""
        baseline, coverage = self.problem.baseline, self.problem.interval.coverage
        grouped = rule.GroupQuantiles(list(baseline.group_by), baseline.minimum_rows, coverage)
        return {
            "current_solution": NamedEstimator(baseline.name, grouped),
            "dummy": NamedEstimator("median", rule.GroupQuantiles([], 1, coverage)),
        }

    def describe_rule(self, estimator: Any) -> dict[str, Any]:
        """Return the fitted rule as JSON can hold it."""
        return rule.describe_rule(estimator)

    def restore_rule(self, described: Mapping[str, Any]) -> Any:
        """Rebuild a fitted rule."""
        return rule.restore_rule(described)

    def predict(self, estimator: Any, rows: Any) -> Output:
        """Return prediction, low and high end, shape (n, 3); without an interval all three are the prediction."""
        if hasattr(estimator, "predict_interval"):
            return np.asarray(estimator.predict_interval(rows), dtype=np.float64)
        return np.repeat(np.asarray(estimator.predict(rows), dtype=np.float64)[:, None], 3, axis=1)

    def fit_stacker(self, outputs: Array, y: Array) -> Any:
        """Fit the linear regression over the members' predictions."""
        return ensembles.fit_stacker(outputs[:, :, 0], y)

    def stack(self, stacker: Any, outputs: Array) -> Output:
        """Return the stacked predictions."""
        return self.predict(stacker, outputs[:, :, 0])

    def combine(self, kind: Kind, members: dict[str, Any], stacker: Any, X: pd.DataFrame, y: pd.Series) -> Any:
        """Wrap fitted members as one regressor."""
        return ensembles.combine_members(kind, members, stacker, X, y)

    def calibrate(
        self, core: Any, features: list[str], first: pd.DataFrame, second: pd.DataFrame
    ) -> tuple[Any, dict[str, Any]]:
        """Choose between an interval of one width and one by the size of the prediction, by interval score."""
        return interval.calibrate(
            core, features, self.problem.target.name, self.problem.interval.coverage, first, second
        )

    def find_stacker(self, estimator: Any) -> Any:
        """Return the linear regression over the members' predictions."""
        return ensembles.find_stacker(interval.find_core(estimator))

    def replace_core(self, estimator: Any, core: Any) -> Any:
        """Put another regressor under the interval."""
        return interval.replace_core(estimator, core)

    def compile(self, estimator: Any) -> Callable[[Any], Output]:
        """Compile a fitted regressor into a function from a `Batch` to the output, shape (n, 3)."""
        # Serving alone needs it.
        from components.tasks.regression.compiled import compile_output

        return compile_output(estimator)

    def row_loss(self, y: Array, output: Output) -> Array:
        """Return the absolute error of each row, in the unit of the outcome."""
        return row_absolute_error(y, output)

    def constant_loss(self, mean_outcomes: Array) -> Array:
        """Return no loss: how far outcomes lie from a constant does not follow from their mean."""
        return np.zeros_like(mean_outcomes)

    def constant_output(self, y: Array, rows: int) -> Output:
        """Return median and quantiles of the outcomes."""
        rest = (1 - self.problem.interval.coverage) / 2
        return np.tile(np.quantile(y, [0.5, rest, 1 - rest]), (rows, 1))

    def constant_decisions(self, rows: int) -> dict[str, NDArray[np.float64]]:
        """Return the plan of nothing for every row."""
        return {"no plan": np.zeros(rows)}

    def find_qualified(self, y: Array) -> NDArray[np.bool_]:
        """Return the rows for which more than nothing had to be planned."""
        return np.asarray(y > 0)

    def rank_errors(self, y: Array, output: Output) -> dict[str, NDArray[np.intp]]:
        """Return the rows that were predicted too low and too high, the worst first."""
        errors = y - output[:, 0]
        low, high = np.argsort(-errors, kind="stable"), np.argsort(errors, kind="stable")
        return {"predicted_too_low": low[errors[low] > 0], "predicted_too_high": high[errors[high] < 0]}

    def describe_contender(self, y: Array, output: Output, decided: Decisions) -> dict[str, Any]:
        """Return bias, coverage and errors by the size of the prediction."""
        return describe_regression(y, output, decided).model_dump()

    def trace_policies(self, y: Array, output: Output, predicted_at: pd.Series) -> tuple[dict[str, Any], ...]:
        """Return what each position would have been worth."""
        costs = self.problem.business.values
        return tuple(asdict(point) for point in policy.trace_positions(y, output, costs))

    def show_in_kubeflow(self, predictions: pd.DataFrame, artifact: Any) -> None:
        """Show nothing: the artifact has curves of classes only."""

    def fit_policy(self, y: Array, output: Output, predicted_at: pd.Series) -> PolicyChoice:
        """Choose the position by value."""
        search = policy.choose_position(y, output, self.problem.business.values)
        return PolicyChoice(PositionPolicy(position=search.chosen.position), search.model_dump())

    def read_policy(self, described: Mapping[str, Any]) -> Policy:
        """Read a position."""
        return PositionPolicy.model_validate(described)

    def operate(
        self, wanted: Decisions, output: Output, predicted_at: pd.Series, logged_ratio: float = 1.0
    ) -> Decisions:
        """Plan what the policy wants: plans have no capacity."""
        return wanted

    def value(self, y: Array, decisions: Decisions) -> Array:
        """Return what each plan saves against planning nothing, by the two costs of the contract."""
        return policy.value_rows(y, np.asarray(decisions, dtype=np.float64), self.problem.business.values)

    @property
    def report(self) -> "TaskReport":
        """The pieces of a report; drawing tools are imported only for a report."""
        from components.tasks.regression.report import REPORT

        return REPORT
