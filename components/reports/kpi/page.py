"""The KPI report for the business: one page on what the decisions earned, without a word of the trade.

In: a `History` and its pictures. Out: HTML that loads nothing else. Called by `write_reports`. Judges nothing.
"""

from collections.abc import Mapping
from pathlib import Path

from components.base.text.templating import render
from components.reports.history import History, format_window
from components.reports.kpi.content import build_kpi

_TEMPLATES = Path(__file__).parent / "templates"


def render_kpi(history: History, pictures: Mapping[str, str], daily_link: str = "") -> str:
    """Render the report as one HTML file; `daily_link` is the address of the engineers' report beside it."""
    result = history.newest
    return render(
        _TEMPLATES,
        "kpi.html.j2",
        problem=history.problem,
        noun=history.problem.noun,
        outcome=history.problem.outcome,
        currency=history.currency,
        result=result,
        period=format_window(result.window),
        before=format_window(history.previous.window) if history.previous else "",
        kpi=build_kpi(history),
        worth=history.task.report.format_worth(history.problem),
        pictures=pictures,
        daily_link=daily_link,
    )
