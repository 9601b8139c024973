"""The contract of a binary problem: an outcome of 0 or 1, an action, and what each of the four cases is worth."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from components.base.contract.monitoring import Monitoring, PerformanceLimit
from components.base.contract.problem import Business, Guard, Metrics, Problem, Search, Target
from components.base.contract.types import Section, Text

Family = Literal["logistic", "hist_gradient_boosting", "random_forest", "extra_trees", "mlp", "naive_bayes"]
MetricName = Literal["average_precision", "roc_auc", "log_loss", "brier", "calibration_error", "f1"]


class BinaryTarget(Target):
    """What is predicted: whether the expression is true. Both outcomes in words."""

    positive: Text
    negative: Text


class BinaryGuard(Guard):
    """A secondary metric with the worst value allowed on test."""

    metric: MetricName


class BinaryMetrics(Metrics):
    """Technical metrics: one primary that selects, guards that may veto."""

    primary: MetricName
    guards: list[BinaryGuard] = Field(default=[])


class DecisionValues(Section):
    """Value of one decision against doing nothing, in the currency."""

    true_positive: float
    false_positive: float
    false_negative: float
    true_negative: float


class BinaryBusiness(Business):
    """What decisions are worth and how many can be taken."""

    values: DecisionValues


class BinarySearch(Search):
    """Candidates, and how much of the search space is tried."""

    candidates: list[Family] = Field(min_length=1)


class BinaryPerformanceLimit(PerformanceLimit):
    """The worst score on matured labels; an alert needs the whole interval to be beyond it."""

    metric: MetricName


class BinaryMonitoring(Monitoring):
    """How what is served is watched."""

    performance: BinaryPerformanceLimit


class BinaryProblem(Problem):
    """The whole contract of a binary problem."""

    task: Literal["binary"]
    target: BinaryTarget
    metrics: BinaryMetrics
    business: BinaryBusiness
    search: BinarySearch
    monitoring: BinaryMonitoring

    @property
    def outcome_cases(self) -> Mapping[str, str]:
        """The examples of outcome 1, and the special cases of the target."""
        return {"positive": self.target.expression, **self.target.outcomes}
