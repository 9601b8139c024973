"""What a contender did on the opened test rows: outputs, decisions, money, and scores with intervals.

Notation
    y    outcome of each test row                  (n,)
    o    output of one contender                   (n, k)
    B    resamples of days, the same for everybody

In: test rows and outputs. Out: `Scorecard`, comparisons in pairs, and what the report shows of them. Called by
`evaluate`, slices and gates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.statistics.capacity import number_days
from components.base.statistics.resampling import (
    Gain,
    Resamples,
    bound_gain,
    bound_interval,
    draw_resamples,
    resample_mean,
)
from components.base.task import Decisions, Output, Policy, Task
from components.models.documents import ComparisonRecord, Contender, ContenderRecord

Array = NDArray[np.float64]

# Of the intervals on rows that are opened for the first time.
_ERROR = 0.05


@dataclass(frozen=True)
class OpenedTest:
    """The test rows of one release, with the resamples that everything on them is compared by."""

    task: Task
    rows: pd.DataFrame
    outcomes: Array
    resamples: Resamples


@dataclass(frozen=True)
class Scorecard:
    """One contender on the test rows."""

    label: str
    policy: Policy
    output: Output
    wanted: Decisions
    """What the policy decides of each row."""
    decided: Decisions
    """What is done, under the capacity."""
    values: Array
    """Value of each row's decision, in the currency."""
    primary: float
    primary_draws: Array
    """The primary metric in each resample, shape (B,)."""


def open_rows(task: Task, rows: pd.DataFrame, earlier_openings: int = 0) -> OpenedTest:
    """Take rows as the test of a release and draw the resamples.

    Args:
        task: The task.
        rows: n test rows.
        earlier_openings: How many other models were judged on the same rows before.

    What an earlier opening told, at least whether its model was good enough, may have led to this model: k openings
    leave 2^k models that could stand here. All of their intervals hold together at 95 % when each leaves out 2^-k of
    the 5 % (Bonferroni). Source: Dwork et al. (2015), Generalization in Adaptive Data Analysis and Holdout Reuse,
    NeurIPS 28, section 3 (description length).
    """
    outcomes = rows[task.problem.target.name].to_numpy(dtype=np.float64)
    drawn = draw_resamples(rows["predicted_at"], task.problem.search.seed)
    return OpenedTest(task, rows, outcomes, replace(drawn, confidence=1 - _ERROR / 2**earlier_openings))


def score_contender(opened: OpenedTest, label: str, output: Output, policy: Policy) -> Scorecard:
    """Decide as the contender would have decided, and score it."""
    task, y = opened.task, opened.outcomes
    wanted = policy.apply(output)
    decided = task.operate(wanted, output, opened.rows["predicted_at"])
    return Scorecard(
        label=label,
        policy=policy,
        output=output,
        wanted=wanted,
        decided=decided,
        values=task.value(y, decided),
        primary=task.primary.score(y, output, wanted),
        primary_draws=task.primary.resample(y, output, wanted, opened.resamples),
    )


def compare(opened: OpenedTest, challenger: Scorecard, other: Scorecard) -> ComparisonRecord:
    """Compare two contenders on the same rows and the same resamples.

    Source: Efron, Tibshirani (1993), An Introduction to the Bootstrap, section 8.6 (paired data).
    """
    metric, resamples = opened.task.primary, opened.resamples
    lifts = metric.direction * (challenger.primary_draws - other.primary_draws)
    earned = (challenger.values - other.values) * 1000
    return ComparisonRecord(
        primary=bound_gain(metric.gain(challenger.primary, other.primary), lifts, resamples),
        value_per_1000=bound_gain(float(earned.mean()), resample_mean(earned, resamples), resamples),
    )


def compare_constants(opened: OpenedTest, challenger: Scorecard) -> dict[str, Gain]:
    """Return what the challenger earns more than whoever treats all rows alike under the same capacity.

    Returns:
        By name of the decision, the gain per 1,000 rows in the currency.
    """
    task, times, gains = opened.task, opened.rows["predicted_at"], {}
    for name, wanted in task.constant_decisions(len(opened.rows)).items():
        decided = task.operate(wanted, np.zeros_like(challenger.output), times)
        earned = (challenger.values - task.value(opened.outcomes, decided)) * 1000
        draws = resample_mean(earned, opened.resamples)
        gains[name] = bound_gain(float(earned.mean()), draws, opened.resamples)
    return gains


def find_constant(opened: OpenedTest, challenger: Scorecard) -> str | None:
    """Return the name of the one decision that a contender wants for all rows; None when it tells rows apart."""
    constants = opened.task.constant_decisions(len(opened.rows))
    return next((name for name, wanted in constants.items() if np.array_equal(wanted, challenger.wanted)), None)


def describe_scorecard(opened: OpenedTest, card: Scorecard) -> ContenderRecord:
    """Return every metric and the value with intervals, and what the decisions were."""
    task, value, resamples = opened.task, card.values * 1000, opened.resamples
    scored, scores = (opened.outcomes, card.output, card.wanted), {}
    for name, metric in task.metrics.items():
        score, draws = card.primary, card.primary_draws
        if metric is not task.primary:
            score, draws = metric.score(*scored), metric.resample(*scored, resamples)
        scores[name] = bound_interval(score, draws, resamples)
    actions = int(np.count_nonzero(card.decided))
    return ContenderRecord(
        label=card.label,
        policy=card.policy.model_dump(),
        scores=scores,
        value_per_1000=bound_interval(float(value.mean()), resample_mean(value, resamples), resamples),
        value_total=float(card.values.sum()),
        actions=actions,
        over_capacity=int(np.count_nonzero(card.wanted)) - actions,
        details=task.describe_contender(opened.outcomes, card.output, card.decided),
    )


def sum_by_day(opened: OpenedTest, cards: Mapping[Contender, Scorecard]) -> dict[Contender, dict[str, float]]:
    """Return the value that each contender's decisions earned on each day of UTC."""
    days = pd.to_datetime(number_days(opened.rows["predicted_at"]), unit="D").strftime("%Y-%m-%d")
    sums = {role: pd.Series(card.values).groupby(days).sum() for role, card in cards.items()}
    return {role: {str(day): float(value) for day, value in by_day.items()} for role, by_day in sums.items()}
