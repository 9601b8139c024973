"""The incidents change what they say, from the time they say, and nothing else."""

import io
from functools import cache

import pandas as pd
import pytest

from pipelines.simulation.demo_data import list_deliveries
from pipelines.simulation.injections import change_delivery


@cache
def deliveries() -> dict[str, bytes]:
    return dict(list_deliveries("2013-09-15", 1))


def read(content: bytes) -> pd.DataFrame:
    table = pd.read_csv(io.BytesIO(content))
    return table.assign(time_hour=pd.to_datetime(table["time_hour"], utc=True))


def before_and_after(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    return read(deliveries()[name]), read(change_delivery(name, deliveries()[name]))


@pytest.mark.parametrize(
    "name", ["flights/2013-06.csv", "weather/2013-06.csv", "airlines/2013-01-01.csv", "planes/2013-01-01.csv"]
)
def test_what_came_before_the_first_release_and_the_registers_land_as_they_are(name):
    assert change_delivery(name, deliveries()[name]) == deliveries()[name]


def test_flights_of_july_keep_their_delays():
    before, after = before_and_after("flights/2013-07.csv")
    is_july = before["time_hour"] < pd.Timestamp("2013-08-01", tz="UTC")
    pd.testing.assert_frame_equal(before[is_july], after[is_july])


def test_from_august_on_mornings_are_25_minutes_later_and_evenings_as_much_earlier():
    before, after = before_and_after("flights/2013-08.csv")
    moved = after["arr_delay"] - before["arr_delay"]
    is_inside = before["arr_delay"].between(-80, 1900)
    assert set(moved[is_inside & (before["hour"] < 11)]) == {25}
    assert set(moved[is_inside & before["hour"].between(11, 14)]) == {0}
    assert set(moved[is_inside & (before["hour"] >= 15)]) == {-25}


def test_a_flight_that_never_arrived_still_has_not():
    before, after = before_and_after("flights/2013-08.csv")
    pd.testing.assert_series_equal(before["arr_delay"].isna(), after["arr_delay"].isna())
    unchanged = [name for name in before.columns if name not in ("arr_delay", "dep_delay")]
    pd.testing.assert_frame_equal(before[unchanged], after[unchanged])


def test_barometers_show_12_millibar_more_from_10_july_on():
    before, after = before_and_after("weather/2013-07.csv")
    is_later = before["time_hour"] >= pd.Timestamp("2013-07-10", tz="UTC")
    moved = (after["pressure"] - before["pressure"]).round(3)
    assert set(moved[is_later].dropna()) == {12.0}
    assert set(moved[~is_later].dropna()) == {0.0}
    pd.testing.assert_frame_equal(before.drop(columns="pressure"), after.drop(columns="pressure"))
