"""Groups of rows that must not get worse with a release, and groups that must be treated alike.

In: the opened test rows, the challenger and the reference (the champion, or the current solution when there is none).
Out: one document a group, and the gates over them. Called by `evaluate`.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.contract.problem import Fairness, Slice
from components.base.statistics.groups import name_groups
from components.base.statistics.resampling import Interval, Resamples, bound_interval, resample_mean, resample_score
from components.base.statistics.scores import METRICS, gain, score
from components.models.gates import Gate
from components.models.scorecard import Judged, OpenedTest

Document = dict[str, Any]

# Many groups, each twice: fewer resamples than for the whole still give its interval two digits.
_RESAMPLES = 400
# Fewer positive rows make no rate worth comparing.
_FEWEST_POSITIVES = 30


def judge_slices(
    opened: OpenedTest, challenger: Judged, reference: Judged, reference_name: str
) -> tuple[list[Document], Gate]:
    """Compare every group of every slice with the reference; groups below the minimum of rows are only counted."""
    described = [
        _judge_group(opened, declared, group, rows, (challenger, reference)) | {"reference_name": reference_name}
        for declared in opened.problem.slices
        for group, rows in _list_groups(opened.rows[declared.column])
    ]
    return described, _gate_slices(described, reference_name)


def judge_fairness(opened: OpenedTest, challenger: Judged) -> tuple[list[Document], list[Gate]]:
    """Compare the true positive rates of the groups that the contract declares; no gate when it declares none.

    Source: Hardt, Price, Srebro (2016), Equality of Opportunity in Supervised Learning, NeurIPS.
    """
    described = [_judge_fairness(opened, declared, challenger) for declared in opened.problem.fairness]
    if not described:
        return [], []
    worst = max(described, key=lambda entry: entry["gap"]["estimate"] - entry["limit"])
    gap, limit = worst["gap"]["estimate"], worst["limit"]
    reason = f"By {worst['column']}, true positive rates differ by {gap:.3f}; at most {limit:g} is accepted."
    verdicts = {entry["verdict"] for entry in described}
    return described, [Gate("fairness", "fail" if "fail" in verdicts else "pass", gap, limit, reason)]


def _list_groups(column: pd.Series) -> list[tuple[str, NDArray[np.bool_]]]:
    groups = name_groups(column)
    return [(str(group), (groups == group).to_numpy()) for group in sorted(groups.unique())]


def _judge_group(
    opened: OpenedTest, declared: Slice, group: str, rows: NDArray[np.bool_], pair: tuple[Judged, Judged]
) -> Document:
    outcomes, positives = opened.outcomes[rows], int(opened.outcomes[rows].sum())
    is_gated = len(outcomes) >= declared.minimum_rows and 0 < positives < len(outcomes)
    described: Document = {
        "column": declared.column,
        "group": group,
        "rows": len(outcomes),
        "positives": positives,
        "limit": declared.maximum_regression,
        "gated": is_gated,
        "verdict": "pass",
    }
    if not is_gated:
        return described | {"score": None, "reference": None, "loss": None}
    resamples = _lessen(opened.resamples.select(rows))
    metric = opened.problem.metrics.primary
    values = [score(metric, outcomes, judged.probabilities[rows], judged.threshold) for judged in pair]
    draws = [
        resample_score(metric, outcomes, judged.probabilities[rows], resamples, judged.threshold) for judged in pair
    ]
    direction = 1 if METRICS[metric].higher_is_better else -1
    loss = bound_interval(gain(metric, values[1], values[0]), direction * (draws[1] - draws[0]), resamples)
    return described | {
        "score": asdict(bound_interval(values[0], draws[0], resamples)),
        "reference": asdict(bound_interval(values[1], draws[1], resamples)),
        "loss": asdict(loss),
        "verdict": "fail" if _is_regression(loss, declared.maximum_regression) else "pass",
    }


def _is_regression(loss: Interval, limit: float) -> bool:
    """Whether the loss is beyond the limit and not only noise: with twenty groups one is always unlucky."""
    return loss.estimate > limit and loss.low > 0


def _gate_slices(described: Sequence[Document], reference_name: str) -> Gate:
    gated = [entry for entry in described if entry["gated"]]
    if not gated:
        return Gate("slices", "pass", None, None, "No group has enough rows to be judged.")
    worst = max(gated, key=lambda entry: entry["loss"]["estimate"] - entry["limit"])
    failed = [entry for entry in gated if entry["verdict"] == "fail"]
    value, limit = worst["loss"]["estimate"], worst["limit"]
    if not failed:
        reason = f"None of {len(gated)} groups is worse than the {reference_name} by more than its limit."
        return Gate("slices", "pass", value, limit, reason)
    words = "; ".join(
        f"{entry['column']} {entry['group']} loses {entry['loss']['estimate']:.4f} (limit {entry['limit']:g})"
        for entry in failed
    )
    return Gate("slices", "fail", value, limit, f"Worse than the {reference_name}: {words}.")


def _judge_fairness(opened: OpenedTest, declared: Fairness, challenger: Judged) -> Document:
    described, rates, draws = [], [], []
    for group, rows in _list_groups(opened.rows[declared.column]):
        positives = rows & (opened.outcomes == 1)
        rate = float(challenger.decided[positives].mean()) if positives.any() else float("nan")
        described.append(
            {"group": group, "rows": int(rows.sum()), "positives": int(positives.sum()), "true_positive_rate": rate}
        )
        if positives.sum() >= _FEWEST_POSITIVES:
            rates.append(rate)
            draws.append(resample_mean(challenger.decided[positives], opened.resamples.select(positives)))
    gap = Interval(0.0, 0.0, 0.0)
    if len(rates) > 1:
        spread = np.max(draws, axis=0) - np.min(draws, axis=0)
        gap = bound_interval(max(rates) - min(rates), spread, opened.resamples)
    return {
        "column": declared.column,
        "groups": described,
        "gap": asdict(gap),
        "limit": declared.maximum_gap,
        "verdict": "fail" if gap.estimate > declared.maximum_gap else "pass",
    }


def _lessen(resamples: Resamples) -> Resamples:
    return replace(resamples, counts=resamples.counts[:_RESAMPLES])
