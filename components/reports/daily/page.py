"""The daily report for engineers: one page about the newest window, with the trend over all windows.

In: a `History` and its pictures. Out: HTML that loads nothing else. Called by `write_reports`. Judges nothing.
"""

from dataclasses import dataclass
from pathlib import Path

from components.base.text.templating import render
from components.base.text.wording import write_date
from components.monitoring.results import EstimatedPerformance, FeatureState, MonitoringResult
from components.reports.daily.pictures import CONTENDER_NAMES, Drawn
from components.reports.daily.status import build_status
from components.reports.history import History, format_window

_TEMPLATES = Path(__file__).parent / "templates"
# The table of PSI shows these at once, the others on request.
SHOWN_FEATURES = 12


@dataclass(frozen=True)
class DailySection:
    """One section: its template and its heading."""

    id: str
    title: str


SECTIONS = (
    DailySection("answer", "Is it well?"),
    DailySection("findings", "Findings"),
    DailySection("traffic", "Traffic"),
    DailySection("drift", "Drift"),
    DailySection("served", "Features as served"),
    DailySection("labels", "Labels"),
    DailySection("performance", "Performance"),
    DailySection("value", "Value"),
    DailySection("rulings", "Rulings"),
    DailySection("glossary", "What the numbers mean"),
)


def render_daily(history: History, drawn: Drawn, kpi_link: str = "") -> str:
    """Render the report as one HTML file; `kpi_link` is the address of the business's report beside it."""
    result = history.newest
    return render(
        _TEMPLATES,
        "daily.html.j2",
        problem=history.problem,
        metric_labels={name: metric.label for name, metric in history.task.metrics.items()},
        limits=history.problem.monitoring,
        task_report=history.task.report,
        noun=history.problem.noun,
        outcome=history.problem.outcome,
        currency=history.currency,
        result=result,
        windows=len(history.results),
        first_window=write_date(history.results[0].window.start),
        previous=history.previous,
        period=format_window(result.window),
        status=build_status(history),
        ranked=rank_features(result),
        shown_features=SHOWN_FEATURES,
        estimated=match_estimates(result),
        contender_names=CONTENDER_NAMES,
        rulings=history.rulings,
        recent=len(history.recent_rulings),
        pictures=drawn.pictures,
        multiples=drawn.multiples,
        sections=SECTIONS,
        kpi_link=kpi_link,
    )


def rank_features(result: MonitoringResult) -> list[tuple[FeatureState, float | None]]:
    """Return the features with importance times PSI, the greatest product first; an unknown PSI last."""
    ranked = [(one, None if one.psi is None else one.importance_ratio * one.psi) for one in result.features]
    return sorted(ranked, key=lambda pair: (pair[1] is None, -(pair[1] or 0.0), -pair[0].importance_ratio))


def match_estimates(result: MonitoringResult) -> dict[str, EstimatedPerformance]:
    """Return the estimated performance by metric."""
    return {one.metric: one for one in result.performance.estimated} if result.performance else {}
