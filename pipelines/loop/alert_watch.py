"""Follow the alerts of a replay: when each began to fire and when it was silent again, by the clock of the replay.

In: running observers and the replay's moment. Out: `AlertSpan`s. A thread looks every half second, since an alert of a
slow endpoint comes and goes while a month is played.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from pipelines.loop.observers import Observers

_INTERVAL_SECONDS = 0.5


@dataclass
class AlertSpan:
    """One episode of one alert."""

    name: str
    labels: Mapping[str, str]
    fired_at: datetime
    """By the clock of the replay, as `cleared_at`."""
    cleared_at: datetime | None = None

    @property
    def is_firing(self) -> bool:
        """Whether it has not cleared yet."""
        return self.cleared_at is None


@dataclass
class AlertWatch:
    """The alerts seen so far; use it as a context, within which it looks."""

    observers: Observers
    read_moment: Callable[[], datetime]
    on_change: Callable[[AlertSpan], None]
    spans: list[AlertSpan] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Prepare the thread."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="alert-watch", daemon=True)
        self._lock = threading.Lock()

    def __enter__(self) -> "AlertWatch":
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def look(self) -> None:
        """Compare the alerts that fire now with those that fired before."""
        with self._lock:
            firing = {
                (alert.name, alert.active_at): alert
                for alert in self.observers.list_alerts()
                if alert.state == "firing"
            }
            moment = self.read_moment()
            known = {(span.name, span.labels["active_at"]) for span in self.spans}
            for span in self.spans:
                if span.is_firing and (span.name, span.labels["active_at"]) not in firing:
                    span.cleared_at = moment
                    self.on_change(span)
            for key in sorted(firing.keys() - known):
                alert = firing[key]
                span = AlertSpan(alert.name, {**alert.labels, "active_at": alert.active_at}, moment)
                self.spans.append(span)
                self.on_change(span)

    def list_firing(self) -> list[AlertSpan]:
        """Return the alerts that fire now."""
        self.look()
        return [span for span in self.spans if span.is_firing]

    def _follow(self) -> None:
        while not self._ended.wait(_INTERVAL_SECONDS):
            try:
                self.look()
            except httpx.HTTPError:
                continue
