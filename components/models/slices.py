"""Groups of rows that must not get worse with a release, and groups that must be treated alike.

In: the opened test rows, the challenger and the reference (the champion, or the current solution when there is none).
Out: one document a group, and the gates over them. Called by `evaluate`.
"""

from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.contract.problem import Fairness, Slice
from components.base.gate import Gate, GateVerdict
from components.base.statistics.groups import name_groups
from components.base.statistics.resampling import Interval, bound_interval, resample_mean
from components.models.documents import FairnessGroup, FairnessRecord, SliceRecord
from components.models.scorecard import OpenedTest, Scorecard

Flags = NDArray[np.bool_]

# Many groups, each twice: fewer resamples than for the whole still give its interval two digits.
_RESAMPLES = 400
# Fewer rows make no rate worth comparing.
_FEWEST_QUALIFIED = 30


class ReferenceCard(NamedTuple):
    """Who the challenger must not be worse than."""

    name: str
    card: Scorecard


def compare_slices(
    opened: OpenedTest, challenger: Scorecard, reference: ReferenceCard
) -> tuple[tuple[SliceRecord, ...], Gate]:
    """Compare every group of every slice with the reference; groups below the minimum of rows are only counted."""
    described = tuple(
        _compare_group(opened, declared, group, rows, challenger, reference)
        for declared in opened.task.problem.slices
        for group, rows in _list_groups(opened.rows[declared.column])
    )
    losses = [(entry, entry.loss.estimate) for entry in described if entry.loss]
    if not losses:
        reason = "No group has enough rows to be compared."
        return described, Gate(name="slices", verdict="not judged", value=None, limit=None, reason=reason)
    worst, value = max(losses, key=lambda pair: pair[1] - pair[0].limit)
    failed = [
        f"{entry.column} {entry.group} loses {loss:.4f} (limit {entry.limit:g})"
        for entry, loss in losses
        if entry.verdict == "fail"
    ]
    reason = (
        f"Worse than the {reference.name}: {'; '.join(failed)}."
        if failed
        else f"None of {len(losses)} groups is worse than the {reference.name} by more than its limit."
    )
    verdict: GateVerdict = "fail" if failed else "pass"
    return described, Gate(name="slices", verdict=verdict, value=value, limit=worst.limit, reason=reason)


def compare_fairness(opened: OpenedTest, challenger: Scorecard) -> tuple[tuple[FairnessRecord, ...], list[Gate]]:
    """Compare the rates of action among qualified rows between groups of the contract; no gate when it declares none.

    Source: Hardt, Price, Srebro (2016), Equality of Opportunity in Supervised Learning, NeurIPS.
    """
    described = tuple(_measure_fairness(opened, declared, challenger) for declared in opened.task.problem.fairness)
    if not described:
        return (), []
    judged = [entry for entry in described if entry.verdict != "not judged"]
    if not judged:
        reason = f"No two groups have {_FEWEST_QUALIFIED} rows that an action would be right for."
        return described, [Gate(name="fairness", verdict="not judged", value=None, limit=None, reason=reason)]
    worst = max(judged, key=lambda entry: entry.gap.estimate - entry.limit)
    gap = worst.gap.estimate
    reason = f"By {worst.column}, true positive rates differ by {gap:.3f}; at most {worst.limit:g} is accepted."
    return described, [Gate(name="fairness", verdict=worst.verdict, value=gap, limit=worst.limit, reason=reason)]


def _list_groups(column: pd.Series) -> list[tuple[str, Flags]]:
    groups = name_groups(column)
    return [(str(group), (groups == group).to_numpy()) for group in sorted(groups.unique())]


def _compare_group(
    opened: OpenedTest, declared: Slice, group: str, rows: Flags, challenger: Scorecard, reference: ReferenceCard
) -> SliceRecord:
    task, y = opened.task, opened.outcomes[rows]
    is_gated = len(y) >= declared.minimum_rows and not task.find_outcome_faults(y)
    counted = SliceRecord(
        column=declared.column,
        group=group,
        rows=len(y),
        outcome=task.describe_outcomes(y),
        limit=declared.maximum_regression,
        gated=is_gated,
        verdict="pass",
        reference_name=reference.name,
    )
    if not is_gated:
        return counted
    metric, resamples = task.primary, opened.resamples.select(rows)
    fewer = replace(resamples, counts=resamples.counts[:_RESAMPLES])
    scored = [(y, card.output[rows], card.wanted[rows]) for card in (challenger, reference.card)]
    new, old = (metric.score(*values) for values in scored)
    new_draws, old_draws = (metric.resample(*values, fewer) for values in scored)
    loss = bound_interval(metric.gain(old, new), metric.direction * (old_draws - new_draws), fewer)
    # Beyond the limit and not only noise: with twenty groups one is always unlucky.
    is_regression = loss.estimate > declared.maximum_regression and loss.low > 0
    return counted.model_copy(
        update={
            "score": bound_interval(new, new_draws, fewer),
            "reference": bound_interval(old, old_draws, fewer),
            "loss": loss,
            "verdict": "fail" if is_regression else "pass",
        }
    )


def _measure_fairness(opened: OpenedTest, declared: Fairness, challenger: Scorecard) -> FairnessRecord:
    described, rates, draws = [], [], []
    qualified = opened.task.find_qualified(opened.outcomes)
    for group, rows in _list_groups(opened.rows[declared.column]):
        counted = rows & qualified
        decided = challenger.decided[counted]
        rate = float(decided.mean()) if counted.any() else float("nan")
        described.append(FairnessGroup(group=group, rows=int(rows.sum()), qualified=int(counted.sum()), rate=rate))
        if counted.sum() >= _FEWEST_QUALIFIED:
            rates.append(rate)
            draws.append(resample_mean(decided, opened.resamples.select(counted)))
    gap = Interval(0.0, 0.0, 0.0)
    verdict: Literal["pass", "fail", "not judged"] = "not judged"
    if len(rates) > 1:
        spread = np.max(draws, axis=0) - np.min(draws, axis=0)
        gap = bound_interval(max(rates) - min(rates), spread, opened.resamples)
        verdict = "fail" if gap.estimate > declared.maximum_gap else "pass"
    return FairnessRecord(
        column=declared.column,
        groups=tuple(described),
        gap=gap,
        limit=declared.maximum_gap,
        verdict=verdict,
    )
