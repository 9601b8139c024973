"""Judge one window of what a deployed model did: traffic, features, drift, skew, labels, performance and value.

In: the contract, accepted sources and feature tables as of a moment, the prediction log, and the files of the model in
charge and of the one before it. Out: a `MonitoringResult` in the object store, and the ledger of labels brought up to
the moment. Called by the `monitor` step. It judges and says; it alerts nobody and starts nothing.

The window is [as_of - monitoring.window_days, as_of) by the moment of the prediction. Features, performance and value
are those of the version in charge alone; traffic, labels and the use of capacity count all versions.
"""

import json
import logging
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from components.base.adapters.s3 import open_store
from components.base.contract.problem import Problem
from components.base.settings import Settings
from components.base.statistics.scores import METRICS
from components.models.parallel import quiet_fits
from components.monitoring.alternatives import ask_current_solution, ask_previous, read_columns
from components.monitoring.champion import InCharge, fetch_in_charge
from components.monitoring.drift import describe_ages, describe_drift, describe_features
from components.monitoring.estimate import estimate_score
from components.monitoring.findings.collect import list_findings
from components.monitoring.findings.words import write_interval
from components.monitoring.labels import count_labels, read_labels, update_labels
from components.monitoring.performance import estimate_performance, measure_performance
from components.monitoring.predictions import Predictions, fetch_predictions
from components.monitoring.reference import TrainingReference, read_reference
from components.monitoring.results import Contender, MonitoringResult, Performance, Skew, Value, Window, write_result
from components.monitoring.served_rows import ServedRows, describe_labels, describe_traffic, read_served_rows
from components.monitoring.skew import list_sampled_columns, measure_skew, sample_rows
from components.monitoring.value import Rival, measure_value
from components.monitoring.window_counts import count_window, list_counted_columns
from components.serving.prediction_log.schema import PROBABILITY

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Material:
    """What all judgements of one window are made from."""

    problem: Problem
    in_charge: InCharge
    predictions: Predictions
    rows: ServedRows
    reference: TrainingReference


def monitor_window(
    problem: Problem, accepted: Path, features_uri: str, as_of: datetime, settings: Settings
) -> MonitoringResult:
    """Judge the window that ends at `as_of`, and bring the ledger of labels up to it.

    Args:
        problem: The contract; its limits count, not those under which the model was trained.
        accepted: Folder with one parquet a source, as of `as_of`.
        features_uri: Folder or `s3://` prefix of the feature tables.
        as_of: UTC.
        settings: Where registry and object store are.

    Raises:
        PermanentError: no version is in charge.
        ModelRefusedError: its files are missing or damaged.
        DataError: a segment of the log is damaged, or labels cannot find their prediction.
        TransientError: the registry or the object store does not answer.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        store, place = open_store(settings), Path(folder)
        in_charge = fetch_in_charge(problem, settings, place)
        window = Window(start=as_of - timedelta(days=problem.monitoring.window_days), end=as_of)
        predictions = fetch_predictions(problem, store, window, place / "window")
        earlier = fetch_predictions(problem, store, _before(problem, window), place / "earlier")
        update_labels(problem, accepted, [earlier, predictions], as_of, store)
        labels = read_labels(problem, store, as_of, window.start)
        rows = read_served_rows(problem, predictions, labels, in_charge.version, as_of)
        reference = read_reference(problem, in_charge.files.model_folder)
        material = _Material(problem, in_charge, predictions, rows, reference)
        new_labels = count_labels(problem, accepted, in_charge.trained_as_of, as_of)
        with quiet_fits():
            result = _judge(material, features_uri, new_labels)
    estimated = estimate_performance(rows, problem.monitoring.minimum_rows)
    found = list_findings(problem, result, estimated, _promise(material))
    done = {"findings": found, "computed_at": datetime.now(UTC), "seconds": round(time.monotonic() - started, 3)}
    return result.model_copy(update=done)


def publish_result(result: MonitoringResult, settings: Settings, path: Path) -> str:
    """Write the result where reports, exporter and governor read it, and a copy to `path`; return its URI."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(result.model_dump_json(indent=1), encoding="utf-8")
    uri = write_result(open_store(settings), result)
    log.info("monitor: %s", describe_result(result))
    return uri


def describe_result(result: MonitoringResult) -> str:
    """Say a result in one line: rows, labels, the metric of the limit, findings."""
    performance = result.performance
    labelled = f"{performance.rows:,} labelled" if performance else "too few labels"
    found = performance.scores.get(performance.limit_metric) if performance else None
    score = f"; {METRICS[performance.limit_metric].label} {write_interval(found)}" if performance and found else ""
    rows = f"{result.model_rows:,} rows of version {result.model_version}"
    findings = len(result.findings)
    return f"{rows}, {labelled}{score}, {findings} finding{'' if findings == 1 else 's'}"


def _before(problem: Problem, window: Window) -> Window:
    """Return the time before the window whose labels may have come since the run before, even if overdue as long again.

    Windows that follow each other without overlap would never see them.
    """
    return Window(start=window.start - 2 * timedelta(hours=problem.monitoring.label_delay_hours), end=window.start)


def _judge(material: _Material, features_uri: str, new_labels: int) -> MonitoringResult:
    """Put all judgements together; findings and time are still to come."""
    problem, rows, in_charge = material.problem, material.rows, material.in_charge
    limits, reference = problem.monitoring, material.reference
    # The log of other versions may lack the columns of this one.
    columns = list_counted_columns(reference) if rows.in_charge.any() else [PROBABILITY]
    counted = count_window(reference, material.predictions.iterate(columns, in_charge.version))
    features = describe_features(reference, counted, limits)
    return MonitoringResult(
        problem=problem.name,
        as_of=rows.as_of,
        window=material.predictions.window,
        computed_at=rows.as_of,
        seconds=0.0,
        model_version=in_charge.version,
        model_rows=int(rows.in_charge.sum()),
        previous_version=in_charge.previous,
        traffic=describe_traffic(rows, problem.business, material.predictions.replayed_rows),
        features=features,
        drift=describe_drift(reference, counted, features, limits),
        views=describe_ages(reference, counted),
        skew=_measure_skew(material, features_uri),
        labels=describe_labels(rows, new_labels),
        performance=_measure_performance(material),
        value=_measure_value(material),
        findings=(),
    )


def _measure_skew(material: _Material, features_uri: str) -> Skew | None:
    if not material.rows.in_charge.any():
        return None
    features = material.reference.features
    columns = list_sampled_columns(material.problem, features)
    sample = sample_rows(material.predictions.iterate(columns, material.in_charge.version))
    return measure_skew(material.problem, features, features_uri, sample) if sample is not None else None


def _measure_performance(material: _Material) -> Performance | None:
    if not _can_judge(material):
        return None
    problem, rows = material.problem, material.rows
    slices = read_columns(problem, material.predictions, [declared.column for declared in problem.slices])
    return measure_performance(problem, rows, slices, _read_evaluation(material.in_charge))


def _measure_value(material: _Material) -> Value | None:
    """Ask the others what they would have said, and value everybody's decisions."""
    if not _can_judge(material):
        return None
    problem, predictions, in_charge = material.problem, material.predictions, material.in_charge
    rivals: dict[Contender, Rival] = {
        "current_solution": ask_current_solution(problem, predictions, in_charge.files.model_folder)
    }
    files = in_charge.fetch_previous()
    previous = ask_previous(predictions, files, in_charge.files) if files else None
    if previous:
        rivals["previous"] = previous
    return measure_value(problem, material.rows, rivals, f"version {in_charge.version}")


def _can_judge(material: _Material) -> bool:
    return int(material.rows.judged.sum()) >= material.problem.monitoring.minimum_rows


def _promise(material: _Material) -> float | None:
    """Return what the probabilities of the judged rows promise of the limit's metric; None where nothing is told."""
    metric, rows = material.problem.monitoring.performance.metric, material.rows
    p, thresholds = rows.probabilities[rows.judged], rows.thresholds[rows.judged]
    if not len(p) or metric == "calibration_error":
        return None
    promised = estimate_score(metric, p, p >= thresholds)
    return promised if np.isfinite(promised) else None


def _read_evaluation(in_charge: InCharge) -> dict[str, Any]:
    evaluation: dict[str, Any] = json.loads((in_charge.files.model_folder / "evaluation.json").read_text())
    return evaluation
