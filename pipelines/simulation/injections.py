"""Change the deliveries of `flight-delays` as the scenario says: the harmless shift and the change of concept.

In: the name and the bytes of a delivery as the airline's systems would land it. Out: its bytes as they land in the
simulation. Called through `land_deliveries`. The broken feed and the slow model are not in the data: see `simulation`.
"""

import io
from collections.abc import Callable
from datetime import datetime

import pandas as pd

from pipelines.simulation.scenario import CONCEPT_SHIFT, FIRST_RELEASE, HARMLESS_SHIFT

_PRESSURE_SHIFT = 12.0
_DELAY_SHIFT = 25
# Local hours: up to which flights get later, from which on they get earlier.
_MORNING_ENDS, _AFTERNOON_STARTS = 11, 15
# The contract's range of delays, in minutes.
_DELAY_RANGE = (-110, 1990)


def change_delivery(name: str, content: bytes) -> bytes:
    """Return the content of a delivery such as `flights/2013-08.csv` as it lands in the simulation."""
    source, _, period = name.partition("/")
    change = _CHANGES.get(source)
    if change is None or period < f"{FIRST_RELEASE:%Y-%m}":
        return content
    # Text, so that all that is not changed stays as it was delivered.
    table = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
    return change(table).to_csv(index=False).encode()


def _move_delays(flights: pd.DataFrame) -> pd.DataFrame:
    """Let flights of the morning arrive later and those of the evening earlier, from the change of concept on."""
    hour = flights["hour"].astype(int)
    minutes = _DELAY_SHIFT * ((hour < _MORNING_ENDS).astype(int) - (hour >= _AFTERNOON_STARTS).astype(int))
    moved = _is_from(flights, CONCEPT_SHIFT.start)
    changed = {}
    for column in ("dep_delay", "arr_delay"):
        rows = moved & (flights[column] != "")
        delays = (flights.loc[rows, column].astype(float) + minutes[rows]).clip(*_DELAY_RANGE)
        changed[column] = flights[column].where(~rows, delays.astype(int).astype(str).reindex(flights.index))
    return flights.assign(**changed)


def _move_pressure(weather: pd.DataFrame) -> pd.DataFrame:
    """Let barometers show more, from their recalibration on."""
    rows = _is_from(weather, HARMLESS_SHIFT.start) & (weather["pressure"] != "")
    pressure = (weather.loc[rows, "pressure"].astype(float) + _PRESSURE_SHIFT).round(1).astype(str)
    return weather.assign(pressure=weather["pressure"].where(~rows, pressure.reindex(weather.index)))


def _is_from(table: pd.DataFrame, start: datetime) -> "pd.Series[bool]":
    hours: pd.Series[pd.Timestamp] = pd.to_datetime(table["time_hour"], utc=True)
    return hours >= start


_CHANGES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {"flights": _move_delays, "weather": _move_pressure}
