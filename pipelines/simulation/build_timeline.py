"""Build the timeline of a simulation: what each month brought, what happened, what retraining earned.

In: the simulated months, the alerts, the governor's rulings, the value of retraining, the runs of the home. Out: a
`Timeline`, which `timeline_page` renders. Measures nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from components.base.contract.problem import Problem
from components.governor.rulings import RulingRecord
from components.tasks import open_task
from pipelines.simulation.alert_watch import AlertSpan
from pipelines.simulation.retraining_value import MonthValue, RetrainingValue
from pipelines.simulation.scenario import INCIDENTS
from pipelines.simulation.simulated_month import SimulatedMonth
from pipelines.simulation.timeline import Link, Timeline, TimelineEvent, TimelineMonth

_PAGES = (("daily report", "daily.html"), ("KPI report", "kpi.html"))


@dataclass(frozen=True)
class SimulationOutcome:
    """All that a simulation brought."""

    problem: Problem
    months: Sequence[SimulatedMonth]
    alerts: Sequence[AlertSpan]
    rulings: Sequence[RulingRecord]
    """With their history."""
    earnings: RetrainingValue
    runs: Path
    """The folder of the runs, where the timeline is written too."""
    seconds: float


def build_timeline(outcome: SimulationOutcome) -> Timeline:
    """Return the timeline."""
    problem = outcome.problem
    end = outcome.months[-1].end
    events = [
        *(
            TimelineEvent(one.start, "injected", one.title, one.text, until=min(one.end, end))
            for one in INCIDENTS
            if one.start < end
        ),
        *_list_alerts(outcome.alerts),
        *_list_rulings(outcome),
        *(
            TimelineEvent(month.end, "report", "The daily report warns", " ".join(grave))
            for month in outcome.months
            if (grave := [one.title for one in month.result.findings if one.severity == "critical"])
        ),
    ]
    months = zip(outcome.months, outcome.earnings.months, strict=True)
    return Timeline(
        title=f"Half a year of {problem.title[:1].lower()}{problem.title[1:]}",
        problem=problem.name,
        noun=problem.noun,
        currency=problem.business.currency,
        metric=open_task(problem).metrics[problem.monitoring.performance.metric].label,
        months=tuple(_month(played, earned, outcome.runs) for played, earned in months),
        events=tuple(events),
        links=(Link("All runs and models", "index.html"),),
        seconds=outcome.seconds,
    )


def _month(played: SimulatedMonth, earned: MonthValue, runs: Path) -> TimelineMonth:
    result, performance, folder = played.result, played.result.performance, runs / played.reports.name
    metric = result.performance.limit_metric if result.performance else None
    score = performance.scores[metric] if performance and metric else None
    estimated = [one.score for one in performance.estimated if one.metric == metric] if performance else []
    return TimelineMonth(
        start=played.start,
        end=played.end,
        rows=played.answered.rows,
        model_version=played.served_version,
        drift=result.drift.greatest_relevant_psi,
        drift_feature=result.drift.feature,
        harmless=tuple(feature.name for feature in result.features if feature.drifts and not feature.matters),
        score=score.estimate if score else None,
        score_low=score.low if score else None,
        score_high=score.high if score else None,
        score_limit=performance.limit if performance else None,
        estimated_score=estimated[0] if estimated else None,
        frozen_score=earned.frozen_score,
        value=earned.served,
        frozen_value=earned.frozen,
        current_value=earned.current_solution,
        label_coverage_ratio=result.labels.coverage_ratio,
        links=tuple(Link(text, f"{folder.name}/{page}") for text, page in _PAGES if (folder / page).is_file()),
    )


def _list_alerts(alerts: Sequence[AlertSpan]) -> Iterator[TimelineEvent]:
    for span in alerts:
        yield TimelineEvent(span.fired_at, "alert_fired", span.alert.title, span.alert.summary)
        if span.cleared_at:
            yield TimelineEvent(span.cleared_at, "alert_cleared", span.alert.title)


def _list_rulings(outcome: SimulationOutcome) -> Iterator[TimelineEvent]:
    for ruling in outcome.rulings:
        for before, change in pairwise([None, *ruling.history]):
            # Only changes of a choice, each with its first words.
            if change and (before is None or change.choice != before.choice):
                yield TimelineEvent(change.at, "ruling", f"{change.choice}: {ruling.name}", change.words)
        run = ruling.run
        if run and run.ended_at:
            report = outcome.runs / run.key / "report.html"
            yield TimelineEvent(
                run.ended_at,
                "release",
                f"Version {run.version} {run.state}" if run.version else f"Release {run.state}",
                " ".join(run.reasons),
                link=f"{run.key}/report.html" if report.is_file() else "",
            )
