"""The gates of a release: each says pass, fail or hold, the number, the limit and the reason in words.

In: comparisons and scores of the challenger on test rows. Out: `Gate`s and the verdict. Every gate is always on; only
what a contract does not declare (fairness) or a problem does not have yet (a champion) is left out. `gain` has already
taken care of each metric's direction: a lift is positive when the challenger is better. Called by `evaluate`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from components.base.contract.problem import Guard, Problem
from components.base.statistics.resampling import Interval
from components.base.statistics.scores import METRICS
from components.models.scorecard import Comparison

Verdict = Literal["pass", "fail", "hold"]
Release = Literal["promote", "hold", "refuse"]


@dataclass(frozen=True)
class Gate:
    """One check with its outcome."""

    name: str
    verdict: Verdict
    value: float | None
    limit: float | None
    reason: str


@dataclass(frozen=True)
class Lift:
    """One demanded gain: the interval measured, the smallest useful gain, and how a number of it is written."""

    label: str
    interval: Interval
    minimum: float
    pattern: str

    @property
    def is_proven(self) -> bool:
        """Whether even the lower bound reaches the smallest useful gain and is above nothing at all."""
        return self.interval.low >= self.minimum and self.interval.low > 0

    def describe(self) -> str:
        """Say the gain, its interval and what it should reach."""
        gain, low, high, minimum = (
            self.pattern.format(number)
            for number in (self.interval.estimate, self.interval.low, self.interval.high, self.minimum)
        )
        return f"{self.label} gains {gain} ({low} to {high}; at least {minimum} is asked)"


def list_lifts(problem: Problem, comparison: Comparison) -> list[Lift]:
    """Return both demanded gains over what is in use: in the primary metric and in money."""
    return [
        Lift(
            METRICS[problem.metrics.primary].label,
            comparison.primary,
            problem.metrics.minimum_lift,
            "{:+.4f}",
        ),
        Lift(
            f"value in {problem.business.currency} per 1,000 predictions",
            comparison.value_per_1000,
            problem.business.minimum_lift_per_1000,
            "{:+,.0f}",
        ),
    ]


def gate_dumb(problem: Problem, comparison: Comparison) -> Gate:
    """Pass when the challenger certainly ranks better than a forecast that knows nothing."""
    lift = Lift(METRICS[problem.metrics.primary].label, comparison.primary, 0.0, "{:+.4f}")
    return _gate_lifts("beats_dumb", [lift], "fail", "Against a forecast that knows nothing")


def gate_current_solution(problem: Problem, comparison: Comparison, rows: int) -> Gate:
    """Pass when both gains over the current solution are certainly useful; hold when they only look so; else fail."""
    lifts = list_lifts(problem, comparison)
    looks_useful = all(lift.interval.estimate >= lift.minimum for lift in lifts)
    otherwise: Verdict = "hold" if looks_useful else "fail"
    gate = _gate_lifts("beats_current_solution", lifts, otherwise, f"Against {problem.baseline.name}")
    return _add_labels(gate, lifts, rows) if gate.verdict == "hold" else gate


def gate_champion(problem: Problem, comparison: Comparison, version: str, rows: int) -> Gate:
    """Pass when both gains over the champion are certainly useful; else hold and say what would decide it."""
    lifts = list_lifts(problem, comparison)
    gate = _gate_lifts("beats_champion", lifts, "hold", f"Against champion version {version}")
    return _add_labels(gate, lifts, rows) if gate.verdict == "hold" else gate


def gate_incomparable(reason: str) -> Gate:
    """Hold: there is a champion, but no fair comparison with it."""
    return Gate("beats_champion", "hold", None, None, reason)


def gate_guard(guard: Guard, value: float) -> Gate:
    """Fail when a secondary metric is beyond the worst value that the contract allows."""
    is_low = guard.minimum is not None and not value >= guard.minimum
    is_high = guard.maximum is not None and not value <= guard.maximum
    asked = " and ".join(
        f"at {word} {limit:g}"
        for word, limit in (("least", guard.minimum), ("most", guard.maximum))
        if limit is not None
    )
    limit = guard.minimum if is_low or guard.maximum is None else guard.maximum
    reason = f"{METRICS[guard.metric].label} on test is {value:.4f}; {asked} is asked."
    return Gate(f"guard_{guard.metric}", "fail" if is_low or is_high else "pass", value, limit, reason)


def gate_generalisation(gap: Interval, limit: float) -> Gate:
    """Fail when test is worse than cross-validation by more than the contract accepts."""
    words = (
        f"worse than cross-validation by {gap.estimate:.4f}" if gap.estimate > 0 else "no worse than cross-validation"
    )
    reason = f"On test the model is {words} (gap {gap.low:+.4f} to {gap.high:+.4f}); at most {limit:g} is accepted."
    return Gate("generalisation_gap", "fail" if not gap.estimate <= limit else "pass", gap.estimate, limit, reason)


def count_more_labels(lift: Lift, rows: int) -> int | None:
    """Return how many more test rows would prove the gain, if it stays as measured; None when no number would.

    The distance of estimate and lower bound shrinks with one over the root of the rows.
    Source: Cochran (1977), Sampling Techniques, section 4.
    """
    if lift.is_proven:
        return 0
    room = lift.interval.estimate - lift.minimum
    half_width = lift.interval.estimate - lift.interval.low
    if not room > 0 or not math.isfinite(half_width):
        return None
    return max(1, math.ceil(rows * (half_width / room) ** 2) - rows)


def decide_release(gates: Sequence[Gate]) -> tuple[Release, list[str]]:
    """Return the verdict over all gates and its reasons: one failure refuses, one open question holds."""
    failed = [gate.reason for gate in gates if gate.verdict == "fail"]
    if failed:
        return "refuse", failed
    open_questions = [gate.reason for gate in gates if gate.verdict == "hold"]
    if open_questions:
        return "hold", open_questions
    wanted = ("beats_champion", "beats_current_solution")
    best = [gate.reason for name in wanted for gate in gates if gate.name == name]
    return "promote", [*best[:1], f"All {len(gates)} gates are passed."]


def _gate_lifts(name: str, lifts: Sequence[Lift], otherwise: Verdict, against: str) -> Gate:
    """Report the first gain that is not proven, or the first of all when every one is."""
    shown = next((lift for lift in lifts if not lift.is_proven), lifts[0])
    verdict: Verdict = "pass" if shown.is_proven else otherwise
    reason = f"{against}: {'; '.join(lift.describe() for lift in lifts)}."
    return Gate(name, verdict, shown.interval.low, shown.minimum, reason)


def _add_labels(gate: Gate, lifts: Sequence[Lift], rows: int) -> Gate:
    return Gate(gate.name, gate.verdict, gate.value, gate.limit, f"{gate.reason} {_say_more_labels(lifts, rows)}")


def _say_more_labels(lifts: Sequence[Lift], rows: int) -> str:
    unknown = [lift.label for lift in lifts if math.isnan(lift.interval.low) or math.isnan(lift.interval.estimate)]
    if unknown:
        return f"There are too few rows to tell the gain in {' and '.join(unknown)}."
    needed = [count_more_labels(lift, rows) for lift in lifts]
    if None in needed:
        lift = lifts[needed.index(None)]
        return f"More labels would not decide it: the gain in {lift.label} itself is below what is asked."
    more = max(count for count in needed if count is not None)
    return f"About {more:,} more labels would decide it, if the gain stays as measured."
