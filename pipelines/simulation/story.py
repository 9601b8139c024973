"""Tell a replay as a timeline: what each month brought, what happened, what retraining earned.

In: the months that were played, the alerts, the governor's decisions, the earnings, the runs of the home. Out: a
`Timeline`, which `watch.timeline_page` draws. Judges nothing and measures nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from components.base.contract.problem import Problem
from components.base.text.wording import say_plainly
from components.tasks import open_task
from pipelines.simulation.alert_watch import AlertSpan
from pipelines.simulation.earnings import EarnedMonth, Earnings
from pipelines.simulation.played import PlayedMonth
from pipelines.simulation.scenario import EPISODES
from pipelines.simulation.timeline import Link, LoopEvent, LoopMonth, Timeline


@dataclass(frozen=True)
class Replayed:
    """All that a replay brought."""

    problem: Problem
    months: Sequence[PlayedMonth]
    alerts: Sequence[AlertSpan]
    decisions: Sequence[Mapping[str, Any]]
    """As the governor's API gives them, with their history."""
    earnings: Earnings
    runs: Path
    """The folder of the runs, where the timeline is written too."""
    seconds: float


def tell_timeline(replayed: Replayed) -> Timeline:
    """Return the timeline."""
    problem = replayed.problem
    end = replayed.months[-1].end
    events = [*_injected(end), *_alerted(replayed.alerts), *_decided(replayed), *_reported(replayed.months)]
    months = zip(replayed.months, replayed.earnings.months, strict=True)
    return Timeline(
        title=f"Half a year of {problem.title[:1].lower()}{problem.title[1:]}",
        problem=problem.name,
        noun=say_plainly(problem.examples.source),
        currency=problem.business.currency,
        metric=open_task(problem).metrics[problem.monitoring.performance.metric].label,
        months=tuple(_month(played, earned, replayed.runs) for played, earned in months),
        events=tuple(events),
        links=(Link("All runs and models", "index.html"),),
        seconds=replayed.seconds,
    )


def _month(played: PlayedMonth, earned: EarnedMonth, runs: Path) -> LoopMonth:
    result, performance = played.result, played.result.performance
    metric = result.performance.limit_metric if result.performance else None
    score = performance.scores[metric] if performance and metric else None
    estimated = [one.score for one in performance.estimated if one.metric == metric] if performance else []
    return LoopMonth(
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
        links=tuple(_links(played, runs)),
    )


def _links(played: PlayedMonth, runs: Path) -> Iterator[Link]:
    folder = runs / played.reports.name
    for text, page in (("daily report", "daily.html"), ("KPI report", "kpi.html")):
        if (folder / page).is_file():
            yield Link(text, f"{folder.name}/{page}")


def _injected(end: datetime) -> Iterator[LoopEvent]:
    for episode in EPISODES:
        if episode.start < end:
            yield LoopEvent(episode.start, "injected", episode.title, episode.text, until=min(episode.end, end))


def _alerted(alerts: Sequence[AlertSpan]) -> Iterator[LoopEvent]:
    for span in alerts:
        yield LoopEvent(span.fired_at, "alert_fired", span.alert.title, span.alert.summary)
        if span.cleared_at:
            yield LoopEvent(span.cleared_at, "alert_cleared", span.alert.title)


def _decided(replayed: Replayed) -> Iterator[LoopEvent]:
    for decision in replayed.decisions:
        for change in _changes(decision["history"]):
            title = f"{change['choice']}: {decision['name']}"
            yield LoopEvent(datetime.fromisoformat(change["at"]), "decision", title, change["words"])
        run = decision["run"]
        if run and run["ended_at"]:
            report = replayed.runs / run["key"] / "report.html"
            yield LoopEvent(
                datetime.fromisoformat(run["ended_at"]),
                "release",
                f"Version {run['version']} {run['state']}" if run["version"] else f"Release {run['state']}",
                " ".join(run["reasons"]),
                link=f"{run['key']}/report.html" if report.is_file() else "",
            )


def _changes(history: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the changes of a choice, each told by its first words."""
    pairs = zip([{"choice": None}, *history], history, strict=False)
    return [change for before, change in pairs if change["choice"] != before["choice"]]


def _reported(months: Sequence[PlayedMonth]) -> Iterator[LoopEvent]:
    for month in months:
        grave = [finding.title for finding in month.result.findings if finding.severity == "critical"]
        if grave:
            yield LoopEvent(month.end, "report", "The daily report warns", " ".join(grave))
