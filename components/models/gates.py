"""The gates of a release: each passes, fails, holds or had nothing to judge, with its number, limit and reason.

In: comparisons and scores of the challenger on test rows. Out: `Gate`s and the verdict. Every gate is always on; only
what a contract does not declare (fairness) or a problem does not have yet (a champion) is left out. `gain` has already
taken care of each metric's direction: a lift is positive when the challenger is better. Called by `evaluate`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from components.base.contract.problem import Guard
from components.base.gate import Gate, GateVerdict, Verdict, limit_gate
from components.base.statistics.resampling import Gain, Interval
from components.base.task import Task
from components.base.text.wording import write_confidence
from components.models.documents import ComparisonRecord, WeakSpot

# Share of the samples that prove a gain which a gate is said to see.
_POWER = 0.8


@dataclass(frozen=True)
class Lift:
    """One required gain: what was measured, the smallest useful gain, and how a number of it is written."""

    label: str
    gain: Gain
    minimum: float
    pattern: str

    @property
    def is_proven(self) -> bool:
        """Whether the gain is certainly above nothing and, as estimated, useful.

        Source: Kieser, Hauschke (2005), Assessment of clinical relevance by considering point estimates and associated
        confidence intervals, Pharmaceutical Statistics 4(2). A bound that had to be useful too would hold three of four
        gains that are twice the smallest useful one.
        """
        return self.gain.floor > 0 and self.gain.estimate >= self.minimum

    @property
    def smallest_seen(self) -> float:
        """The true gain that four of five samples of this size prove.

        Source: Bloom (1995), Minimum detectable effects, Evaluation Review 19(5).
        """
        bound, power = map(NormalDist().inv_cdf, (self.gain.confidence, _POWER))
        return max((self.gain.estimate - self.gain.floor) / bound * (bound + power), self.minimum)

    def write(self, number: float) -> str:
        """Write a number as a gain of this kind."""
        return self.pattern.format(number)

    def describe(self) -> str:
        """Write the gain, its bound and what both must reach."""
        gain, floor, minimum = map(self.write, (self.gain.estimate, self.gain.floor, self.minimum))
        required = f"{minimum} and certainly more than 0" if self.minimum else "certainly more than 0"
        confidence = write_confidence(self.gain.confidence)
        return f"{self.label} gains {gain}, with {confidence} confidence at least {floor} ({required} is required)"


def list_lifts(task: Task, comparison: ComparisonRecord) -> list[Lift]:
    """Return both required gains over what is in use: in the primary metric and in money."""
    return [
        Lift(task.primary.label, comparison.primary, task.problem.metrics.minimum_lift, "{:+.4f}"),
        Lift(
            f"value in {task.problem.business.currency} per 1,000 predictions",
            comparison.value_per_1000,
            task.problem.business.minimum_lift_per_1000,
            "{:+,.0f}",
        ),
    ]


def gate_dummy(task: Task, comparison: ComparisonRecord) -> Gate:
    """Pass when the challenger certainly ranks better than a forecast that knows nothing."""
    lift = Lift(task.primary.label, comparison.primary, 0.0, "{:+.4f}")
    return _gate_lifts("beats_dummy", [lift], "fail", "Against a forecast that knows nothing")


def gate_current_solution(task: Task, comparison: ComparisonRecord, rows: int) -> Gate:
    """Pass when both gains over the current solution are certainly useful; hold when they only look so; else fail."""
    lifts = list_lifts(task, comparison)
    looks_useful = all(lift.gain.estimate >= lift.minimum for lift in lifts)
    otherwise: GateVerdict = "hold" if looks_useful else "fail"
    gate = _gate_lifts("beats_current_solution", lifts, otherwise, f"Against {task.problem.baseline.name}")
    return _add_labels(gate, lifts, rows) if gate.verdict == "hold" else gate


def gate_constants(task: Task, gains: Mapping[str, Gain], constant: str | None, rows: int) -> Gate:
    """Pass when the model certainly earns more than treating all rows alike; hold when it only looks so; else fail.

    Args:
        task: The task.
        gains: Of the model over each constant decision, per 1,000 rows.
        constant: The decision that the model itself wants for all rows; None when it tells them apart.
        rows: Test rows.
    """
    best = min(gains, key=lambda name: gains[name].estimate)
    label = f"value in {task.problem.business.currency} per 1,000 predictions"
    lift = Lift(label, gains[best], 0.0, "{:+,.0f}")
    otherwise: GateVerdict = "hold" if lift.gain.estimate > 0 and constant is None else "fail"
    same = f"The model wants the same for all {rows:,} test rows ({constant}). " if constant else ""
    gate = _gate_lifts("beats_constant_decisions", [lift], otherwise, f"{same}Against {best}")
    return _add_labels(gate, [lift], rows) if gate.verdict == "hold" else gate


def gate_champion(task: Task, comparison: ComparisonRecord, version: str, rows: int) -> Gate:
    """Pass when both gains over the champion are certainly useful; else hold, with what would decide it."""
    lifts = list_lifts(task, comparison)
    gate = _gate_lifts("beats_champion", lifts, "hold", f"Against champion version {version}")
    if gate.verdict == "pass":
        return gate
    seen = " and ".join(f"{lift.write(lift.smallest_seen)} in {lift.label}" for lift in lifts)
    gate = _add_labels(gate, lifts, rows)
    reason = f"{gate.reason} On this many rows the gate sees a gain of {seen} in four of five cases."
    return gate.model_copy(update={"reason": reason})


def gate_incomparable(reason: str) -> Gate:
    """Hold: there is a champion, but no fair comparison with it."""
    return Gate(name="beats_champion", verdict="hold", value=None, limit=None, reason=reason)


def gate_guard(guard: Guard, label: str, value: float) -> Gate:
    """Fail when a secondary metric is beyond the worst value that the contract allows."""
    is_low = guard.minimum is not None and not value >= guard.minimum
    is_high = guard.maximum is not None and not value <= guard.maximum
    required = " and ".join(
        f"at {word} {limit:g}"
        for word, limit in (("least", guard.minimum), ("most", guard.maximum))
        if limit is not None
    )
    limit = guard.minimum if is_low or guard.maximum is None else guard.maximum
    reason = f"{label} on test is {value:.4f}; {required} is required."
    verdict: GateVerdict = "fail" if is_low or is_high else "pass"
    return Gate(name=f"guard_{guard.metric}", verdict=verdict, value=value, limit=limit, reason=reason)


def gate_generalisation(gap: Interval, limit: float) -> Gate:
    """Fail when test is worse than cross-validation by more than the contract accepts."""
    words = (
        f"worse than cross-validation by {gap.estimate:.4f}" if gap.estimate > 0 else "no worse than cross-validation"
    )
    reason = f"On test the model is {words} (gap {gap.low:+.4f} to {gap.high:+.4f}); at most {limit:g} is accepted."
    verdict: GateVerdict = "pass" if gap.estimate <= limit else "fail"
    return Gate(name="generalisation_gap", verdict=verdict, value=gap.estimate, limit=limit, reason=reason)


def gate_weak_spots(spots: Sequence[WeakSpot], reference: str, limit: float) -> Gate:
    """Fail when the model is worse than the reference in a confirmed weak spot by more than the contract accepts."""
    rises = {spot: spot.loss_rise for spot in spots if spot.is_confirmed and spot.loss_rise is not None}
    if not spots:
        reason = "No group of the test rows is large enough to be searched."
        return Gate(name="weak_spots", verdict="not judged", value=None, limit=limit, reason=reason)
    if not rises:
        reason = f"None of {len(spots)} suspected weak spots is confirmed on the other half of the days."
        return Gate(name="weak_spots", verdict="pass", value=None, limit=limit, reason=reason)
    worst, rise = max(rises.items(), key=lambda entry: entry[1])
    reason = (
        f"Where {' and '.join(worst.conditions)} ({worst.confirmed.rows:,} rows) a constant forecast is better than "
        f"the model, and its mean loss differs by {rise:+.4f} from that of the {reference} (limit {limit:g})."
    )
    return limit_gate("weak_spots", rise, limit, reason)


def count_more_labels(lift: Lift, rows: int) -> int | None:
    """Return how many more test rows would prove the gain, if it stays as measured; None when no number would.

    The distance of estimate and bound shrinks with one over the root of the rows.
    Source: Cochran (1977), Sampling Techniques, section 4.
    """
    if lift.is_proven:
        return 0
    gain = lift.gain
    if not gain.estimate > 0 or gain.estimate < lift.minimum or not math.isfinite(gain.floor):
        return None
    return max(1, math.ceil(rows * ((gain.estimate - gain.floor) / gain.estimate) ** 2) - rows)


def decide_release(gates: Sequence[Gate]) -> tuple[Verdict, list[str]]:
    """Return the verdict over all gates and its reasons: one failure refuses, one open question holds."""
    failed = [gate.reason for gate in gates if gate.verdict == "fail"]
    if failed:
        return "refuse", failed
    open_questions = [gate.reason for gate in gates if gate.verdict == "hold"]
    if open_questions:
        return "hold", open_questions
    wanted = ("beats_champion", "beats_current_solution")
    best = [gate.reason for name in wanted for gate in gates if gate.name == name]
    return "promote", [*best[:1], count_gates(gates)]


def tell_openings(earlier: int, confidence: float) -> list[str]:
    """Say how many other models were judged on the same test rows before and what that costs; nothing of the first."""
    if not earlier:
        return []
    models = "one other model was" if earlier == 1 else f"{earlier} other models were"
    return [
        f"Before it, {models} judged on these test rows, so every interval is one of {write_confidence(confidence)}: "
        "a gain must be larger to be proven. Fresh test rows come with a later as_of."
    ]


def count_gates(gates: Sequence[Gate]) -> str:
    """Say how many gates of a release without a failure are passed, and name those that had nothing to judge."""
    unjudged = [gate.name.replace("_", " ") for gate in gates if gate.verdict == "not judged"]
    if not unjudged:
        return f"All {len(gates)} gates are passed."
    return f"{len(gates) - len(unjudged)} of {len(gates)} gates are passed; not judged: {', '.join(unjudged)}."


def _gate_lifts(name: str, lifts: Sequence[Lift], otherwise: GateVerdict, against: str) -> Gate:
    """Report the first gain that is not proven, or the first of all when every one is."""
    shown = next((lift for lift in lifts if not lift.is_proven), lifts[0])
    verdict: GateVerdict = "pass" if shown.is_proven else otherwise
    reason = f"{against}: {'; '.join(lift.describe() for lift in lifts)}."
    is_above = shown.gain.floor > 0
    value, limit = (shown.gain.estimate, shown.minimum) if is_above else (shown.gain.floor, 0.0)
    return Gate(name=name, verdict=verdict, value=value, limit=limit, reason=reason)


def _add_labels(gate: Gate, lifts: Sequence[Lift], rows: int) -> Gate:
    """Add to the reason of a gate that holds how many more labels would decide it."""
    unknown = [lift.label for lift in lifts if math.isnan(lift.gain.floor) or math.isnan(lift.gain.estimate)]
    needed = [] if unknown else [count_more_labels(lift, rows) for lift in lifts]
    if unknown:
        words = f"There are too few rows to measure the gain in {' and '.join(unknown)}."
    elif None in needed:
        lift = lifts[needed.index(None)]
        words = f"More labels would not decide it: the gain in {lift.label} itself is below what is required."
    else:
        more = max(count for count in needed if count is not None)
        words = f"About {more:,} more labels would decide it, if the gain stays as measured."
    return gate.model_copy(update={"reason": f"{gate.reason} {words}"})
