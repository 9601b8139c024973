"""Small accepted sources of `flight-delays`, made of a few flights with the columns that the features read."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from components.base.contract.load import load_problem
from components.base.contract.problem import Problem
from components.base.tables import write_table

START = datetime(2013, 1, 1, 5, tzinfo=UTC)


@pytest.fixture(scope="session")
def problem() -> Problem:
    return load_problem(Path(__file__).parents[3] / "pipelines/problems/flight-delays.yaml")


def make_flight(number: int, minute: int, dep_delay: int | None = 0, **changes: object) -> dict[str, object]:
    """Return one flight, scheduled `minute` minutes after the start; without a delay it is cancelled."""
    scheduled_at = START + timedelta(minutes=minute)
    is_flown = dep_delay is not None
    flight = {
        "carrier": "UA",
        "flight": number,
        "origin": "EWR",
        "dest": "IAH",
        "tailnum": "N1",
        "scheduled_at": scheduled_at,
        "predicted_at": scheduled_at - timedelta(hours=2),
        "outcome_at": scheduled_at + timedelta(minutes=dep_delay + 150 if is_flown else 360),
        "dep_time": 500 if is_flown else None,
        "dep_delay": float(dep_delay) if is_flown else None,
        "arr_delay": float(dep_delay) if is_flown else None,
        "air_time": 120.0 if is_flown else None,
        "distance": 1400.0,
        "late": not is_flown or dep_delay >= 15,
    }
    return {**flight, **changes}


def make_flights(flights: Iterable[dict[str, object]]) -> pd.DataFrame:
    table = pd.DataFrame(flights)
    times = [name for name in table.columns if name.endswith("_at")]
    numbers = ["dep_time", "dep_delay", "arr_delay", "air_time"]
    kinds = {**dict.fromkeys(times, "datetime64[us, UTC]"), **dict.fromkeys(numbers, "float64")}
    return table.astype({**kinds, "tailnum": object})


def make_weather(hours: int) -> pd.DataFrame:
    """Return hourly observations of both airports from the start on, whose values are telling numbers."""
    rows = [
        {
            "origin": origin,
            "observed_at": START + timedelta(hours=hour),
            "temp": 30.0 + hour,
            "dewp": 20.0,
            "humid": 50.0,
            "wind_dir": 90.0,
            "wind_speed": 10.0,
            "wind_gust": None if hour % 2 else 20.0,
            "visib": 10.0 - hour % 5,
            "precip": 0.01 * (hour % 3),
            "pressure": 1000.0 + hour,
        }
        for origin in ("EWR", "JFK")
        for hour in range(hours)
    ]
    table = pd.DataFrame(rows)
    return table.astype({"observed_at": "datetime64[us, UTC]", "wind_gust": "float64"})


@pytest.fixture(scope="session")
def write_accepted() -> Callable[..., Path]:
    def write(folder: Path, flights: pd.DataFrame, weather: pd.DataFrame | None = None) -> Path:
        planes = pd.DataFrame({"tailnum": ["N1"], "year": [2001], "seats": [150], "manufacturer": ["BOEING"]})
        tables = {
            "flights": flights,
            "weather": make_weather(48) if weather is None else weather,
            "planes": planes,
            "airports": pd.DataFrame({"faa": ["IAH"]}),
            "airlines": pd.DataFrame({"carrier": ["UA"]}),
        }
        for name, table in tables.items():
            write_table(table, folder / f"{name}.parquet")
        return folder

    return write


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    return SimpleNamespace(flight=make_flight, flights=make_flights, weather=make_weather, start=START)
