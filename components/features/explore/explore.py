"""Explore the training rows: findings in sentences with their pictures, and the profile that drift is measured against.

In: the problem and the prepared folder, of which only `train.parquet` is opened. Out: a folder with `profile.json`,
`findings.json` and one SVG a finding. Called by the `explore` step.
"""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from components.base.contract.problem import Problem
from components.base.dataset import Prepared
from components.features.explore.findings.data_quality import (
    find_missing,
    find_outliers,
    find_shifts,
    find_speaking_gaps,
)
from components.features.explore.findings.features import find_curves, find_distributions, find_leaks, find_strongest
from components.features.explore.findings.finding import Statement, write_statements
from components.features.explore.findings.relations import find_redundant
from components.features.explore.findings.target import find_daily_load, find_groups, find_over_time
from components.features.explore.profile import write_profile
from components.features.explore.training_rows import Measured, TrainingRows, read_training_rows

FINDERS: tuple[Callable[[TrainingRows], list[Statement]], ...] = (
    find_over_time, find_daily_load, find_groups,
    find_strongest, find_curves, find_leaks, find_distributions,
    find_missing, find_speaking_gaps, find_outliers, find_shifts, find_redundant,
)  # fmt: skip


def explore_training_rows(problem: Problem, prepared: Prepared, folder: Path) -> dict[str, Any]:
    """Write the profile and the findings into `folder`; return what `findings.json` holds."""
    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    training = read_training_rows(problem, prepared)
    shifts = {name: measured.shift for name, measured in training.measured.items()}
    write_profile(training.profile.model_copy(update={"shifts": shifts}), folder / "profile.json")
    findings = write_statements([statement for find in FINDERS for statement in find(training)], folder)
    times = training.times
    result = {
        "problem": problem.name,
        "rows": len(training.rows),
        "positive_ratio": training.base_rate,
        "window": {"from": times.min().isoformat(), "until": times.max().isoformat()},
        "findings": findings,
        "features": [_describe(training, measured) for measured in training.measured.values()],
        "seconds": round(time.monotonic() - started, 2),
    }
    (folder / "findings.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    counts = {severity: sum(f["severity"] == severity for f in findings) for severity in ("critical", "warning")}
    logging.getLogger(__name__).info(
        "explore: %s findings in %s training rows, %s critical, %s warnings",
        len(findings), f"{len(training.rows):,}", counts["critical"], counts["warning"],
    )  # fmt: skip
    return result


def _describe(training: TrainingRows, measured: Measured) -> dict[str, Any]:
    feature, values = measured.feature, training.rows[measured.feature.name]
    levels: list[float | None] = [None, None, None]
    if feature.kind == "numeric" and values.notna().any():
        levels = [float(values.quantile(level)) for level in (0.05, 0.5, 0.95)]
    return {
        "name": feature.name,
        "kind": feature.kind,
        "origin": feature.origin,
        "description": feature.description,
        "unit": feature.unit,
        "missing_ratio": measured.missing_ratio,
        "information_ratio": measured.information_ratio,
        "auc": None if np.isnan(measured.auc) else measured.auc,
        "shift": measured.shift,
        "low": levels[0],
        "median": levels[1],
        "high": levels[2],
        "groups": int(values.nunique()),
    }
