"""The timeline of a loop: what each month brought, what happened, and what retraining earned. Data, no HTML.

In: months and events of a simulation. Out: totals, the spans of alerts, and the events of each month.
Called by `make loop`, for the terminal, and by `timeline_page`, for the HTML page.

Conventions
    times are of the simulated clock; a month is judged at its end, so that what is decided exactly then belongs to
    it: an event belongs to the month with start < at <= end, an injected one to the month with start <= at < end
    `frozen` is the first model, never retrained, on the same rows; `current` the solution without a model
    None is what is not known
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

EventKind = Literal["injected", "alert_fired", "alert_cleared", "ruling", "release", "report"]


@dataclass(frozen=True)
class Link:
    """A page that belongs to it; the address is relative to the timeline's own folder."""

    text: str
    address: str


@dataclass(frozen=True)
class TimelineMonth:
    """One month of the loop."""

    start: datetime
    end: datetime
    rows: int
    model_version: str
    """That served; the champion at its end if two did."""
    drift: float | None = None
    """Greatest shift of an important feature, as a multiple of its limit."""
    drift_feature: str | None = None
    harmless: tuple[str, ...] = ()
    """Features beyond their limit that the model does not lean on."""
    score: float | None = None
    score_low: float | None = None
    score_high: float | None = None
    score_limit: float | None = None
    estimated_score: float | None = None
    frozen_score: float | None = None
    value: float | None = None
    """Total that the decisions earned, in the currency."""
    frozen_value: float | None = None
    current_value: float | None = None
    label_coverage_ratio: float | None = None
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class TimelineEvent:
    """One thing that happened."""

    at: datetime
    kind: EventKind
    title: str
    """Of an alert its name: it pairs what fired with what cleared. Of a ruling it begins with the choice, of a
    release it says `held`, `refused` or `failed` where no model took over."""
    text: str = ""
    until: datetime | None = None
    """End of an injected incident."""
    link: str = ""

    @property
    def is_run(self) -> bool:
        """Whether it decides to train."""
        return self.kind == "ruling" and self.title.lower().split(":")[0] == "run"

    @property
    def is_promotion(self) -> bool:
        """Whether it makes another model the champion."""
        words = set(self.title.lower().split())
        return self.kind == "release" and not words & {"held", "refused", "failed"}


@dataclass(frozen=True)
class Totals:
    """What was earned over the months in which all three are known."""

    months: int
    served: float
    frozen: float
    current: float

    @property
    def retraining_earned(self) -> float:
        """What retraining earned: served less frozen."""
        return self.served - self.frozen


@dataclass(frozen=True)
class Span:
    """An alert from fired to cleared; `end` is None while it fires."""

    title: str
    start: datetime
    end: datetime | None


@dataclass(frozen=True)
class Timeline:
    """A whole loop."""

    title: str
    problem: str
    noun: str
    """What is predicted, in the plural."""
    currency: str
    metric: str
    """Label of the score that has a limit."""
    months: tuple[TimelineMonth, ...]
    events: tuple[TimelineEvent, ...]
    links: tuple[Link, ...] = ()
    seconds: float | None = None
    """How long the loop took, by the wall clock."""

    @property
    def totals(self) -> Totals | None:
        """Return what was earned; None when no month has all three."""
        known = [
            (one.value, one.frozen_value, one.current_value)
            for one in self.months
            if one.value is not None and one.frozen_value is not None and one.current_value is not None
        ]
        if not known:
            return None
        served, frozen, current = (sum(column) for column in zip(*known, strict=True))
        return Totals(len(known), served, frozen, current)

    @property
    def ordered(self) -> list[TimelineEvent]:
        """Return the events in order; of one time the alert first, then ruling and release."""
        order: Sequence[EventKind] = ("injected", "report", "alert_fired", "ruling", "release", "alert_cleared")
        return sorted(self.events, key=lambda event: (event.at, order.index(event.kind)))

    def events_of(self, month: TimelineMonth) -> list[TimelineEvent]:
        """Return the events that belong to a month, in order."""
        # What is injected belongs to the month that it begins; all else happens at a month's end at the latest.
        return [
            event
            for event in self.ordered
            if (
                month.start <= event.at < month.end if event.kind == "injected" else month.start < event.at <= month.end
            )
        ]


def pair_alerts(timeline: Timeline) -> list[Span]:
    """Return each alert from fired to cleared, in the order of firing; one that fires again is a span of its own."""
    spans: list[Span] = []
    firing: dict[str, datetime] = {}
    for event in timeline.ordered:
        if event.kind == "alert_fired":
            firing.setdefault(event.title, event.at)
        elif event.kind == "alert_cleared" and event.title in firing:
            spans.append(Span(event.title, firing.pop(event.title), event.at))
    spans += [Span(title, start, None) for title, start in firing.items()]
    return sorted(spans, key=lambda span: (span.start, span.title))


def covers(span: Span, month: TimelineMonth) -> bool:
    """Return whether an alert fired in a month."""
    return span.start <= month.end and (span.end is None or span.end > month.start)


def add_up(values: Sequence[float | None]) -> list[float | None]:
    """Return running sums; what is not known adds nothing, and has no sum of its own."""
    total, sums = 0.0, list[float | None]()
    for value in values:
        total += value or 0.0
        sums.append(None if value is None else total)
    return sums
