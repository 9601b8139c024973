"""The sections of the problem contract that govern the time after the release: refresh, monitoring and retraining.

In: the YAML's `refresh`, `monitoring` and `retraining`. Out: frozen sections of `base/contract/problem.py`, which
embeds them. Every limit of an alert, a report or a decision of the governor is here, and nowhere else.
"""

from typing import Annotated, Literal

from pydantic import Field

from components.base.contract.types import Amount, Ratio, Section

Cron = Annotated[
    str,
    Field(
        pattern=r"^(\S+ ){4}\S+$",
        description="five fields in UTC: minute, hour, day of month, month, day of week",
    ),
]
# The alerts that a new model can help against; against a broken feed or a slow endpoint it cannot.
RetrainingAlert = Literal["DataChanged", "DriftMatters", "PerformanceBelowLimit", "ValueBelowLimit"]


class PredictionLogSettings(Section):
    """What of the served predictions is recorded."""

    sampling_ratio: Ratio = Field(default=1.0, gt=0, description="share of requests whose rows are logged")


class DriftLimits(Section):
    """When a shift of the inputs is worth somebody's time."""

    maximum_psi: float = Field(gt=0, description="population stability index; 0.1 is small, 0.25 large")
    minimum_importance: Ratio = Field(
        description="share of the model's permutation importance below which no shift matters"
    )


class QualityLimits(Section):
    """Limits on the features as they are served."""

    maximum_missing_rise: Ratio = Field(description="rise of a feature's missing ratio over that of training")
    maximum_expired_rise: Ratio = Field(
        description="rise of the share of rows that a view was too old for, over that of training"
    )
    maximum_skew_ratio: Ratio = Field(description="share of values that differ from the point-in-time join")


class PerformanceLimit(Section):
    """The worst score on matured labels; an alert needs the whole interval to be beyond it."""

    metric: str
    minimum: float | None = None
    maximum: float | None = None


class Objectives(Section):
    """Service level objectives of the endpoint, each a share of requests over 30 days."""

    availability: Ratio = Field(description="share of requests that are answered without a server error")
    latency: Ratio = Field(description="share of requests that are answered within serving.p99_milliseconds")


class Refresh(Section):
    """When the feature tables and the online store are brought up to date between two trainings."""

    schedule: Cron = "0 5 * * *"
    history_days: int | None = Field(
        default=None,
        gt=0,
        description="refresh and monitoring read rows that became known in so many days before the time that they are "
        "for: at least the time to live of every view plus its look-back; without it they read everything",
    )


class Monitoring(Section):
    """How what is served is watched."""

    schedule: Cron
    window_days: int = Field(gt=0, description="predictions of so many days before as_of are judged together")
    minimum_rows: int = Field(ge=100, description="fewer rows are not judged: their drift is mostly noise")
    label_delay_hours: float = Field(gt=0, description="after it a label is overdue")
    minimum_label_coverage: Ratio = Field(description="share of due labels that must have come")
    log: PredictionLogSettings = PredictionLogSettings()
    drift: DriftLimits
    quality: QualityLimits
    performance: PerformanceLimit
    minimum_value_gain_per_1000: Amount = Field(
        description="smallest realised gain over the current solution, currency per 1,000 predictions; "
        "`0.5 * true_positive` follows business.values"
    )
    objectives: Objectives


class Retraining(Section):
    """When the governor starts the training pipeline again, and when it does not."""

    schedule: Cron
    alerts: list[RetrainingAlert] = Field(description="alerts that may start a training run")
    cooldown_hours: float = Field(ge=0, description="rest after the start of a run")
    daily_budget: int = Field(ge=1, description="runs a day of UTC")
    minimum_new_labels: int = Field(
        ge=0, description="labels since the champion's as_of; validation and test alone use up the first ones"
    )
    maximum_failures: int = Field(ge=1, description="failed or held releases in a row before a person is asked")
    clear_within_hours: float = Field(gt=0, description="after a promotion the alert must be silent within so long")
