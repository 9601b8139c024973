"""Declare to Feast what `flight-minutes` knows two hours before a departure: the features of `flight-delays`.

In: nothing. Out: objects that `feast apply` and `components/features/feast/feature_store.py` register. The views have
names of their own, since a store holds each view of a problem as of that problem's last refresh.
"""

from feast import Entity, FeatureService, FeatureView, FileSource

from feature_repo.flight_delays import views as flights

_OWNER = "ground-operations@airline.example"

origin, carrier, route, tailnum = flights.origin, flights.carrier, flights.route, flights.tailnum


def _declare(view: FeatureView, entity: Entity) -> FeatureView:
    """Declare a view of `flight-delays` under a name of this problem."""
    name = f"minutes_{view.name}"
    source = FileSource(
        name=name,
        path=f"{name}.parquet",
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
        description=f"Written by {name}.sql",
        owner=_OWNER,
    )
    return FeatureView(
        name=name,
        entities=[entity],
        ttl=view.ttl,
        schema=view.schema,
        source=source,
        description=view.description,
        owner=_OWNER,
        tags=view.tags,
    )


origin_weather = _declare(flights.origin_weather, origin)
plane_profile = _declare(flights.plane_profile, tailnum)
carrier_delays = _declare(flights.carrier_delays, carrier)
origin_delays = _declare(flights.origin_delays, origin)
route_delays = _declare(flights.route_delays, route)
aircraft_state = _declare(flights.aircraft_state, tailnum)

flight_minutes = FeatureService(
    name="flight_minutes",
    features=[origin_weather, plane_profile, carrier_delays, origin_delays, route_delays, aircraft_state],
    description="What the flight-minutes model knows beside the request, two hours before departure",
    owner=_OWNER,
)
