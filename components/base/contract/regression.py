"""The contract of a regression: an outcome that is a number, what is planned for it, and what a wrong plan costs."""

from typing import Literal

from pydantic import Field

from components.base.contract.monitoring import Monitoring, PerformanceLimit
from components.base.contract.problem import Business, Guard, Metrics, Problem, Search, Target
from components.base.contract.types import Section, Text

Family = Literal["ridge", "hist_gradient_boosting", "random_forest", "extra_trees"]
MetricName = Literal["mean_absolute_error", "root_mean_squared_error", "interval_score", "coverage_gap"]


class RegressionTarget(Target):
    """What is predicted: the number that the expression gives; rows where it is null have no outcome."""

    unit: Text = Field(description="of the outcome, in the plural: minutes")


class Interval(Section):
    """The interval that each prediction comes with."""

    coverage: float = Field(default=0.8, gt=0, lt=1, description="share of outcomes that shall lie inside")


class RegressionGuard(Guard):
    """A secondary metric with the worst value allowed on test."""

    metric: MetricName


class RegressionMetrics(Metrics):
    """Technical metrics: one primary that selects, guards that may veto."""

    primary: MetricName
    guards: list[RegressionGuard] = Field(default=[])


class UnitCosts(Section):
    """What a wrong plan costs for each unit, in the currency."""

    short: float = Field(gt=0, description="one unit planned too little")
    surplus: float = Field(gt=0, description="one unit planned too much")


class RegressionBusiness(Business):
    """What a wrong plan costs; plans have no capacity."""

    values: UnitCosts
    capacity_per_day: None = None


class RegressionSearch(Search):
    """Candidates, and how much of the search space is tried."""

    candidates: list[Family] = Field(min_length=1)


class RegressionPerformanceLimit(PerformanceLimit):
    """The worst score on matured labels; an alert needs the whole interval to be beyond it."""

    metric: MetricName


class RegressionMonitoring(Monitoring):
    """How what is served is watched."""

    performance: RegressionPerformanceLimit


class RegressionProblem(Problem):
    """The whole contract of a regression."""

    task: Literal["regression"]
    target: RegressionTarget
    interval: Interval = Interval()
    metrics: RegressionMetrics
    business: RegressionBusiness
    search: RegressionSearch
    monitoring: RegressionMonitoring
