"""Follow the alerts of a simulation: when each fired and when it cleared, in simulated time.

In: running observers and the simulated time. Out: `AlertSpan`s. A thread checks every half second, because an alert of
a slow endpoint comes and goes while a month is simulated.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from pipelines.simulation.observers import ActiveAlert, Observers

_INTERVAL_SECONDS = 0.5


@dataclass
class AlertSpan:
    """One incident of one alert."""

    alert: ActiveAlert
    fired_at: datetime
    """By the clock of the simulation, as `cleared_at`."""
    cleared_at: datetime | None = None

    @property
    def is_firing(self) -> bool:
        """Whether it has not cleared yet."""
        return self.cleared_at is None


@dataclass
class AlertWatch:
    """The alerts seen so far; use it as a context, within which it looks."""

    observers: Observers
    read_time: Callable[[], datetime]
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
            active = [alert for alert in self.observers.list_alerts() if alert.state == "firing"]
            firing = {(alert.title, alert.active_at): alert for alert in active}
            time = self.read_time()
            known = {(span.alert.title, span.alert.active_at): span for span in self.spans}
            for identity, span in known.items():
                if span.is_firing and identity not in firing:
                    span.cleared_at = time
                    self.on_change(span)
            for identity in sorted(firing.keys() - known.keys()):
                span = AlertSpan(firing[identity], time)
                self.spans.append(span)
                self.on_change(span)

    def _follow(self) -> None:
        while not self._ended.wait(_INTERVAL_SECONDS):
            try:
                self.look()
            except httpx.HTTPError:
                continue
