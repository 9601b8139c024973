"""The current time: the wall clock, or the time that a simulation has written to a file.

In: the settings. Out: a time in UTC. Called by the governor and by the commands that take no `as_of`. The simulation
(`make loop`) sets the file to play months in minutes.
"""

from datetime import UTC, datetime

from components.base.errors import SettingsError
from components.base.settings import Settings


def read_clock(settings: Settings) -> datetime:
    """Return the current time.

    A time without a zone is read as UTC.

    Raises:
        SettingsError: the clock's file is missing or holds no ISO 8601 time.
    """
    if settings.clock is None:
        return datetime.now(UTC)
    try:
        time = datetime.fromisoformat(settings.clock.read_text().strip())
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"TIDEMILL_CLOCK: the file must hold an ISO 8601 time, but got {error} in {settings.clock}. "
            "Unset it to use the wall clock."
        ) from error


def set_clock(settings: Settings, time: datetime) -> None:
    """Write the time to the clock's file; readers see the old time or the new one.

    Raises:
        SettingsError: the settings name no clock.
    """
    if settings.clock is None:
        raise SettingsError("TIDEMILL_CLOCK: it must name a file to set the clock, but is unset.")
    settings.clock.parent.mkdir(parents=True, exist_ok=True)
    partial = settings.clock.with_suffix(".partial")
    partial.write_text(time.astimezone(UTC).isoformat())
    partial.replace(settings.clock)
