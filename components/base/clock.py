"""The moment to live at: the wall clock, or the one that a replay of the past has written down.

In: the settings. Out: a moment in UTC. Called by what decides by time: the governor and the commands without an
`as_of`. A replay (`make loop`) moves the file's moment on; nothing sleeps for it.
"""

from datetime import UTC, datetime

from components.base.errors import SettingsError
from components.base.settings import Settings


def read_clock(settings: Settings) -> datetime:
    """Return the moment that counts as now.

    Raises:
        SettingsError: the clock's file holds no ISO 8601 time with a zone.
    """
    if settings.clock is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(settings.clock.read_text().strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"TIDEMILL_CLOCK: the file must hold an ISO 8601 time, but got {error} in {settings.clock}. "
            "Unset it to live by the wall clock."
        ) from error


def set_clock(settings: Settings, moment: datetime) -> None:
    """Write the moment to the clock's file; readers see the old one or the new one.

    Raises:
        SettingsError: the settings name no clock.
    """
    if settings.clock is None:
        raise SettingsError("TIDEMILL_CLOCK: it must name a file to set the clock, but is unset.")
    settings.clock.parent.mkdir(parents=True, exist_ok=True)
    partial = settings.clock.with_suffix(".partial")
    partial.write_text(moment.astimezone(UTC).isoformat())
    partial.replace(settings.clock)
