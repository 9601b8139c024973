"""The KPI report for the business: one page on what the decisions earned, without a word of the trade.

In: a `History`. Out: HTML that loads nothing from elsewhere. Called by `write_reports`. Nothing is judged here.
"""

from pathlib import Path

from components.base.templating import render
from components.watch.history import History, write_window
from components.watch.kpi import tell_kpi
from components.watch.pictures_kpi import draw_earned, draw_sum

_TEMPLATES = Path(__file__).parent / "templates"


def render_kpi(history: History, daily_link: str = "") -> str:
    """Render the report as one HTML file; `daily_link` is the address of the engineers' report beside it."""
    result = history.newest
    return render(
        _TEMPLATES,
        "kpi.html.j2",
        problem=history.problem,
        noun=history.noun,
        outcome=history.outcome,
        currency=history.currency,
        values=history.problem.business.values,
        result=result,
        period=write_window(result.window),
        before=write_window(history.previous.window) if history.previous else "",
        kpi=tell_kpi(history),
        earned=draw_earned(history),
        summed=draw_sum(history),
        daily_link=daily_link,
    )
