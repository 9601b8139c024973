"""The timeline of a loop as an HTML page: the answer, one picture, one row a month, and every event in order.

In: a `Timeline`. Out: HTML that loads nothing from elsewhere. Called by `make loop` at its end. Judges nothing.
"""

from collections import Counter
from pathlib import Path

from components.base.text.templating import render
from components.base.text.wording import join_words, write_count, write_money
from pipelines.simulation.timeline import Span, Timeline, TimelineMonth, Totals, covers, pair_alerts
from pipelines.simulation.timeline_picture import PHONE, SCREEN, draw_timeline

_TEMPLATES = Path(__file__).parent / "templates"
_KINDS = {
    "injected": "injected",
    "alert_fired": "alert",
    "alert_cleared": "cleared",
    "ruling": "ruling",
    "release": "release",
    "report": "report",
}
# How each kind is toned, as in every page.
_TONES = {"injected": "hold", "alert_fired": "bad", "ruling": "note", "report": "note"}


def render_timeline(timeline: Timeline) -> str:
    """Render the timeline as one HTML file; links are relative to where it is written."""
    spans, totals = pair_alerts(timeline), timeline.totals
    if totals is None:
        tone, heading = "hold", "What retraining earned is not known"
    elif round(totals.retraining_earned) == 0:
        tone, heading = "hold", "Retraining earned nothing yet"
    else:
        is_gain = totals.retraining_earned > 0
        amount = write_money(abs(totals.retraining_earned), timeline.currency)
        tone, heading = ("good", f"Retraining earned {amount}") if is_gain else ("bad", f"Retraining lost {amount}")
    return render(
        _TEMPLATES,
        "timeline.html.j2",
        timeline=timeline,
        metric=timeline.metric,
        totals=totals,
        tone=tone,
        heading=heading,
        sentences=_list_sentences(timeline, totals, spans),
        months=[(month, _lanes(month, spans), timeline.events_of(month)) for month in timeline.months],
        most_rows=max((month.rows for month in timeline.months), default=0),
        lanes=len(spans),
        kinds=_KINDS,
        tones=_TONES,
        screen=draw_timeline(timeline, SCREEN),
        phone=draw_timeline(timeline, PHONE),
    )


def _list_sentences(timeline: Timeline, totals: Totals | None, spans: list[Span]) -> list[str]:
    """Say what was earned, and what happened."""
    said = []
    if totals:
        served, frozen, current = (
            write_money(amount, timeline.currency) for amount in (totals.served, totals.frozen, totals.current)
        )
        over = f"{write_count(totals.months)} month{'' if totals.months == 1 else 's'}"
        said.append(
            f"Over {over} the decisions earned {served}; the first model, never retrained, would have earned {frozen}, "
            f"and the current solution {current}, all on the same {timeline.noun}."
        )
    kinds = Counter(event.kind for event in timeline.events)
    counted = [
        _count(kinds["injected"], "incident was injected", "incidents were injected"),
        _count(len(spans), "alert fired", "alerts fired"),
        _count(
            sum(event.is_run for event in timeline.events), "training run was decided", "training runs were decided"
        ),
        _count(sum(event.is_promotion for event in timeline.events), "new model took over", "new models took over"),
    ]
    firing = [span.title for span in spans if span.end is None]
    still = f" Still firing: {join_words(firing)}." if firing else " Every alert cleared." if spans else ""
    return [*said, f"{join_words(counted)}.{still}"]


def _count(number: int, one: str, many: str) -> str:
    return f"{write_count(number)} {one if number == 1 else many}"


def _lanes(month: TimelineMonth, spans: list[Span]) -> list[tuple[int, Span, bool, bool]]:
    """Return the alerts that fire in a month: lane, alert, whether it starts and whether it ends there."""
    return [
        (
            lane,
            span,
            month.start < span.start <= month.end,
            span.end is not None and month.start < span.end <= month.end,
        )
        for lane, span in enumerate(spans)
        if covers(span, month)
    ]
