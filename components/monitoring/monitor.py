"""Monitor one window of a deployed model: traffic, features, drift, skew, labels, performance and value.

In: the task, accepted sources and feature tables as of a time, the prediction log, and the files of the champion and of
the previous one. Out: a `MonitoringResult` in the object store, and the ledger of labels up to that time. Called by the
`monitor` step. It measures and finds; it sends no alert and starts nothing.

The window is [as_of - monitoring.window_days, as_of) by the time of the prediction. Features, performance and value are
those of the champion's rows alone; traffic, labels and the use of capacity count all versions.
"""

import logging
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from components.base.adapters.s3 import open_store
from components.base.errors import PermanentError
from components.base.settings import Settings
from components.base.task import Task
from components.data.history import first_judged
from components.models.documents import Evaluation
from components.models.parallel import quiet_fits
from components.monitoring.alternatives import (
    Alternative,
    do_nothing,
    read_columns,
    score_current_solution,
    score_previous,
)
from components.monitoring.champion import MonitoredChampion, fetch_monitored_champion
from components.monitoring.drift import describe_ages, describe_drift, describe_features
from components.monitoring.findings.collect import list_findings
from components.monitoring.findings.words import write_interval
from components.monitoring.labels import count_labels, read_labels, update_labels
from components.monitoring.performance import estimate_performance, estimate_scored, measure_performance
from components.monitoring.predictions import Predictions, fetch_predictions
from components.monitoring.reference import TrainingReference, read_evaluation, read_reference
from components.monitoring.results import Contender, MonitoringResult, Performance, Value, Window, write_result
from components.monitoring.served_rows import ServedRows, describe_labels, describe_traffic, read_served_rows
from components.monitoring.skew import list_sampled_columns, measure_skew, sample_rows
from components.monitoring.value import measure_value
from components.monitoring.window_counts import count_window, list_counted_columns

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Material:
    """What every part of one result is computed from."""

    task: Task
    champion: MonitoredChampion
    evaluation: Evaluation | None
    predictions: Predictions
    rows: ServedRows
    reference: TrainingReference


def monitor_window(
    task: Task, accepted: Path, features_uri: str, as_of: datetime, settings: Settings, since: datetime | None = None
) -> MonitoringResult:
    """Monitor the window that ends at `as_of`, and bring the ledger of labels up to it.

    Args:
        task: The task; the limits are those of its contract, not those under which the model was trained.
        accepted: Folder with one parquet a source, as of `as_of`.
        features_uri: Folder or `s3://` prefix of the feature tables.
        as_of: UTC.
        settings: Where registry and object store are.
        since: UTC; events known earlier are neither in the folder nor in the tables. None: all are.

    Raises:
        PermanentError: the problem has no champion, or another one than when its history was read.
        ModelRefusedError: its files are missing or damaged.
        DataError: a segment of the log is damaged, or labels cannot find their prediction.
        TransientError: the registry or the object store does not answer.
    """
    started, problem = time.monotonic(), task.problem
    with tempfile.TemporaryDirectory() as folder:
        store, place = open_store(settings), Path(folder)
        champion = fetch_monitored_champion(problem, settings, place)
        _require_history(champion, since)
        window = Window(start=as_of - timedelta(days=problem.monitoring.window_days), end=as_of)
        before = Window(start=first_judged(problem, as_of), end=window.start)
        predictions = fetch_predictions(task, store, window, place / "window")
        earlier = fetch_predictions(task, store, before, place / "earlier")
        update_labels(task, accepted, [earlier, predictions], as_of, store)
        labels = read_labels(problem, store, as_of, window.start)
        rows = read_served_rows(task, predictions, labels, champion.version, as_of)
        evaluation = read_evaluation(champion.files.model_folder)
        reference = read_reference(task, champion.files.model_folder, evaluation)
        material = _Material(task, champion, evaluation, predictions, rows, reference)
        new_labels = count_labels(task, accepted, champion.trained_as_of, as_of)
        with quiet_fits():
            result = _measure(material, features_uri, new_labels)
    found = list_findings(task, result, estimate_performance(task, rows), estimate_scored(task, rows))
    done = {"findings": found, "computed_at": datetime.now(UTC), "seconds": round(time.monotonic() - started, 3)}
    return result.model_copy(update=done)


def _require_history(champion: MonitoredChampion, since: datetime | None) -> None:
    """Refuse a champion that was trained before the events that were read, whose new labels cannot be counted."""
    if since and champion.trained_as_of < since:
        raise PermanentError(
            f"monitor: events must be read since the champion was trained, {champion.trained_as_of.isoformat()}, but "
            f"got those since {since.isoformat()}. Another version became the champion meanwhile: run it again."
        )


def publish_result(task: Task, result: MonitoringResult, settings: Settings, path: Path) -> str:
    """Write the result where reports, exporter and governor read it, and a copy to `path`; return its URI."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(result.model_dump_json(indent=1), encoding="utf-8")
    uri = write_result(open_store(settings), result)
    log.info("monitor: %s", describe_result(task, result))
    return uri


def describe_result(task: Task, result: MonitoringResult) -> str:
    """Format a result in one line: rows, labels, the metric of the limit, findings."""
    performance = result.performance
    labelled = f"{performance.rows:,} labelled" if performance else "too few labels"
    found = performance.scores.get(performance.limit_metric) if performance else None
    score = f"; {task.metrics[performance.limit_metric].label} {write_interval(found)}" if performance and found else ""
    rows = f"{result.model_rows:,} rows of version {result.model_version}"
    findings = len(result.findings)
    return f"{rows}, {labelled}{score}, {findings} finding{'' if findings == 1 else 's'}"


def _measure(material: _Material, features_uri: str, new_labels: int) -> MonitoringResult:
    """Measure every part of the result; findings and time are added later."""
    problem, rows, champion = material.task.problem, material.rows, material.champion
    limits, reference, predictions = problem.monitoring, material.reference, material.predictions
    columns, sample = [reference.output_column], None
    # The log of other versions may lack the columns of this one.
    if rows.of_champion.any():
        columns = list_counted_columns(reference)
        sampled = list_sampled_columns(problem, reference.features)
        sample = sample_rows(predictions.iterate(sampled, champion.version))
    counted = count_window(reference, predictions.iterate(columns, champion.version))
    features = describe_features(reference, counted, limits)
    performance, value = _score_labelled(material)
    return MonitoringResult(
        problem=problem.name,
        as_of=rows.as_of,
        window=predictions.window,
        computed_at=rows.as_of,
        seconds=0.0,
        model_version=champion.version,
        model_rows=int(rows.of_champion.sum()),
        previous_version=champion.previous,
        traffic=describe_traffic(material.task, rows, predictions.repeated_rows, predictions.reused_keys),
        features=features,
        drift=describe_drift(reference, counted, features, limits),
        views=describe_ages(reference, counted),
        skew=None if sample is None else measure_skew(problem, reference.features, features_uri, sample),
        labels=describe_labels(rows, new_labels),
        performance=performance,
        value=value,
        findings=(),
    )


def _score_labelled(material: _Material) -> tuple[Performance | None, Value | None]:
    """Score the rows that have labels, and value the decisions of all contenders; None where there are too few."""
    task, rows, predictions, champion = material.task, material.rows, material.predictions, material.champion
    if rows.scored.sum() < task.problem.monitoring.minimum_rows:
        return None, None
    slices = read_columns(task.problem, predictions, [declared.column for declared in task.problem.slices])
    performance = measure_performance(task, rows, slices, material.evaluation)
    alternatives: dict[Contender, Alternative] = {
        "current_solution": score_current_solution(task, predictions, champion.files.model_folder),
        "no_action": do_nothing(task, rows),
    }
    files = champion.fetch_previous()
    previous = score_previous(task, predictions, files, champion.files) if files else None
    if previous:
        alternatives["previous"] = previous
    return performance, measure_value(task, rows, alternatives, f"version {champion.version}")
