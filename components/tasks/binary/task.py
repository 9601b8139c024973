"""The binary task: an outcome of 0 or 1, a probability, and an action at or above a threshold.

In: a contract whose target is binary. Out: `BinaryTask`, which `components.tasks.open_task` hands to steps and
services. Each method calls the module of its subject; the shapes are those of `base.task`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.contract.binary import BinaryProblem, Family
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
from components.tasks.binary import calibration, candidates, ensembles, policy, rule
from components.tasks.binary.documents import ThresholdSearch, describe_binary, list_roc_points
from components.tasks.binary.metrics import METRICS, row_log_loss
from components.tasks.binary.policy import ThresholdPolicy

if TYPE_CHECKING:
    from optuna import Trial

    from components.reports.release.task_report import TaskReport

# Points of the value curve on test, which is shown and decides nothing.
_CURVE_THRESHOLDS = 60


@dataclass(frozen=True)
class BinaryTask:
    """A binary problem; k is 1, and the one column of an output is the probability of outcome 1."""

    problem: BinaryProblem
    output_columns: tuple[str, ...] = ("probability",)
    decision_type: ColumnType = "bool"
    decision_values: tuple[bool, ...] = (True, False)
    output_series: tuple[OutputSeries, ...] = (
        OutputSeries(
            "probability",
            "tidemill_predictor_probability",
            "Predicted probability of the positive class",
            tuple(edge / 20 for edge in range(1, 20)),
        ),
    )

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The metrics of probabilities and actions."""
        return METRICS

    @property
    def primary(self) -> Metric:
        """The metric that selects."""
        return self.metrics[self.problem.metrics.primary]

    @property
    def default_policy(self) -> Policy:
        """More likely than not."""
        return ThresholdPolicy(threshold=0.5)

    @property
    def exploration(self) -> Any:
        """Rates, information and ROC AUC of single features."""
        from components.tasks.binary.explore import face

        return face

    def outcome_sql(self) -> str:
        """Return the target's expression as 0 or 1."""
        return f"CAST({self.problem.target.expression} AS TINYINT)"

    def describe_outcomes(self, y: Array) -> Outcome:
        """Count positive and negative rows."""
        known = y[~np.isnan(y)]
        target, positives = self.problem.target, int(known.sum())
        counts = {target.positive: positives, target.negative: len(known) - positives}
        return Outcome(len(known), float(known.mean()) if len(known) else None, counts)

    def find_outcome_faults(self, y: Array) -> list[str]:
        """Both classes must be there."""
        seen = np.unique(y)
        if len(seen) > 1 or not len(seen):
            return []
        return [f"must have both classes of `{self.problem.target.name}`, but got only {int(seen[0])}."]

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
        """Build the rule of the contract and a classifier that forecasts the share of positive rows."""
        from sklearn.dummy import DummyClassifier

        baseline = self.problem.baseline
        return {
            "current_solution": NamedEstimator(
                baseline.name, rule.GroupRate(list(baseline.group_by), baseline.minimum_rows)
            ),
            "dummy": NamedEstimator("prior", DummyClassifier(strategy="prior")),
        }

    def describe_rule(self, estimator: Any) -> dict[str, Any]:
        """Return the fitted rule as JSON can hold it."""
        return rule.describe_rule(estimator)

    def restore_rule(self, described: Mapping[str, Any]) -> Any:
        """Rebuild a fitted rule."""
        return rule.restore_rule(described)

    def predict(self, estimator: Any, rows: Any) -> Output:
        """Return the probabilities of outcome 1, shape (n, 1)."""
        return np.asarray(estimator.predict_proba(rows)[:, 1:], dtype=np.float64)

    def fit_stacker(self, outputs: Array, y: Array) -> Any:
        """Fit the logistic regression over the members' probabilities."""
        return ensembles.fit_stacker(outputs[:, :, 0], y)

    def stack(self, stacker: Any, outputs: Array) -> Output:
        """Return the stacked probabilities."""
        return self.predict(stacker, outputs[:, :, 0])

    def combine(self, kind: Kind, members: dict[str, Any], stacker: Any, X: pd.DataFrame, y: pd.Series) -> Any:
        """Wrap fitted members as one classifier."""
        return ensembles.combine_members(kind, members, stacker, X, y)

    def calibrate(
        self, core: Any, features: list[str], first: pd.DataFrame, second: pd.DataFrame
    ) -> tuple[Any, dict[str, Any]]:
        """Choose among no calibration, sigmoid and isotonic by log loss."""
        return calibration.calibrate(core, features, self.problem.target.name, first, second)

    def find_stacker(self, estimator: Any) -> Any:
        """Return the logistic regression over the members' probabilities."""
        return ensembles.find_stacker(calibration.find_core(estimator))

    def replace_core(self, estimator: Any, core: Any) -> Any:
        """Put another classifier under the calibration."""
        return calibration.replace_core(estimator, core)

    def compile(self, estimator: Any) -> Callable[[Any], Output]:
        """Compile a fitted classifier into a function from a `Batch` to probabilities, shape (n, 1)."""
        # Serving alone needs it.
        from components.tasks.binary.compiled import compile_classifier

        response = compile_classifier(estimator)
        return lambda batch: response.probability(batch)[:, None]

    def row_loss(self, y: Array, output: Output) -> Array:
        """Return the negative log-likelihood of each row, in nats."""
        return row_log_loss(y, output[:, 0])

    def constant_loss(self, mean_outcomes: Array) -> Array:
        """Return the entropy of each rate: the log loss of forecasting it for its own group."""
        return row_log_loss(mean_outcomes, mean_outcomes)

    def constant_output(self, y: Array, rows: int) -> Output:
        """Return the share of positive rows."""
        return np.full((rows, 1), float(y.mean()))

    def constant_decisions(self, rows: int) -> dict[str, NDArray[np.bool_]]:
        """Return the decisions of acting never and always."""
        return {"no action": np.zeros(rows, dtype=bool), "always acting": np.ones(rows, dtype=bool)}

    def find_qualified(self, y: Array) -> NDArray[np.bool_]:
        """Return the positive rows."""
        return np.equal(y, 1)

    def rank_errors(self, y: Array, output: Output) -> dict[str, NDArray[np.intp]]:
        """Return false alarms by falling probability and missed rows by rising probability."""
        p = output[:, 0]
        falling, rising = np.argsort(-p, kind="stable"), np.argsort(p)
        return {"false_alarm": falling[y[falling] == 0], "missed": rising[y[rising] == 1]}

    def describe_contender(self, y: Array, output: Output, decided: Decisions) -> dict[str, Any]:
        """Count the confusion matrix; trace reliability, precision-recall and ROC curve."""
        return describe_binary(y, output[:, 0], decided).model_dump()

    def trace_policies(self, y: Array, output: Output, predicted_at: pd.Series) -> tuple[dict[str, Any], ...]:
        """Return what each threshold would have done."""
        points = policy.trace_thresholds(y, output[:, 0], predicted_at, self.problem.business, _CURVE_THRESHOLDS)
        return tuple(asdict(point) for point in points)

    def show_in_kubeflow(self, predictions: pd.DataFrame, artifact: Any) -> None:
        """Log the ROC curve of the challenger, and the confusion matrix of its decisions: a row an outcome."""
        outcomes, decided = predictions[self.problem.target.name], predictions["challenger__decision"]
        artifact.log_roc_curve(*list_roc_points(outcomes, predictions["challenger__probability"]))
        counts = [[int(((outcomes == y) & (decided == acts)).sum()) for acts in (0, 1)] for y in (0, 1)]
        artifact.log_confusion_matrix(["negative", "positive"], counts)

    def fit_policy(self, y: Array, output: Output, predicted_at: pd.Series) -> PolicyChoice:
        """Choose the threshold by value under the capacity."""
        business, p = self.problem.business, output[:, 0]
        curve = policy.trace_thresholds(y, p, predicted_at, business)
        chosen = policy.choose_threshold(y, p, predicted_at, business)
        search = ThresholdSearch(chosen=chosen, break_even=policy.break_even(business), curve=tuple(curve))
        return PolicyChoice(ThresholdPolicy(threshold=chosen.threshold), search.model_dump())

    def read_policy(self, described: Mapping[str, Any]) -> Policy:
        """Read a threshold."""
        return ThresholdPolicy.model_validate(described)

    def operate(
        self, wanted: Decisions, output: Output, predicted_at: pd.Series, logged_ratio: float = 1.0
    ) -> Decisions:
        """Limit the actions to the capacity, the riskiest of one time first."""
        return policy.operate(wanted, output[:, 0], predicted_at, self.problem.business, logged_ratio)

    def value(self, y: Array, decisions: Decisions) -> Array:
        """Return the value of each decision by the four values of the contract."""
        return policy.value_rows(y, decisions, self.problem.business.values)

    @property
    def report(self) -> "TaskReport":
        """The binary pieces of a report; drawing tools are imported only for a report."""
        from components.tasks.binary.report import REPORT

        return REPORT
