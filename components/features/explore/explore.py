"""Explore the training rows: findings in sentences with their pictures, and the profile that drift is measured against.

In: the task and the prepared folder, of which only `train.parquet` is opened. Out: a folder with `profile.json`,
`findings.json` and one SVG a finding. Called by the `explore` step.
"""

import logging
import time
from pathlib import Path

import numpy as np

from components.base.contract.problem import Problem
from components.base.dataset import Prepared
from components.base.documents import write
from components.base.errors import DataError, raise_faults
from components.base.task import Task
from components.features.explore.documents import ExploredFeature, Finding, Findings
from components.features.explore.findings.data_quality import find_missing, find_outliers, find_shifts
from components.features.explore.findings.distributions import find_distributions
from components.features.explore.findings.finding import write_statements
from components.features.explore.findings.relations import find_redundant
from components.features.explore.profile import write_profile
from components.features.explore.training_rows import Measured, TrainingRows, read_training_rows

# Whatever the outcome; the task adds what is about the outcome.
FINDERS = (find_distributions, find_missing, find_outliers, find_shifts, find_redundant)


def explore_training_rows(task: Task, prepared: Prepared, folder: Path) -> Findings:
    """Write the profile and the findings into `folder`; return what `findings.json` holds.

    Raises:
        DataError: with all critical findings that the contract does not accept by name; the folder is written all the
            same, for the person who must mend them.
    """
    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    training = read_training_rows(task, prepared)
    moved = {"shifts": training.shifts, "shift_days": training.shift_days if training.shifts else 0}
    write_profile(training.profile.model_copy(update=moved), folder / "profile.json")
    finders = (*task.exploration.FINDERS, *FINDERS)
    found = write_statements([statement for find in finders for statement in find(training)], folder)
    findings = [_mark_accepted(task.problem, one) for one in found]
    explored = Findings(
        problem=task.problem.name,
        rows=len(training.rows),
        outcome=task.describe_outcomes(training.y),
        start=training.times.min().isoformat(),
        end=training.times.max().isoformat(),
        findings=tuple(findings),
        features=tuple(_describe(training, measured) for measured in training.measured.values()),
        seconds=round(time.monotonic() - started, 2),
    )
    write(explored, folder / "findings.json")
    counts = {severity: sum(one.severity == severity for one in findings) for severity in ("critical", "warning")}
    logging.getLogger(__name__).info(
        "explore: %s findings in %s training rows, %s critical, %s warnings",
        len(findings), f"{len(training.rows):,}", counts["critical"], counts["warning"],
    )  # fmt: skip
    raise_faults(DataError, f"explore {task.problem.name}", [_demand(one) for one in findings if one.is_unanswered])
    return explored


def _mark_accepted(problem: Problem, finding: Finding) -> Finding:
    """Put the contract's reasons beside a critical finding when they cover every feature that it blames."""
    accepted = [one for one in problem.accepted_findings if one.finding == finding.id]
    covered = {feature for one in accepted for feature in one.features}
    if finding.severity != "critical" or not accepted or not set(finding.blamed) <= covered:
        return finding
    return finding.model_copy(update={"accepted": " ".join(one.reason for one in accepted)})


def _demand(finding: Finding) -> str:
    features = f", features: [{', '.join(finding.blamed)}]" if finding.blamed else ""
    return (
        f"a critical finding must be mended, or accepted by the contract, but got `{finding.id}`: {finding.headline} "
        f"Mend it, or write under `accepted_findings`: {{finding: {finding.id}{features}, reason: ...}}."
    )


def _describe(training: TrainingRows, measured: Measured) -> ExploredFeature:
    feature, values = measured.feature, training.rows[measured.feature.name]
    levels: list[float | None] = [None, None, None]
    if feature.kind == "numeric" and values.notna().any():
        levels = [float(values.quantile(level)) for level in (0.05, 0.5, 0.95)]
    low, median, high = levels
    solo_score = measured.association.solo_score
    return ExploredFeature(
        name=feature.name,
        kind=feature.kind,
        origin=feature.origin,
        description=feature.description,
        unit=feature.unit,
        missing_ratio=measured.missing_ratio,
        strength=measured.association.strength,
        solo_score=None if np.isnan(solo_score) else solo_score,
        psi=measured.psi,
        low=low,
        median=median,
        high=high,
        groups=int(values.nunique()),
    )
