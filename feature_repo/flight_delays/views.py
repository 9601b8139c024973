"""Declare to Feast what `flight-delays` knows two hours before a departure: entities, sources, views, one service.

In: nothing. Out: objects that `feast apply` and `components/features/feast/feature_store.py` register. The values come
from the SQL file of the same name as the view; `build` runs it and checks the result against the schema declared here.

Every row's `event_timestamp` is the moment its value was known, so a point-in-time join cannot see the future. A row
comes with an outcome or an observation and counts until the next one: a window of three hours ends at the newest
outcome before the prediction, not at the prediction. docs/own-problem.md has the SQL of the other kind.
"""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, String

_OWNER = "passenger-operations@airline.example"


def _entity(name: str, description: str) -> Entity:
    return Entity(name=name, join_keys=[name], value_type=ValueType.STRING, description=description, owner=_OWNER)


def _number(name: str, unit: str, description: str) -> Field:
    return Field(name=name, dtype=Float64, description=description, tags={"unit": unit})


def _text(name: str, description: str) -> Field:
    return Field(name=name, dtype=String, description=description)


def _view(
    name: str,
    entity: Entity,
    ttl: timedelta,
    description: str,
    features: list[Field],
    look_back: timedelta | None = None,
) -> FeatureView:
    """Declare one view; `look_back` is how far back the SQL of a view looks in events, at the time of a row."""
    source = FileSource(
        name=name,
        # Relative to `offline_store.root`: the registry stays true when a new build writes elsewhere.
        path=f"{name}.parquet",
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
        description=f"Written by {name}.sql",
        owner=_OWNER,
    )
    key = Field(name=entity.join_key, dtype=String, description=entity.description)
    return FeatureView(
        name=name,
        entities=[entity],
        ttl=ttl,
        schema=[key, *features],
        source=source,
        description=description,
        owner=_OWNER,
        tags={} if look_back is None else {"look_back_hours": f"{look_back / timedelta(hours=1):g}"},
    )


origin = _entity("origin", "Airport of departure, FAA code")
carrier = _entity("carrier", "Carrier code")
route = _entity("route", "Origin and destination, such as EWR-IAH")
tailnum = _entity("tailnum", "Registration of the aircraft")


def _delays(entity: Entity, of: str) -> list[Field]:
    """Declare the delays that a carrier and an airport of departure have in common."""
    late, minutes, key = "share of flights", "minutes", entity.name
    newest = "up to its newest outcome"
    capped = "a flight that never left counts as 180, none as more"
    return [
        _number(f"{key}_late_ratio_3h", late, f"Late flights of the {of} in the 3 hours {newest}"),
        _number(f"{key}_late_ratio_24h", late, f"Late flights of the {of} in the 24 hours {newest}"),
        _number(f"{key}_late_ratio_7d", late, f"Late flights of the {of} in the 7 days {newest}"),
        _number(
            f"{key}_departure_delay_3h", minutes, f"Mean departure delay of the {of} in the 3 hours {newest}; {capped}"
        ),
        _number(
            f"{key}_departure_delay_24h",
            minutes,
            f"Mean departure delay of the {of} in the 24 hours {newest}; {capped}",
        ),
        _number(f"{key}_cancelled_ratio_24h", late, f"Cancelled flights of the {of} in the 24 hours {newest}"),
        _number(f"{key}_flights_24h", "flights", f"Outcomes of the {of} in the 24 hours {newest}"),
    ]


origin_weather = _view(
    "origin_weather",
    origin,
    # Observations are hourly; one from before the last six hours no longer tells the weather.
    timedelta(hours=6),
    "Latest published weather observation at the airport of departure",
    [
        _number("weather_temperature", "degrees Fahrenheit", "Temperature"),
        _number("weather_dew_point_spread", "degrees Fahrenheit", "Temperature less dew point; near 0 means fog"),
        _number("weather_humidity", "percent", "Relative humidity"),
        _number("weather_wind_speed", "miles per hour", "Wind speed"),
        _number("weather_wind_gust", "miles per hour", "Speed of gusts, that of the wind when there are none"),
        _number("weather_wind_from_east", "miles per hour", "Part of the wind that blows from the east"),
        _number("weather_wind_from_north", "miles per hour", "Part of the wind that blows from the north"),
        _number("weather_visibility", "miles", "Visibility, 10 at most"),
        _number("weather_visibility_lowest_6h", "miles", "Lowest visibility of the 6 hours up to the observation"),
        _number("weather_precipitation", "inches", "Precipitation in the hour"),
        _number("weather_precipitation_6h", "inches", "Precipitation of the 6 hours up to the observation"),
        _number("weather_pressure", "millibar", "Pressure at sea level"),
        _number("weather_pressure_change_6h", "millibar", "Change of the pressure over 6 hours"),
    ],
    look_back=timedelta(hours=6),
)

plane_profile = _view(
    "plane_profile",
    tailnum,
    # Zero means for ever: an aircraft keeps what it was built with.
    timedelta(0),
    "What the register says of the aircraft",
    [
        _number("plane_year_built", "year", "Year of manufacture"),
        _number("plane_seats", "seats", "Number of seats"),
        _text("plane_manufacturer", "Manufacturer"),
    ],
)

carrier_delays = _view(
    "carrier_delays",
    carrier,
    # Even the smallest carrier lands every day; after three days without outcomes the feed is broken.
    timedelta(days=3),
    "How the carrier's flights did lately, counted when their outcome was known",
    _delays(carrier, "carrier"),
    look_back=timedelta(days=7),
)

origin_delays = _view(
    "origin_delays",
    origin,
    # An airport has outcomes every hour of the day; after a day without them the feed is broken.
    timedelta(days=1),
    "How flights from the airport did lately, counted when their outcome was known",
    _delays(origin, "airport"),
    look_back=timedelta(days=7),
)

route_delays = _view(
    "route_delays",
    route,
    # Some routes are flown once a week; the counts look back two weeks, so older ones count other flights.
    timedelta(days=14),
    "How flights of the route did lately, counted when their outcome was known",
    [
        _number(
            "route_late_ratio_24h",
            "share of flights",
            "Late flights of the route in the 24 hours up to its newest outcome",
        ),
        _number(
            "route_late_ratio_14d",
            "share of flights",
            "Late flights of the route in the 14 days up to its newest outcome",
        ),
        _number(
            "route_departure_delay_14d",
            "minutes",
            "Mean departure delay of the route in the 14 days up to its newest outcome; "
            "a flight that never left counts as 180, none as more",
        ),
        _number("route_flights_14d", "flights", "Outcomes of the route in the 14 days up to its newest outcome"),
    ],
    look_back=timedelta(days=14),
)

aircraft_state = _view(
    "aircraft_state",
    tailnum,
    # A day later the aircraft has flown legs that the data do not hold.
    timedelta(hours=24),
    "What was last known of the aircraft, from its departures from New York",
    [
        _number("aircraft_last_departure_delay", "minutes", "Departure delay of its last known flight"),
        _number("aircraft_last_arrival_delay", "minutes", "Arrival delay of its last known flight"),
        _number("aircraft_ready_hour", "hours", "Local time at which it could leave New York again"),
        _number("aircraft_flights_24h", "flights", "Its known flights of the 24 hours up to its newest outcome"),
        _number(
            "aircraft_late_ratio_28d", "share of flights", "Its late flights in the 28 days up to its newest outcome"
        ),
    ],
    look_back=timedelta(days=28),
)

flight_delays = FeatureService(
    name="flight_delays",
    features=[origin_weather, plane_profile, carrier_delays, origin_delays, route_delays, aircraft_state],
    description="What the flight-delays model knows beside the request, two hours before departure",
    owner=_OWNER,
)
