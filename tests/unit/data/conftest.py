"""The small problem of trips, and its landing zone on the session's object store."""

import dataclasses

import pytest

from tests.unit.data.trips import make_problem


@pytest.fixture
def problem():
    return make_problem()


@dataclasses.dataclass
class LandingZone:
    """Puts deliveries of the small problem into the store."""

    store: object

    def land(self, name, content):
        content = content if isinstance(content, bytes) else content.encode()
        self.store.put_bytes(f"landing/trips/{name}", content)

    def land_trips(self, name, *rows, header="trip,city,fare,started_at"):
        self.land(f"trips/{name}", "\n".join([header, *rows, ""]))


@pytest.fixture
def zone(store, store_settings, monkeypatch):
    """A landing zone with cities PARIS and ROME, and the environment that DuckDB reads."""
    for name, value in store_settings.child_environment().items():
        monkeypatch.setenv(name, value)
    landing = LandingZone(store)
    landing.land("cities/2013-01-01.csv", "city\nPARIS\nROME\n")
    return landing
